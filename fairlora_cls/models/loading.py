"""Configurations, processors and stock models of transformers by name, or one sentence that says why not.

A folder is looked at before transformers is, so that the sentence names the file at fault; nothing
is ever asked of the Hub for it. Code that a checkpoint brings along is never run.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from fairlora_cls.errors import InputError
from fairlora_cls.files import read_json, user_path
from fairlora_cls.models import miniature

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # of weights in several files
QUANTISED = ("quantization_config", "compression_config", "quantization")  # keys of a configuration
# Of these a processor is made; one of each row must be there.
PROCESSOR_FILES = {
    "tokenizer": ("tokenizer.json", "tokenizer.model", "vocab.json"),
    "image processor": ("preprocessor_config.json", "processor_config.json"),
}
# Further ones that are read where they are there, and may ask for code of the checkpoint's own.
PROCESSOR_SETTINGS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
)


def find_folder(name: str) -> Path | None:
    """The folder of this machine that a backbone's name means; None for a Hub name.

    Raises InputError for a name that can be neither.
    """
    folder = miniature.FOLDER if name == "miniature" else user_path(name)
    if folder.is_dir():
        return folder.absolute()
    if folder.is_file():
        raise InputError(f"The backbone '{name}' is a file; name the folder that holds {CONFIG}.")
    if not HUB_NAME.fullmatch(name):
        raise InputError(
            f"The backbone '{name}' cannot be loaded: it is neither a folder of this machine nor a Hub "
            "name (OWNER/NAME); check the path, or name its new place with --model."
        )
    return None


def is_cached(name: str, file: str) -> bool:
    """Whether a file of a Hub name lies in this machine's model cache."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, file), str)


def read_settings(name: str, *, cached_only: bool) -> dict[str, Any]:
    """The values of a backbone's config.json, as they stand there.

    `cached_only`: of a Hub name, ask this machine alone. Raises InputError where they cannot be
    read, name no `model_type`, or describe a model that cannot be trained here: quantised weights,
    or code of its own.
    """
    from transformers import PretrainedConfig

    folder = find_folder(name)
    if folder is None:
        values, _ = load_pretrained(
            PretrainedConfig, name, method="get_config_dict", local_files_only=cached_only
        )
    else:
        values = read_json(folder / CONFIG, _why_no_config(folder))
    _refuse_own_code(name, CONFIG, values)
    for part in (values, *(v for k, v in values.items() if k.endswith("_config"))):
        for key in QUANTISED:
            if isinstance(part, dict) and part.get(key):
                raise InputError(_quantised(name, key, part[key]))
    if not isinstance(values.get("model_type"), str):
        raise InputError(
            f"The {CONFIG} of the backbone '{name}' names no model_type, so nobody can tell what model "
            "it is; use the file that came with the checkpoint."
        )
    return values


def require_processor(name: str) -> None:
    """Raise InputError where a folder lacks a file that its processor is made of, has a broken one,
    or one that asks for code of its own."""
    folder = find_folder(name)
    if folder is None:
        return
    for part, files in PROCESSOR_FILES.items():
        if not any((folder / file).is_file() for file in files):
            raise InputError(
                f"'{folder}' holds no {part} ({' or '.join(files)}); copy it from the checkpoint."
            )
    for file in (*PROCESSOR_SETTINGS, *(f for files in PROCESSOR_FILES.values() for f in files)):
        if file.endswith(".json") and (folder / file).exists():
            _refuse_own_code(name, file, read_json(folder / file))


