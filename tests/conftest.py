"""Shared fixtures: a small cohort on disk, the miniature backbone, and a cache of their own."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported anywhere

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    os.environ["FAIRLORA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """48 / 24 / 40 simulated eyes on disk."""
    from fairlora_cls.data.simulated.cohorts import write_cohort
    from fairlora_cls.data.simulated.fundus import FUNDUS

    folder = tmp_path_factory.mktemp("data") / "cohort"
    return write_cohort(FUNDUS, folder, train=48, validation=24, test=40, seed=7)


@pytest.fixture(scope="session")
def _loaded_backbone():
    import torch

    from fairlora_cls.models.backbones import load_backbone

    return load_backbone("miniature", torch.float32, 31360)


@pytest.fixture
def backbone(_loaded_backbone):
    """A fresh copy of the miniature: attaching LoRA changes a backbone in place."""
    return copy.deepcopy(_loaded_backbone)


@pytest.fixture(scope="session")
def command():
    """Run `python -m fairlora_cls …` in a process of its own."""

    def run(*arguments, cwd, **options):
        return subprocess.run(
            [sys.executable, "-m", "fairlora_cls", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"},
            check=False,
            **options,
        )

    return run


@pytest.fixture
def display():
    from fairlora_cls.training.loop import SilentDisplay

    return SilentDisplay()


@pytest.fixture(scope="session")
def small_run(cohort, tmp_path_factory):
    """A finished run of one epoch on the small cohort: (folder, outcome)."""
    from fairlora_cls.recipe import build_recipe
    from fairlora_cls.runs import train as run

    folder = tmp_path_factory.mktemp("runs") / "small"
    values = {
        "data": {
            "source": "table",
            "path": str(cohort),
            "options": {
                "attributes": ["ethnicity", "sex", "race", "age_group"],
                "classes": ["no", "yes"],
            },
            "sensitive": ["sex", "ethnicity"],
        },
        "objective": {"method": "hybrid"},
        "training": {"epochs": 1, "warmup_steps": 2},
        "report": {"bootstrap": 50},
    }
    return folder, run.train(build_recipe(values), folder)
