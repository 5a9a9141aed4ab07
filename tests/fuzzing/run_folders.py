"""Finished runs with a file cut, lost, swapped or changed, into predict, evaluate, compare and report.

What is not refused gives exactly what the whole run gives.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tests.fuzzing import data_tables
from tests.fuzzing.cases import (
    EITHER,
    REFUSED,
    SAME,
    SANE,
    Kind,
    Mutation,
    differences,
    judge_end,
    judge_folder,
    one,
    read_plain_json,
    read_report,
    run_command,
    undrawn_figures,
    untouched,
)

RUNS = ("first", "second")  # of two seeds
ADAPTER = ("adapter/adapter_model.safetensors", "adapter/head.safetensors")
SETTINGS = ("adapter/adapter_config.json", "adapter/classifier.json", "run.json")
READ = (
    *ADAPTER,
    *SETTINGS,
    "recipe.yaml",
    "adapter/tokenizer.json",
    "adapter/processor_config.json",
)
UNREAD = ("README.md", "log.jsonl", "report/report.json", "report/report.html")


@dataclass(frozen=True)
class Base:
    """Two runs, the images, and what each verb gives of the whole runs."""

    folder: Path
    whole: dict[str, Any]


def _to(files: tuple[str, ...], change: Callable[[np.random.Generator, Path], None]) -> Callable:
    """Change one of the files of the first run."""
    return lambda generator, folder: change(generator, folder / RUNS[0] / one(generator, files))


def _remove(generator: np.random.Generator, path: Path) -> None:
    path.unlink(missing_ok=True)


def _empty(generator: np.random.Generator, path: Path) -> None:
    path.write_bytes(b"")


def _cut(generator: np.random.Generator, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(generator.integers(1, len(data)))])


def _noise(generator: np.random.Generator, path: Path) -> None:
    path.write_bytes(generator.bytes(500))


def _flip(generator: np.random.Generator, path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[int(generator.integers(len(data)))] ^= 1 << int(generator.integers(8))
    path.write_bytes(bytes(data))


def _folder(generator: np.random.Generator, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _swap(generator: np.random.Generator, path: Path) -> None:
    """The other run's file, which is whole, in its place."""
    parts = list(path.parts)
    parts[len(parts) - 1 - parts[::-1].index(RUNS[0])] = RUNS[1]
    shutil.copyfile(Path(*parts), path)


def _tensors(change: Callable[[dict, str], Any]) -> Callable:
    def apply(generator: np.random.Generator, path: Path) -> None:
        tensors = load_file(path)
        change(tensors, one(generator, sorted(tensors)))
        save_file(tensors, path, metadata={"format": "pt"})

    return apply


def _json(change: Callable[[np.random.Generator, dict, str], Any]) -> Callable:
    def apply(generator: np.random.Generator, path: Path) -> None:
        values = json.loads(path.read_text(encoding="utf-8"))
        change(generator, values, one(generator, sorted(values)))
        path.write_text(json.dumps(values), encoding="utf-8")

    return apply