def _why_no_config(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return "it holds an adapter; name the backbone that the adapter was trained on"
    if (folder / "recipe.yaml").is_file():
        return "it is a run folder; name the backbone that the run was trained on"
    return "a checkpoint has one beside its weights"


def _quantised(name: str, key: str, value: Any) -> str:
    kind = value.get("quant_method") if isinstance(value, dict) else None
    return (
        f"The backbone '{name}' is quantised ({kind or key} in {CONFIG}), and adapters are trained on "
        "whole weights here; use the checkpoint that it was made from."
    )


def _refuse_own_code(name: str, file: str, values: Mapping[str, Any]) -> None:
    if values.get("auto_map"):
        raise InputError(
            f"The backbone '{name}' brings its own code (auto_map in {file}), which is never run; use a "
            "checkpoint of the stock classes."
        )


def require_weights(folder: Path) -> None:
    """Raise InputError where a folder holds no weights that can be read whole; none are loaded."""
    from safetensors import SafetensorError, safe_open

    if (folder / WEIGHTS).is_file():
        files = [WEIGHTS]
    elif (folder / INDEX).is_file():
        places = read_json(folder / INDEX).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(f, str) for f in places.values()):
            raise InputError(f"'{folder / INDEX}' has no weight_map; use a complete copy.")
        files = sorted(set(places.values()))
    elif pickles := sorted(p.name for p in folder.glob("*.bin")):
        raise InputError(
            f"'{folder}' holds weights only as pickle ({pickles[0]}), which can run code when it is "
            f"opened; convert them to safetensors, or use a checkpoint with {WEIGHTS}."
        )
    else:
        raise InputError(f"'{folder}' holds no weights (no {WEIGHTS}); use a complete copy.")
    for file in files:
        path = folder / file
        if not path.is_file():
            raise InputError(f"'{folder}' lacks '{file}', which {INDEX} names; copy it again.")
        try:
            with safe_open(path, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise InputError(f"'{path}' is cut or broken ({error}); copy it again.") from error


def load_stock_model(
    classes: Sequence[Any], name: str, dtype: torch.dtype, *, on_meta: bool = False
) -> Any:
    """A stock transformers model with every weight found, of the first of `classes` that finds them.

    `on_meta`: shapes alone, no numbers are read. Raises InputError.
    """
    folder = find_folder(name)
    if folder is not None:
        require_weights(folder)
    losses = []
    # Shapes first: a wrong configuration may describe a model far larger than the memory.
    for model_class in classes:
        model, lost = _load_weights(model_class, name, dtype, device_map="meta")
        if not lost:
            return model if on_meta else _load_weights(model_class, name, dtype)[0]
        losses.append(lost)
    fewest = min(losses, key=len)
    raise InputError(
        f"The checkpoint '{name}' lacks {len(fewest)} weights that {classes[0].__name__} needs, or has "
        f"them in another shape (first: {fewest[0]}); it would start from random numbers. Use a "
        "complete checkpoint."
    )


def _load_weights(
    model_class: Any, name: str, dtype: torch.dtype, **options: Any
) -> tuple[Any, list[str]]:
    """The model, and the names of weights that the checkpoint lacks or has in another shape."""
    with _quiet_load_report(), _without_bar() if "device_map" in options else nullcontext():
        model, loading = load_pretrained(
            model_class,
            name,
            dtype=dtype,
            output_loading_info=True,
            use_safetensors=True,  # a pickle can run code
            ignore_mismatched_sizes=True,  # so that they are told by name
            **options,
        )
    wrong = [str(key[0]) for key in loading["mismatched_keys"]]
    return model, sorted([*loading["missing_keys"], *wrong])


def load_pretrained(
    loader: Any, name: str, *, method: str = "from_pretrained", **options: Any
) -> Any:
    """`loader.from_pretrained` of `miniature`, a folder or a Hub name, or InputError."""
    folder = find_folder(name)
    if folder is not None:
        options["local_files_only"] = True
    way_out = (
        "use a complete copy of the checkpoint"
        if folder
        else "give 'miniature', a local folder, or a Hub name such as Qwen/Qwen2.5-VL-7B-Instruct "
        "that this machine can reach or has cached"
    )
    with explained(f"The backbone '{name}' cannot be loaded", way_out):
        return getattr(loader, method)(str(folder or name), trust_remote_code=False, **options)


@contextmanager
def explained(what: str, way_out: str) -> Iterator[None]:
    """Whatever goes wrong inside is an InputError: `what`, the reason, and the way out. What the
    files of a checkpoint hold, and what packages they would need, decides what is raised."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate" in str(error):
            raise  # not the checkpoint's fault
        raise InputError(f"{what} ({first_line(error)}); {way_out}.") from error


def first_line(error: BaseException) -> str:
    """What an error of another library says, as far as it fits into a sentence."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[0].strip().rstrip(".:;")
    if isinstance(error, KeyError) or not text:
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= 300 else text[:300] + " …"


@contextmanager
def _without_bar() -> Iterator[None]:
    """Shapes are there at once; a bar of them beside that of the weights would only puzzle."""
    from transformers.utils import logging as bars

    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


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
