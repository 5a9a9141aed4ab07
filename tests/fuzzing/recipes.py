"""Recipes, broken, into load_recipe and train.

A recipe that is accepted holds every value that a plain reading of the file finds in it.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.fuzzing.cases import (
    EITHER,
    REFUSED,
    SAME,
    SANE,
    Kind,
    Mutation,
    choose,
    judge_end,
    judge_folder,
    one,
    run_command,
    untouched,
)
from tests.fuzzing.sheets import BROKEN_BYTES, STRANGE_NAMES, UnclearError

Values = dict[str, Any]


def make_values(generator: np.random.Generator) -> Values:
    """A valid recipe with some of the keys that there are."""
    every = {
        "name": "trial-1",
        "seed": int(generator.integers(100)),
        "data": {"source": "simulated-fundus", "sensitive": ["sex", "race"], "limit": 8, "options": {"seed": 3, "train": 8}},
        "model": {"max_pixels": 31360, "pooling": "mean", "lora": {"rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]}},
        "objective": {"method": one(generator, ["gr", "fr", "hybrid"]), "gap_weight": 0.25, "protect": ["sex"], "penalties": {"worst_group": 0.1}},
        "training": {"epochs": 2, "batch_size": 8, "micro_batch_size": 4, "learning_rate": 5.0e-4, "precision": "fp32"},
        "report": {"bootstrap": 50, "threshold": "youden", "probes": True},
    }  # fmt: skip
    return {key: value for key, value in every.items() if generator.random() < 0.8}


def leaves(values: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of all keys, those of mappings too."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield (*path, key)
            yield from leaves(value, (*path, key))


def _at_key(change: Callable[[np.random.Generator, dict, Any], None]) -> Callable:
    """Change the mapping that holds a key drawn at random."""

    def apply(generator: np.random.Generator, values: Values) -> Values:
        values = copy.deepcopy(values)
        paths = list(leaves(values))
        if not paths:
            return values
        *above, key = one(generator, paths)
        inner = values
        for part in above:
            inner = inner[part]
        change(generator, inner, key)
        return values

    return apply


def _value(*choices: Any) -> Callable:
    def change(generator: np.random.Generator, inner: dict, key: Any) -> None:
        inner[key] = one(generator, choices)

    return _at_key(change)


def _misspell(generator: np.random.Generator, inner: dict, key: Any) -> None:
    place = int(generator.integers(len(key)))
    inner[
        one(generator, [key[:place] + key[place + 1 :] + "x", key + "s_", key.upper(), f" {key}-"])
    ] = inner.pop(key)


def _drop(generator: np.random.Generator, inner: dict, key: Any) -> None:
    inner.pop(key)


def _unknown(generator: np.random.Generator, inner: dict, key: Any) -> None:
    inner[one(generator, ["unknown", "lr", 1, None, True, 3.5, datetime.date(2024, 1, 1)])] = 1


def _put(section: str | None, key: str, *choices: Any) -> Callable:
    """One key's value, in a section of its own or at the top."""

    def apply(generator: np.random.Generator, values: Values) -> Values:
        values = copy.deepcopy(values)
        inner = values.setdefault(section, {}) if section else values
        if not isinstance(inner, dict):  # an earlier mutation put something else there
            inner = values[section] = {}
        inner[key] = one(generator, choices)
        return values

    return apply


