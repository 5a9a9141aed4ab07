"""Which diagnosis does a text name? Read by tables of names, the earliest match first.

The rule is FairLLaVA's for HAM10000: the earliest mention counts, of two at one place the longest;
names begin and end at a word's boundary, in any case, with hyphens as spaces and without
apostrophes. Denial is not read ("not a melanoma" names melanoma), except where a table holds the
denied words as a name of their own: with two classes, "not malignant" says benign.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fairlora_cls.data.sources.ham10000 import DIAGNOSES, LONG_NAMES, MALIGNANT

HAM10000: dict[str, tuple[str, ...]] = {  # code → its names, plain (`plain_words`)
    "akiec": (
        *("akiec", "ak", "aks"),
        *("actinic keratosis", "actinic keratoses", "solar keratosis", "solar keratoses"),
        *("intraepithelial carcinoma", "intraepithelial carcinomas"),
        *("bowen disease", "bowens disease", "bowens", "squamous cell carcinoma in situ"),
    ),
    "bcc": (
        *("bcc", "bccs", "basal cell carcinoma", "basal cell carcinomas"),
        *("basal cell cancer", "basal cell cancers", "basalioma", "basaliomas"),
    ),
    "bkl": (
        *("bkl", "lplk", "benign keratosis", "benign keratoses", "benign keratotic lesion"),
        *("benign keratosis like lesion", "benign keratosis like lesions"),
        *("seborrheic keratosis", "seborrheic keratoses", "seborrhoeic keratosis"),
        *("seborrhoeic keratoses", "seborrheic wart", "seborrheic warts", "senile wart"),
        *("solar lentigo", "solar lentigos", "solar lentigines", "senile lentigo", "lentigo"),
        *("lentigines", "lichen planus like keratosis", "lichen planus like keratoses"),
        *("lichenoid keratosis", "lichenoid keratoses"),
    ),
    "df": (
        *("df", "dfs", "dermatofibroma", "dermatofibromas", "dermatofibromata"),
        *("fibrous histiocytoma", "fibrous histiocytomas"),
    ),
    "mel": (
        *("mel", "melanoma", "melanomas", "melanomata"),
        *("lentigo maligna", "lentigo maligna melanoma"),
    ),
    "nv": (
        *("nv", "nevus", "nevi", "nevuses", "naevus", "naevi", "mole", "moles"),
        *("melanocytic nevus", "melanocytic nevi", "melanocytic naevus", "melanocytic naevi"),
        *("melanomaanocytic nevus", "melanomaanocytic nevi"),  # of a copy that spoilt the name
    ),
    "vasc": (
        *("vasc", "vascular lesion", "vascular lesions", "vascular skin lesion"),
        *("vascular skin lesions", "vascular malformation", "vascular malformations"),
        *("angioma", "angiomas", "angiomata", "hemangioma", "hemangiomas", "haemangioma"),
        *("haemangiomas", "angiokeratoma", "angiokeratomas", "pyogenic granuloma"),
        *("pyogenic granulomas",),
    ),
}
MALIGNANCY: dict[str, tuple[str, ...]] = {  # the task `malignant`: also by what the diagnoses are
    "benign": (
        *("benign", "not malignant", "non malignant", "nonmalignant", "no malignancy"),
        *("not cancerous", "non cancerous", "noncancerous", "not cancer", "not a cancer"),
        *("no evidence of malignancy", "no sign of malignancy", "no signs of malignancy"),
        *(name for code in DIAGNOSES if code not in MALIGNANT for name in HAM10000[code]),
    ),
    "malignant": (
        *("malignant", "malignancy", "cancerous", "cancer", "skin cancer", "not benign"),
        *("non benign", *(name for code in MALIGNANT for name in HAM10000[code])),
    ),
}
YES_NO: dict[str, tuple[str, ...]] = {"no": ("no",), "yes": ("yes",)}
_ANSWER = r"(?:(?:the |my |final )?answer(?: is)? )?"  # may stand before yes and no


@dataclass(frozen=True)
class DiagnosisReader:
    """A table of names, how it is matched, and which labels stand for which of its classes."""

    name: str
    names: Mapping[str, Sequence[str]]  # class → plain names
    aliases: Mapping[str, str]  # label, lower case → class
    at_start: bool = False  # only as a text's first word

    @cached_property
    def _class_of(self) -> dict[str, str]:
        return {name: code for code, names in self.names.items() for name in names}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._class_of, key=len, reverse=True)
        names = "|".join(re.escape(name) for name in longest_first) or "(?!)"  # or nothing at all
        return re.compile(rf"{'^' + _ANSWER if self.at_start else ''}(?<!\w)({names})(?!\w)")

    def read(self, text: str) -> str | None:
        """The class that a text names first, None where it names none."""
        match = self._pattern.search(plain_words(text))
        return self._class_of[match[1]] if match else None

    def class_of(self, label: str) -> str:
        """The class that a label stands for."""
        return self.aliases[label.strip().lower()]


def reader_for(labels: Iterable[str]) -> DiagnosisReader:
    """The reader that these labels call for: HAM10000's codes or long names, benign and malignant,
    yes and no, or else one built of the labels themselves (`class_names`)."""
    names = {label.strip().lower() for label in labels}
    return next(
        (reader for reader in READERS if names and names <= set(reader.aliases)),
        class_names(sorted(names)),
    )


def class_names(labels: Sequence[str]) -> DiagnosisReader:
    """A reader of class names as they are written, each also with an s or es at its end. A class
    such as '+', whose name has no letter or digit, no text can be seen to name."""
    table = {
        label: tuple(word + ending for ending in ("", "s", "es")) if word else ()
        for label, word in ((label, plain_words(label)) for label in labels)
    }
    return DiagnosisReader("class names", table, {label.lower(): label for label in labels})


def plain_words(text: str) -> str:
    """Lower-case words without accents and apostrophes; all that is no letter or digit is a space."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in spread if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", re.sub(r"['’`]", "", bare)).strip()


READERS: tuple[DiagnosisReader, ...] = (
    DiagnosisReader("HAM10000", HAM10000, {code: code for code in DIAGNOSES} | LONG_NAMES),
    DiagnosisReader("malignancy", MALIGNANCY, {name: name for name in MALIGNANCY}),
    DiagnosisReader("yes or no", YES_NO, {name: name for name in YES_NO}, at_start=True),
)
