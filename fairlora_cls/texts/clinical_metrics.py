"""What do trained clinical scorers say of each text? RadGraph-F1, CheXbert and GREEN, by their packages.

The packages are an optional extra. Scoring never downloads their weights: the hub is switched off
meanwhile, and a message says what is missing; `fetch_weights` gets them, when it is called. Texts
and references are not blank. N texts.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from fairlora_cls.data.sources.chexpert import FINDINGS
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.texts.tokenizer_bridge import older_tokenizers

RADGRAPH_MODEL = "radgraph"  # the first RadGraph (Jain et al. 2021), which FairLLaVA cites
RADGRAPH_LEVEL = (
    "partial"  # RG_ER of Delbrouck et al. 2022: entities, and whether they have relations
)
CHEXBERT_WEIGHTS, CHEXBERT_FILE = "StanfordAIMI/RRG_scorers", "chexbert.pth"
CHEXBERT_ENCODER = "bert-base-uncased"
GREEN_MODEL = "StanfordAIMI/GREEN-radllama2-7b"
PACKAGES = {  # metric → its package, and the optional extra that has it
    "radgraph_f1": ("radgraph", "clinical"),
    "chexbert_f1": ("f1chexbert", "clinical"),
    "green": ("green_score", "green"),
}
OTHERWISE = "or compute it elsewhere and bring it with --scores FILE.csv (id, metric, value)"


def radgraph_f1(references: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """(N,) RadGraph-F1 in [0, 1]: the overlap of clinical entities, told apart by whether they stand
    in a relation (package radgraph, reward level `partial`, model `radgraph`).

    Raises InputError where the package or the weights are missing.
    """
    package = _require("radgraph_f1")
    folder = Path(importlib.import_module("radgraph.radgraph").CACHE_DIR) / RADGRAPH_MODEL
    if not folder.is_dir() or not any(folder.iterdir()):
        raise _missing_weights("radgraph_f1", folder)
    with _from_disk_alone("radgraph_f1"), older_tokenizers():
        scorer = package.F1RadGraph(reward_level=RADGRAPH_LEVEL, model_type=RADGRAPH_MODEL)
        _, scores, _, _ = scorer(refs=list(references), hyps=list(texts))
    return np.asarray(scores, dtype=np.float64)


def chexbert_findings(texts: Sequence[str]) -> np.ndarray:
    """(N, 14) bool: which of `FINDINGS` CheXbert (Smit et al. 2020) reads in each text (package
    f1chexbert, whose rule is that an uncertain finding counts as there).

    Raises InputError where the package or the weights are missing.
    """
    package = _require("chexbert_f1")
    file = Path(importlib.import_module("f1chexbert.f1chexbert").CACHE_DIR) / CHEXBERT_FILE
    if not file.is_file():
        raise _missing_weights("chexbert_f1", file)
    with _from_disk_alone("chexbert_f1"), older_tokenizers():
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
    package = _require("green")
    hub = importlib.import_module("huggingface_hub")
    if not isinstance(hub.try_to_load_from_cache(GREEN_MODEL, "config.json"), str):
        raise _missing_weights("green", GREEN_MODEL)
    with _from_disk_alone("green"), tempfile.TemporaryDirectory() as folder:
        scorer = package.GREEN(GREEN_MODEL, output_dir=folder)
        _, _, scores, _, _ = scorer(list(references), list(texts))
    return np.array([np.nan if score is None else score for score in scores], dtype=np.float64)


def fetch_weights(metric: str) -> None:
    """Downloads what `radgraph_f1`, `chexbert_f1` or `green` needs, to where its package looks.

    Nothing else in this package calls it. Raises InputError for another metric or a missing package.
    """
    if metric not in PACKAGES:
        raise InputError(f"'{metric}' has no weights to fetch{nearest(metric, PACKAGES)}")
    package = _require(metric)
    hub = importlib.import_module("huggingface_hub")
    if metric == "radgraph_f1":
        with older_tokenizers():
            package.RadGraph(model_type=RADGRAPH_MODEL)
    elif metric == "chexbert_f1":
        folder = importlib.import_module("f1chexbert.f1chexbert").CACHE_DIR
        hub.hf_hub_download(CHEXBERT_WEIGHTS, CHEXBERT_FILE, local_dir=folder)
        hub.snapshot_download(CHEXBERT_ENCODER, allow_patterns=["*.json", "vocab.txt"])
    else:
        hub.snapshot_download(GREEN_MODEL)


def _require(metric: str) -> ModuleType:
    package, extra = PACKAGES[metric]
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{metric} needs the package {package} ({error}): pip install 'fairlora-cls[{extra}]', "
            f"{OTHERWISE}."
        ) from error


def _missing_weights(metric: str, where: object) -> InputError:
    return InputError(
        f"{metric} needs weights that are not there ({where}); download them once with python -c "
        f'"from fairlora_cls.texts.clinical_metrics import fetch_weights; '
        f"fetch_weights('{metric}')\", {OTHERWISE}."
    )


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
            f"call fetch_weights('{metric}'), {OTHERWISE}."
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before