DATES = (datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 12, 0))
HUGE = (10**30, -(10**30), 10**400, float("inf"), float("-inf"), float("nan"), 1e308)
VALUES = (
    Mutation("a key misspelt", _at_key(_misspell), REFUSED),
    Mutation("an unknown key", _at_key(_unknown), SANE),
    Mutation("a key dropped", _at_key(_drop), SANE),
    Mutation("a date", _value(*DATES), SANE),
    Mutation("a date as a name", _put(None, "name", *DATES), SANE),
    Mutation("a date as a path", _put("data", "path", *DATES), SANE),
    Mutation("a huge number", _value(*HUGE), SANE),
    Mutation("a huge seed", _put(None, "seed", 2**64, 10**30, 10**400), REFUSED),
    Mutation("a negative seed", _put(None, "seed", -1), REFUSED),
    Mutation("huge epochs", _put("training", "epochs", 10**30, 10**400), REFUSED),
    Mutation("a huge rank", _put("model", "lora", {"rank": 10**30}), REFUSED),
    Mutation("a rate that is none", _put("training", "learning_rate", 0, -1e-4, float("nan"), float("inf"), "fast", [1e-4]), REFUSED),
    Mutation("true as a number", _put("training", "epochs", True), REFUSED),
    Mutation("a half as a number", _put("training", "epochs", 1.5), REFUSED),
    Mutation("another type", _value([], {}, "", "word", 3, 2.5, True, [[1]], {"a": {"b": 1}}, None, ["sex"], -1), SANE),
    Mutation("a strange word", _value(*STRANGE_NAMES), SANE),
    Mutation("a strange name", _put(None, "name", *STRANGE_NAMES), SANE),
    Mutation("a name that leaves the folder", _put(None, "name", "..", ".", "../up", "/tmp/x", "a/b"), REFUSED),
    Mutation("a strange attribute", _put("data", "sensitive", *[[n] for n in STRANGE_NAMES]), SANE),
    Mutation("an attribute twice", _put("data", "sensitive", ["sex", "sex"]), SANE),
    Mutation("deep nesting", _put("data", "options", {"seed": [[[[[[[[3]]]]]]]]}), REFUSED),
    Mutation("a strange prompt", _put("data", "prompt", *STRANGE_NAMES, "", " ", "<|im_end|>", "{note}", "{}"), SANE),
    Mutation("a source that is none", _put("data", "source", "simulated", "table:x", "", 3, None, ["table"], {"a": 1}), REFUSED),
    Mutation("a method that is none", _put("objective", "method", "GR", "", 3, None, ["gr"], {"gr": 1}, True), REFUSED),
    Mutation("targets that are none", _put("model", "lora", {"targets": []}, {"targets": "q_proj"}, {"targets": [1]}), REFUSED),
    Mutation("a threshold that is none", _put("report", "threshold", "youdn", 2, -0.1, "sensitivity=2", "sensitivity=", [0.3], float("nan")), REFUSED),
    Mutation("a backbone of another type", _put("model", "backbone", 3, ["miniature"], {}, True), REFUSED),
    Mutation("other order of keys", lambda g, v: {k: v[k] for k in sorted(v, reverse=True)}, SAME),
    Mutation("nothing changed", lambda g, v: v, SAME),
)  # fmt: skip


def _double(generator: np.random.Generator, data: bytes) -> bytes:
    return data + b"training: {epochs: 1}\ntraining: {batch_size: 4}\n"


def _restyled(data: bytes, **style: Any) -> bytes:
    """The same values in another style of YAML, where they can still be read."""
    try:
        return yaml.safe_dump(yaml.safe_load(data), **style).encode()
    except (yaml.YAMLError, RecursionError, ValueError):
        return data


def _double_inside(generator: np.random.Generator, data: bytes) -> bytes:
    return (
        data.replace(b"training:", b"report_: {}\ntraining:")
        + b"generation: {batch_size: 1, batch_size: 2}\n"
    )


