"""The diagnosis that a text names."""

import pytest

from fairlora_cls.data.sources.ham10000 import DIAGNOSES, LONG_NAMES
from fairlora_cls.texts.diagnoses import (
    HAM10000,
    MALIGNANCY,
    READERS,
    class_names,
    plain_words,
    reader_for,
)

SENTENCES = {
    "nv": "nv",
    "NV.": "nv",
    "These are melanocytic nevi, not melanoma.": "nv",
    "A benign naevus": "nv",
    "melanomaanocytic nevi": "nv",
    "This image shows melanoma.": "mel",
    "Not a nevus? It is melanoma": "nv",  # denial is not read; the earliest counts
    "lentigo maligna": "mel",
    "a lentigo": "bkl",
    "BCC": "bcc",
    "basal-cell carcinomas": "bcc",
    "Seborrheic keratosis": "bkl",
    "seborrhoeic keratoses": "bkl",
    "solar lentigo": "bkl",
    "lichen planus-like keratosis": "bkl",
    "benign keratosis-like lesions": "bkl",
    "Actinic keratoses and intraepithelial carcinoma": "akiec",
    "Bowen's disease": "akiec",
    "Bowen’s disease": "akiec",
    "Intraepithelial carcinoma": "akiec",
    "dermatofibromas": "df",
    "A vascular lesion, perhaps an angioma": "vasc",
    "haemangioma": "vasc",
    "a cherry angioma": "vasc",
    "keratosis": None,  # actinic or benign? it does not say
    "the model smelt": None,  # mel inside a word
    "melanocytic": None,
    "": None,
}


@pytest.mark.parametrize("text", SENTENCES)
def test_ham10000_sentences(text):
    assert reader_for(["nv", "mel"]).read(text) == SENTENCES[text]


def test_every_name_is_read_as_its_own_class():
    reader = READERS[0]
    assert tuple(sorted(HAM10000)) == tuple(sorted(DIAGNOSES))
    for code, names in HAM10000.items():
        assert len(set(names)) == len(names)
        for name in names:
            assert reader.read(f"It is {name}, they say") == code
    for name, code in LONG_NAMES.items():
        assert reader.read(name) == code
        assert reader.class_of(name.title()) == code


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.name)
def test_tables_hold_plain_words_and_no_name_twice(reader):
    every = [name for names in reader.names.values() for name in names]
    assert every == [plain_words(name) for name in every]
    assert len(set(every)) == len(every)


def test_labels_choose_the_reader():
    assert reader_for(["bcc", "Melanoma"]).name == "HAM10000"
    assert reader_for(["benign", "malignant"]).names is MALIGNANCY
    assert reader_for(["yes"]).name == "yes or no"
    assert reader_for(["glaucoma", "yes"]).name == "class names"


def test_malignancy_is_read_from_words_denials_and_diagnoses():
    read = reader_for(["malignant", "benign"]).read
    assert read("This is a malignant lesion") == "malignant"
    assert read("It is not malignant.") == "benign"
    assert read("non-malignant") == "benign"
    assert read("a nevus") == "benign"
    assert read("Basal cell carcinoma") == "malignant"
    assert read("I cannot tell") is None


def test_yes_and_no_are_read_at_the_start_only():
    read = reader_for(["yes", "no"]).read
    assert read("Yes, there is.") == "yes"
    assert read("No evidence of glaucoma") == "no"
    assert read("The answer is no.") == "no"
    assert read("There is no effusion.") is None
    assert read("Nothing") is None


def test_other_class_names_are_read_as_they_are_written():
    reader = reader_for(["Glaucoma", "No_glaucoma", "drusen"])
    assert reader.read("Suspected glaucoma") == "glaucoma"
    assert reader.read("There is no glaucoma, only drusen") == "no_glaucoma"
    assert reader.read("Drusens") == "drusen"
    assert reader.read("glaucomatous") is None
    assert reader.class_of(" Glaucoma") == "glaucoma"


def test_a_class_without_a_letter_is_named_by_no_text():
    signs = class_names(["+", "-"])
    assert [signs.read(text) for text in ("+", "-", "it is", "s")] == [None] * 4
    assert class_names(["+", "normal"]).read("Normal.") == "normal"
