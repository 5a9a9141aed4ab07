"""What do trained clinical scorers say of each text? RadGraph-F1, CheXbert and GREEN, by their packages.

The packages are an optional extra and their weights are never downloaded from here: the hub is
switched off while they load, and a message says what is missing. Texts and references are not
blank. N texts.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from fairlora_cls.data.chexpert import FINDINGS
from fairlora_cls.errors import InputError

RADGRAPH_MODEL = "radgraph"  # the first RadGraph (Jain et al. 2021), which FairLLaVA cites
RADGRAPH_LEVEL = (
    "partial"  # RG_ER of Delbrouck et al. 2022: entities, and whether they have relations
)
GREEN_MODEL = "StanfordAIMI/GREEN-radllama2-7b"
OTHERWISE = "or compute it elsewhere and bring it with --scores FILE.csv (id, metric, value)"


def radgraph_f1(references: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """(N,) RadGraph-F1 in [0, 1]: the overlap of clinical entities, told apart by whether they stand
    in a relation (package radgraph, reward level `partial`, model `radgraph`).

    Raises InputError where the package or the weights are missing.
    """
    package = _require("radgraph_f1", "radgraph", "clinical")
    folder = Path(importlib.import_module("radgraph.radgraph").CACHE_DIR) / RADGRAPH_MODEL
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(
            f"radgraph_f1 needs RadGraph's weights in '{folder}': let the package fetch them once "
            f'(python -c "import radgraph; radgraph.RadGraph(model_type={RADGRAPH_MODEL!r})"), {OTHERWISE}.'
        )
    with _from_disk_alone("radgraph_f1"):
        scorer = package.F1RadGraph(reward_level=RADGRAPH_LEVEL, model_type=RADGRAPH_MODEL)
        _, scores, _, _ = scorer(refs=list(references), hyps=list(texts))
    return np.asarray(scores, dtype=np.float64)


def chexbert_findings(texts: Sequence[str]) -> np.ndarray:
    """(N, 14) bool: which of `FINDINGS` CheXbert (Smit et al. 2020) reads in each text (package
    f1chexbert, whose rule is that an uncertain finding counts as there).

    Raises InputError where the package or the weights are missing.
    """
    package = _require("chexbert_f1", "f1chexbert", "clinical")
    file = Path(importlib.import_module("f1chexbert.f1chexbert").CACHE_DIR) / "chexbert.pth"
    if not file.is_file():
        raise InputError(
            f"chexbert_f1 needs CheXbert's weights at '{file}': put chexbert.pth of the model hub's "
            f"StanfordAIMI/RRG_scorers there, {OTHERWISE}."
        )
    with _from_disk_alone("chexbert_f1"):
        scorer = package.F1CheXbert()
        read = {text: scorer.get_label(text) for text in dict.fromkeys(texts)}
    order = [scorer.target_names.index(finding) for finding in FINDINGS]
    return np.array([[bool(read[text][k]) for k in order] for text in texts], dtype=bool)


def green(references: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """(N,) GREEN in [0, 1] (Ostmeier et al. 2024): matched findings over matched findings plus
    clinically significant errors, as a 7-billion-parameter model counts them; NaN where its answer
    cannot be read. It needs a GPU.

    Raises InputError where the package or the weights are missing.
    """
    package = _require("green", "green_score", "green")
    hub = importlib.import_module("huggingface_hub")
    if not isinstance(hub.try_to_load_from_cache(GREEN_MODEL, "config.json"), str):
        raise InputError(
            f"green needs the weights of {GREEN_MODEL} in the model hub's cache: fetch them once "
            f"(hf download {GREEN_MODEL}), {OTHERWISE}."
        )
    with _from_disk_alone("green"), tempfile.TemporaryDirectory() as folder:
        scorer = package.GREEN(GREEN_MODEL, output_dir=folder)
        _, _, scores, _, _ = scorer(list(references), list(texts))
    return np.array([np.nan if score is None else score for score in scores], dtype=np.float64)


def _require(metric: str, package: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{metric} needs the package {package} ({error}): pip install 'fairlora-cls[{extra}]', "
            f"{OTHERWISE}."
        ) from error


@contextmanager
def _from_disk_alone(metric: str) -> Iterator[None]:
    """The model hub is switched off inside; what a package misses on disk becomes an InputError."""
    constants = importlib.import_module("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{metric} misses a file that its package would download ({' '.join(str(error).split())}): "
            f"fetch it once by running the package itself, {OTHERWISE}."
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before
