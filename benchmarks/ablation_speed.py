"""A grid of runs by `ablate` beside the same runs one by one, each a `fairlora-cls train`.

Same recipes, images and warm vision cache; the runs of both are compared byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

COMPARED = ("adapter/adapter_model.safetensors", "predictions/test.csv", "report/report.json")


@dataclass(frozen=True)
class Cost:
    """Seconds of a variant: by the clock, and of all its processes' processor time."""

    variant: str
    wall: float
    processor: float


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64, help="of each split")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.5, 1.0], help="λ")
    parser.add_argument("--bootstrap", type=int, default=200)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1], help="processes of ablate")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    return parser.parse_args()


def measure(variant: str, commands: list[list[str]]) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(variant, time.perf_counter() - started, processor)


def differing(alone: Path, together: Path) -> list[str]:
    files = [p for p in alone.rglob("*") if str(p).endswith(COMPARED)]
    return [
        str(p.relative_to(alone))
        for p in files
        if p.read_bytes() != (together / p.relative_to(alone)).read_bytes()
    ]


def main() -> None:
    options = read_options()
    command = [sys.executable, "-m", "fairlora_cls"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ.setdefault("FAIRLORA_CACHE", str(folder / "cache"))
        file = folder / "grid.yaml"
        size = {f"data.options.{name}": options.images for name in ("train", "validation", "test")}
        fixed = size | {
            "objective.method": "fr",
            "training.epochs": options.epochs,
            "training.warmup_steps": 2,
            "report.bootstrap": options.bootstrap,
        }
        grid = {
            "objective.gap_weight": options.weights,
            "seed": list(range(1, options.seeds + 1)),
        }
        file.write_text(json.dumps({"base": "quickstart", "set": fixed, "grid": grid}))
        warm = [*command, "ablate", str(file), "--output", str(folder / "warm")]
        subprocess.run(
            [*warm, "--set", "grid.seed=[1]", "--set", "grid.objective.gap_weight=[0.0]"],
            check=True,
            capture_output=True,
        )
        ablate = [*command, "ablate", str(file), "--output"]
        printed = subprocess.run(
            [*ablate, str(folder / "alone"), "--print"], check=True, capture_output=True, text=True
        )
        singles = [[*command, *shlex.split(line)[1:]] for line in printed.stdout.splitlines()]
        print(
            f"{len(singles)} runs of {options.images} images, {options.epochs} epoch(s), ", end=""
        )
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
        costs = [measure("one by one", singles)]
        for count in options.jobs:
            together = folder / f"jobs-{count}"
            costs.append(
                measure(f"ablate --jobs {count}", [[*ablate, str(together), "--jobs", str(count)]])
            )
            odd = differing(folder / "alone", together)
            print(f"ablate --jobs {count}: {len(odd)} files differ from the single runs'")
        for cost in costs:
            print(
                f"{cost.variant:18} {cost.wall:7.1f} s, processor {cost.processor:7.1f} s; "
                f"{costs[0].wall / cost.wall:.2f} × by the clock, "
                f"{costs[0].processor / cost.processor:.2f} × by processor time"
            )
        if options.json:
            options.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=2))


if __name__ == "__main__":
    main()
