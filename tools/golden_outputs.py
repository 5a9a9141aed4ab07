"""What the pages of ten inputs say, to be compared before and after a change of structure.

`python tools/golden_outputs.py FOLDER [NAME …]` makes the outputs, or those named; `diff -r BEFORE AFTER` compares
two of them. White space between tags and the drawings (SVG) of the HTML pages are folded, because
a change of structure may move those; every number and every word is kept.
"""

import html
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from fairlora_cls.cli.app import app

BASE = """
data:
  source: simulated-fundus
  options: {train: 48, validation: 24, test: 40, seed: 7}
  sensitive: [sex, ethnicity]
training: {epochs: 1, warmup_steps: 1}
report: {bootstrap: 20}
"""
ABLATION = """
name: small
base: base.yaml
settings:
  - {name: plain, objective.method: vanilla}
  - {name: penalty, objective.method: fr}
grid: {seed: [1, 2]}
"""
FINDINGS = ("No effusion.", "Small left effusion.", "Cardiomegaly.", "No acute abnormality.")


def write_predictions(path, classes=("no", "yes"), count=600, seed=0, units=False, skill=1.2):
    """A table of predictions whose smaller group is served worse."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(len(classes), size=count)
    sex = draw.choice(["F", "M"], count)
    race = draw.choice(["Asian", "Black", "White", ""], count, p=[0.1, 0.15, 0.73, 0.02])
    scores = draw.normal(size=(count, len(classes)))
    scores[np.arange(count), labels] += np.where(race == "Asian", 0.2, skill)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    names = [f"prob_{name}" for name in classes]
    lines = [",".join(["id", "label", *names, "sex", "race", *(["unit"] if units else [])])]
    for i in range(count):
        row = [f"i{i}", classes[labels[i]], *(f"{p:.12g}" for p in chances[i]), sex[i], race[i]]
        lines.append(",".join([*row, *([f"p{i // 3}"] if units else [])]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_texts(path, questions=("report",), count=160, seed=0, skill=0.6):
    """Texts, of which the women's are right less often."""
    draw, model = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    rows = []
    for i in range(count):
        sex = "FM"[int(draw.integers(2))]
        for question in questions:
            reference = FINDINGS[int(draw.integers(len(FINDINGS)))]
            right = model.random() < skill + (0.2 if sex == "M" else 0)
            text = reference if right else FINDINGS[int(model.integers(len(FINDINGS)))]
            rows.append(
                {
                    "id": f"i{i}#{question}",
                    "unit": f"i{i}",
                    "question": question,
                    "reference": reference,
                    "text": text,
                    "attributes": {"sex": sex, "age": ["young", "old"][i % 2]},
                }
            )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def commands(inputs: Path) -> dict[str, list[str]]:
    """Name → the words of a command that writes a folder of that name."""
    few = ["--bootstrap", "200"]
    crossed = ["--attribute", "sex", "--attribute", "race", "--attribute", "sex×race"]
    write_predictions(inputs / "two.csv")
    write_predictions(inputs / "other.csv", seed=0, skill=1.6)
    write_predictions(inputs / "validation.csv", seed=1)
    write_predictions(inputs / "three.csv", ("bcc", "mel", "nv"))
    write_predictions(inputs / "units.csv", units=True)
    write_texts(inputs / "texts.jsonl")
    write_texts(inputs / "better.jsonl", skill=0.75)
    write_texts(inputs / "asked.jsonl", ("finding", "side"))
    (inputs / "base.yaml").write_text(BASE, encoding="utf-8")
    (inputs / "small.yaml").write_text(ABLATION, encoding="utf-8")
    rule = ["--threshold", "sensitivity=0.9", "--validation", f"{inputs}/validation.csv"]
    return {
        "two-classes": ["report", "two.csv", *crossed, *few],
        "three-classes": ["report", "three.csv", *few],
        "units": ["report", "units.csv", *few],
        "suppressed": ["report", "two.csv", "--suppress-below", "12", *few],
        "threshold": ["report", "two.csv", *rule, *few],
        "texts": ["report", "texts.jsonl", *few],
        "questions": ["report", "asked.jsonl", *few],
        "two-tables": ["compare", "two.csv", "other.csv", *few],
        "two-texts": ["compare", "texts.jsonl", "better.jsonl", *few],
        "ablation": ["ablate", "small.yaml"],
        "seeds": ["compare", *(f"{{ablation}}/{s}/seed-{n}" for s in ("plain", "penalty") for n in (1, 2)), *few],
        "check": ["check", "base.yaml"],
    }  # fmt: skip


def folded(page: str) -> str:
    """HTML with one tag a line, no white space between tags, and no drawings."""
    page = re.sub(r"<svg.*?</svg>", "<svg/>", page, flags=re.DOTALL)
    page = re.sub(r"<style>.*?</style>", "<style/>", page, flags=re.DOTALL)
    page = re.sub(r"\s+", " ", page)
    return html.unescape(re.sub(r"> ?<", ">\n<", page)).strip() + "\n"


def write(target: Path, names: list[str]) -> None:
    """Run the commands of `names`, all where it is empty; keep JSON, Markdown and folded HTML."""
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch)
        for name, words in commands(inputs).items():
            if names and name not in names:
                continue
            folder = inputs / name
            files = [
                str(inputs / word) if (inputs / word).is_file() else word.format(ablation=inputs / "ablation")
                for word in words
            ]  # fmt: skip
            done = CliRunner().invoke(app, [*files, "--output", str(folder)])
            if done.exit_code:
                raise SystemExit(f"{name}: {done.output}")
            (target / name).mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob("*.*")):
                text = path.read_text(encoding="utf-8").replace(scratch, "INPUTS")
                text = re.sub(r'"seconds.*?": [0-9.]+', '"seconds": 0', text)
                if path.suffix == ".html":
                    text = folded(text)
                if path.suffix in (".html", ".md", ".json"):
                    (target / name / path.name).write_text(text, encoding="utf-8")
            print(name, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    write(Path(sys.argv[1]), sys.argv[2:])