def _lines(generator: np.random.Generator, path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    gone = int(generator.integers(len(lines)))
    path.write_text("".join(lines[:gone] + lines[gone + 1 :]), encoding="utf-8")


def _no_up_projections(tensors: dict, name: str) -> None:
    for key in [k for k in tensors if "lora_B" in k or len(tensors) < 4]:
        tensors.pop(key)


DAMAGE = (
    Mutation("weights lost", _to(ADAPTER, _remove), REFUSED),
    Mutation("weights of no bytes", _to(ADAPTER, _empty), REFUSED),
    Mutation("weights cut", _to(ADAPTER, _cut), REFUSED),
    Mutation("weights of noise", _to(ADAPTER, _noise), REFUSED),
    Mutation("a bit of the weights flipped", _to(ADAPTER, _flip), EITHER),
    Mutation("weights of the other run", _to(ADAPTER, _swap), REFUSED),
    Mutation("a tensor lost", _to(ADAPTER, _tensors(lambda t, k: t.pop(k))), REFUSED),
    Mutation("all lora_B lost", _to(ADAPTER, _tensors(_no_up_projections)), REFUSED),
    Mutation("a tensor renamed", _to(ADAPTER, _tensors(lambda t, k: t.update({k + "_": t.pop(k)}))), REFUSED),
    Mutation("a tensor more", _to(ADAPTER, _tensors(lambda t, k: t.update(more=torch.zeros(2)))), REFUSED),
    Mutation("a weight that is no number", _to(ADAPTER, _tensors(lambda t, k: t[k].view(-1)[:1].fill_(float("nan")))), REFUSED),
    Mutation("an infinite weight", _to(ADAPTER, _tensors(lambda t, k: t[k].view(-1)[:1].fill_(float("inf")))), REFUSED),
    Mutation("a tensor of zeros", _to(ADAPTER, _tensors(lambda t, k: t[k].zero_())), EITHER),
    Mutation("a tensor of another shape", _to(ADAPTER, _tensors(lambda t, k: t.update({k: t[k][..., :-1].contiguous()}))), REFUSED),
    Mutation("a tensor of another type", _to(ADAPTER, _tensors(lambda t, k: t.update({k: t[k].half()}))), EITHER),
    Mutation("a setting lost", _to(SETTINGS, _json(lambda g, v, k: v.pop(k))), EITHER),
    Mutation("a setting of another type", _to(SETTINGS, _json(lambda g, v, k: v.update({k: one(g, [None, [], {}, "x", -1, 10**30, True])}))), EITHER),
    Mutation("a setting more", _to(SETTINGS, _json(lambda g, v, k: v.update(more=1))), EITHER),
    Mutation("settings that are a list", _to(SETTINGS, lambda g, p: p.write_text("[]")), EITHER),
    Mutation("a file lost", _to(READ, _remove), EITHER),
    Mutation("a file of no bytes", _to(READ, _empty), EITHER),
    Mutation("a file cut", _to(READ, _cut), EITHER),
    Mutation("a file of noise", _to(READ, _noise), EITHER),
    Mutation("a bit flipped", _to(READ, _flip), EITHER),
    Mutation("a file that is a folder", _to(READ, _folder), EITHER),
    Mutation("a file of the other run", _to(READ, _swap), EITHER),
    Mutation("a line of the recipe lost", _to(("recipe.yaml",), _lines), EITHER),
    Mutation("a recipe of one key", _to(("recipe.yaml",), lambda g, p: p.write_text("data: {limit: 8}\n")), EITHER),
    Mutation("a recipe of no bytes", _to(("recipe.yaml",), _empty), EITHER),
    Mutation("a file lost that no one reads", _to(UNREAD, _remove), SAME),
    Mutation("a file cut that no one reads", _to(UNREAD, _cut), SAME),
    Mutation("no checkpoints", lambda g, f: shutil.rmtree(f / RUNS[0] / "checkpoints"), SAME),
    Mutation("no adapter", lambda g, f: shutil.rmtree(f / RUNS[0] / "adapter"), REFUSED),
    Mutation("no predictions", lambda g, f: shutil.rmtree(f / RUNS[0] / "predictions"), SAME),
    Mutation("nothing", lambda g, f: [shutil.rmtree(f / RUNS[0]), (f / RUNS[0]).mkdir()], REFUSED),
)  # fmt: skip
# Of what the verbs without a model read; a table has no more than itself to be judged by.
TABLES = tuple(f"predictions/{split}.csv" for split in ("test", "validation"))
TABLE_DAMAGE = (
    *(m for m in DAMAGE if "recipe" in m.name),
    Mutation("predictions lost", _to(TABLES[:1], _remove), REFUSED),
    Mutation("predictions of no bytes", _to(TABLES[:1], _empty), REFUSED),
    Mutation("predictions of noise", _to(TABLES[:1], _noise), REFUSED),
    Mutation("predictions cut", _to(TABLES, _cut), SANE),
    Mutation("a line of predictions lost", _to(TABLES, _lines), SANE),
    Mutation("a bit of the predictions flipped", _to(TABLES, _flip), SANE),
    Mutation("a state of no bytes", _to(("run.json",), _empty), EITHER),
    Mutation("weights lost", _to(ADAPTER, _remove), EITHER),
    Mutation("a file lost that no one reads", _to(UNREAD, _remove), SAME),
)  # fmt: skip


def _predict(folder: Path, images: list[Path]) -> tuple[str, ...]:
    return ("predict", str(folder / RUNS[0]), *map(str, images))


def _evaluate(folder: Path, images: list[Path]) -> tuple[str, ...]:
    out = ("--output", str(folder / "written"))
    return ("evaluate", str(folder / RUNS[0]), "--split", "validation", *out)


def _compare(folder: Path, images: list[Path]) -> tuple[str, ...]:
    out = ("--output", str(folder / "written"))
    return ("compare", str(folder / RUNS[0]), str(folder / RUNS[1]), "--bootstrap", "0", *out)


def _report(folder: Path, images: list[Path]) -> tuple[str, ...]:
    table = str(folder / RUNS[0] / TABLES[0])
    return ("report", table, "--bootstrap", "0", "--output", str(folder / "written"))


# What a verb gives, as values to compare.
VERBS: dict[str, tuple[Callable, Callable[[Path, str], Any]]] = {
    "predict": (_predict, lambda written, output: output),
    "evaluate": (_evaluate, lambda written, output: read_report(written / "report")),
    "compare": (_compare, lambda written, output: read_plain_json(written / "comparison.json")),
    "report": (_report, lambda written, output: read_report(written)),
}


def prepare(folder: Path) -> Base:
    home = data_tables.prepare(folder / "data")
    rows = [
        f"images/{i:03d}.png,{'yes' if i // 2 % 2 else 'no'},{'FM'[i % 2]},{('train', 'validation', 'test')[i // 4 % 3]}\n"
        for i in range(data_tables.ROWS)
    ]  # fmt: skip
    (home / "table.csv").write_text("image,label,sex,split\n" + "".join(rows), encoding="utf-8")
    images = sorted((home / "images").iterdir())[:2]
    whole = {}
    with undrawn_figures():
        for seed, name in enumerate(RUNS):
            options = (
                "training.epochs=1",
                "report.bootstrap=0",
                "data.sensitive=[sex]",
                f"seed={seed}",
            )
            outcome = run_command(
                *("train", "--quick", "--method", "vanilla", "--data", f"table:{home}"),
                *("--output", folder / name, *(word for o in options for word in ("--set", o))),
            )
            judge_end(outcome, (0,))
        for verb, (arguments, meaning) in VERBS.items():
            outcome = run_command(*arguments(folder, images))
            judge_end(outcome, (0,))
            whole[verb] = meaning(folder / "written", outcome.output)
            shutil.rmtree(folder / "written", ignore_errors=True)
    return Base(folder, whole)


def case(base: Base, generator: np.random.Generator, folder: Path, applied: list[str]) -> None:
    verb = one(generator, ["predict", "predict", "predict", "evaluate", "compare", "report"])
    mutation = one(generator, DAMAGE if verb in ("predict", "evaluate") else TABLE_DAMAGE)
    holds = mutation.holds
    if verb == "report" and "predictions" not in mutation.name:
        holds = SAME
    applied += [verb, f"{mutation.name} ({holds})"]
    for name in RUNS:
        shutil.copytree(base.folder / name, folder / name)
    mutation.change(generator, folder)
    arguments, meaning = VERBS[verb]
    images = sorted((base.folder / "data" / "images").iterdir())[:2]
    with undrawn_figures(), untouched(*(folder / name for name in RUNS)):
        outcome = run_command(*arguments(folder, images))
    judge_end(outcome, (0, 1, 2))
    wrote = outcome.code == 0 and verb != "predict"
    judge_folder(folder, *RUNS, *(["written"] if wrote else []))
    assert outcome.code == 0 or holds != SAME, f"exit {outcome.code}: {outcome.errors[-300:]}"
    assert outcome.code or holds != REFUSED, f"exit 0: {outcome.output[-200:]}"
    if outcome.code == 0 and holds != SANE:
        found = meaning(folder / "written", outcome.output)
        wrong = differences(base.whole[verb], found)
        assert not wrong, f"another result: {wrong[:3]}"


KIND = Kind(prepare=prepare, case=case, short=12, heavy=150)
