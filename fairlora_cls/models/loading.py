"""Stock models, processors and configurations of transformers by name, or a clear error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fairlora_cls.errors import InputError
from fairlora_cls.models import miniature


def load_stock_model(model_class: Any, name: str, dtype: torch.dtype) -> Any:
    """A stock transformers model with every weight found, or InputError."""
    with _quiet_load_report():
        model, loading = load_pretrained(model_class, name, dtype=dtype, output_loading_info=True)
    missing = sorted(loading["missing_keys"]) + sorted(str(k) for k in loading["mismatched_keys"])
    if missing:
        raise InputError(
            f"The checkpoint '{name}' lacks {len(missing)} weights that {model_class.__name__} needs "
            f"(first: {missing[0]}); it would start from random numbers. Use a complete checkpoint."
        )
    return model


def load_pretrained(loader: Any, name: str, **options: Any) -> Any:
    """`loader.from_pretrained` of `miniature`, a folder or a Hub name, or InputError."""
    folder = miniature.FOLDER if name == "miniature" else Path(name)
    source = str(folder) if folder.is_dir() else name
    try:
        return loader.from_pretrained(source, **options)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"The backbone '{name}' cannot be loaded ({reason}); give 'miniature', a local folder, "
            "or a Hub name such as Qwen/Qwen2.5-VL-7B-Instruct that this machine can reach or has cached."
        ) from error


@contextmanager
def _quiet_load_report() -> Iterator[None]:
    """Silence transformers' table of unexpected keys (lm_head), which we leave out on purpose."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