TEXTS = (
    *(m for m in BROKEN_BYTES if m.name not in ("empty", "blank")),
    Mutation("a section twice", _double, REFUSED),
    Mutation("a key twice in a section", _double_inside, REFUSED),
    Mutation("a byte order mark", lambda g, d: b"\xef\xbb\xbf" + d, SAME),
    Mutation("lines of DOS", lambda g, d: d.replace(b"\n", b"\r\n"), SAME),
    Mutation("comments", lambda g, d: b"# first: [\n" + d + b"# last: {\n", SAME),
    Mutation("one document", lambda g, d: b"---\n" + d, SAME),
    Mutation("two documents", lambda g, d: d + b"---\nseed: 1\n", REFUSED),
    Mutation("tabs", lambda g, d: d.replace(b"  ", b"\t"), SANE),
    Mutation("in braces", lambda g, d: _restyled(d, default_flow_style=True), SAME),
    Mutation("all in quotes", lambda g, d: _restyled(d, default_style='"'), SAME),
    Mutation("an alias", lambda g, d: b"generation: &g {batch_size: 4}\n" + d, SANE),
    Mutation("an alias of nothing", lambda g, d: d + b"generation: *g\n", REFUSED),
    Mutation("an alias of itself", lambda g, d: d + b"generation: &g {batch_size: *g}\n", REFUSED),
    Mutation("aliases of aliases", lambda g, d: b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((i + 1, i + 1) + (i,) * 9) for i in range(97, 107)) + d, REFUSED),
    Mutation("a merge", lambda g, d: d + b"generation:\n  <<: {batch_size: 4}\n  max_new_tokens: 8\n", SANE),
    Mutation("code", lambda g, d: d + b"generation: !!python/object/apply:os.system ['exit 3']\n", REFUSED),
    Mutation("a tag", lambda g, d: d + one(g, [b"generation: !mine {batch_size: 3}\n", b"generation: !!set {a, b}\n", b"generation: !!binary aGVsbG8=\n"]), REFUSED),
    Mutation("too deep", lambda g, d: d + b"generation: " + one(g, [b"[" * 5000 + b"]" * 5000, b"{a: " * 3000 + b"1" + b"}" * 3000, b"- " * 4000 + b"1"]) + b"\n", REFUSED),
    Mutation("a word", lambda g, d: one(g, [b"recipe\n", b"3\n", b"[gr]\n", b"'\n", b"2024-01-31\n", b"- a: 1\n", b"%YAML 3.0\n"]), REFUSED),
    Mutation("a control character", lambda g, d: d + one(g, [b"# \x07\n", b"name: \x1b[31m\n", b"name: \"\\ud800\"\n"]), SANE),
    Mutation("a number in another base", lambda g, d: d + one(g, [b"generation: {batch_size: 0x10}\n", b"generation: {batch_size: 1_0}\n", b"generation: {batch_size: 010}\n", b"generation: {batch_size: 1:30}\n"]), EITHER),
    Mutation("a complicated key", lambda g, d: d + one(g, [b"? [a, b]\n: 1\n", b"? {a: 1}\n: 1\n", b"? \n: 1\n", b"1: 2\n", b"null: 3\n", b"2024-01-31: 3\n"]), REFUSED),
)  # fmt: skip
SETTINGS = (
    ("training.epochs=1", SAME), ("training.epochs=", REFUSED), ("training.epochs", REFUSED), ("=1", REFUSED),
    ("training..epochs=1", REFUSED), (".=1", REFUSED), ("training.epochs.x=1", REFUSED), ("training=1", REFUSED),
    ("training={epochs: 1}", SAME), ("training.epochs=[", REFUSED), ("training.epochs=!!python/none", REFUSED),
    ("training.epochs=1e400", REFUSED), ("training.epochs=2024-01-31", REFUSED), ("training.epochs=true", REFUSED),
    ("seed=" + "9" * 5000, REFUSED), ("training.epochs=" + "[" * 5000, REFUSED), ("name=\ud800", REFUSED),
    ("training.epochs={a: 1, a: 2}", REFUSED), ("trainnig.epochs=1", REFUSED), ("TRAINING.EPOCHS=1", REFUSED), ("name=2024-01-31", SANE),
    ("training.epochs=1\ntraining.epochs=2", REFUSED), ("data.options.seed.x=1", REFUSED), ("data.sensitive=sex", REFUSED),
)  # fmt: skip


def read_recipe_plainly(data: bytes) -> Any:
    """The file's mapping, every plain word as text. Raises UnclearError where a key stands twice."""
    try:
        node = yaml.compose(data, Loader=yaml.SafeLoader)
        return _plain(node) if node is not None else {}
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        raise UnclearError(f"no YAML ({type(error).__name__})") from error


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        quoted = node.style in ("'", '"')
        return node.value if quoted or node.tag != "tag:yaml.org,2002:null" else None
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child) for child in node.value]
    values: Values = {}
    for key, child in node.value:
        name = _plain(key)
        if not isinstance(name, str) or name in values:
            raise UnclearError(f"the key {name!r}")
        values[name] = _plain(child)
    return values


def lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """Where a recipe says another thing than its file."""
    if given is None:
        return []  # null: the recipe's own choice
    if isinstance(given, dict):
        if "<<" in given:
            return []
        if not isinstance(kept, dict):
            return [f"{path}: {kept!r}, and the file has keys"]
        return [d for k, v in given.items() for d in lost(v, kept.get(k, "nothing"), f"{path}.{k}")]
    if isinstance(given, list):
        if not isinstance(kept, list | tuple) or len(kept) != len(given):
            return [f"{path}: {kept!r}, and the file has {given!r}"]
        return [d for g, k in zip(given, kept, strict=True) for d in lost(g, k, path)]
    if isinstance(kept, bool):
        same = given.lower() == str(kept).lower()
    elif isinstance(kept, int | float):
        same = _number(given) == float(kept)
    else:
        same = str(kept) == given or _number(given) == _number(str(kept)) is not None
    return [] if same else [f"{path}: {kept!r}, and the file has {given!r}"]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _load(file: Path, settings: list[str]) -> tuple[Any, str]:
    """The recipe and '', or None and why it is refused."""
    from fairlora_cls.errors import InputError
    from fairlora_cls.recipe import load_recipe

    try:
        return load_recipe(file, settings), ""
    except InputError as error:
        return None, str(error)


def case(base: Path, generator: np.random.Generator, folder: Path, applied: list[str]) -> None:
    original = values = make_values(generator)
    settings: list[str] = []
    kind = generator.random()
    if kind < 0.5:
        chosen, holds = choose(generator, VALUES, applied)
        for mutation in chosen:
            values = mutation.change(generator, values)
    data = before = yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode()
    if 0.5 <= kind < 0.85:
        chosen, holds = choose(generator, TEXTS, applied)
        for mutation in chosen:
            data = mutation.change(generator, data)
        holds = SAME if data == before else holds
    elif kind >= 0.85:
        setting, holds = one(generator, SETTINGS)
        applied.append(f"--set {setting[:60]!r} ({holds})")
        settings = [setting]
    if values == original and data == before and not settings:
        holds = SAME  # no key was there to be changed
    file = folder / "recipe.yaml"
    file.write_bytes(data)
    with untouched(file):
        recipe, reason = _load(file, settings)
        if recipe is None:
            _refused_by_train(file, settings, folder)
    assert recipe or holds != SAME, f"refused: {reason}"
    if recipe is None:
        return
    assert holds != REFUSED, "accepted"
    kept = recipe.model_dump()
    for content in [data, *([before] if holds in (SAME, EITHER) else [])]:
        try:
            given = read_recipe_plainly(content)
        except UnclearError as error:
            raise AssertionError(f"accepted, and the file is not to be read: {error}") from error
        for setting in settings:  # stands over the file's own
            given.pop(setting.split("=")[0].split(".")[0], None)
        wrong = lost(given, kept)
        assert not wrong, f"changed: {wrong[:3]}"
    if not settings:
        again = folder / "again.yaml"
        _repeats(recipe, again)


def _repeats(recipe: Any, file: Path) -> None:
    """A recipe as it is written beside a run is read back to an equal one."""
    from fairlora_cls.recipe import load_recipe, recipe_to_yaml

    file.write_text(recipe_to_yaml(recipe), encoding="utf-8")
    assert load_recipe(file) == recipe, "the resolved recipe is another recipe"


def _refused_by_train(file: Path, settings: list[str], folder: Path) -> None:
    """`train` says so in one sentence, and makes no folder."""
    options = [word for setting in settings for word in ("--set", setting)]
    outcome = run_command("train", file, "--output", folder / "run", *options)
    judge_end(outcome, (2,))
    judge_folder(folder, "recipe.yaml")


KIND = Kind(prepare=lambda folder: folder, case=case, short=90, heavy=350)
