"""Recipe: the validated description of one run; YAML in, YAML out, dotted overrides.

Values are settled in layers, later ones win: the class defaults (the glaucoma paper's where it
names one), what suits the backbone, what suits the data source, the YAML file, the command line.
The resolved recipe holds every value, so it repeats the run whatever the layers become.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fairlora_cls.data.examples import LARGEST_SEED
from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.errors import InputError, nearest
from fairlora_cls.files import read_json, user_path
from fairlora_cls.plain_yaml import DEEPEST, is_whole, parse_yaml, stands_for_a_number

if TYPE_CHECKING:
    from fairlora_cls.objectives.objectives import Preset

LARGEST = 2**31 - 1  # of a number of things
LONGEST_NAME = 200  # characters; a run's name is a folder's

Positive = Annotated[int, Field(ge=1, le=LARGEST)]
Whole = Annotated[int, Field(ge=0, le=LARGEST)]
Rate = Annotated[float, Field(gt=0, lt=float("inf"))]
NotNegative = Annotated[float, Field(ge=0, lt=float("inf"))]


TAPS = ("first", "middle", "last", "mean")


def _known_tap(tap: str | list[int]) -> str | list[int]:
    if isinstance(tap, str) and tap not in TAPS:
        raise ValueError(f"there is no tap '{tap}'{nearest(tap, TAPS)}, or layers such as [14, 16]")
    if isinstance(tap, list) and (not tap or min(tap) < 1):
        raise ValueError("layers are counted from 1, and at least one is needed")
    return tap


Tap = Annotated[str | list[int], AfterValidator(_known_tap)]


def _safe_name(name: str) -> str:
    if name != safe_name(name):
        raise ValueError(
            f"a run's name is a folder's: at most {LONGEST_NAME} letters, digits, '_', '-' and '.', "
            "and no '.' at its ends"
        )
    return name


def safe_name(text: str) -> str:
    """`text` as the name of a folder and of a run: what cannot stand in one becomes a hyphen."""
    return re.sub(r"[^\w.-]+", "-", text)[:LONGEST_NAME].strip(".")


Name = Annotated[str, AfterValidator(_safe_name)]


# Rows of training.select_by that look at groups.
GROUP_SELECTIONS = ("worst_group_accuracy", "bounded_accuracy", "bounded_auroc")


class Section(BaseModel):
    """A part of the recipe: unknown keys are refused, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if stands_for_a_number(value, cls.model_fields[info.field_name].annotation):
            raise ValueError("true and false are no numbers")
        return value


class DataSection(Section):
    source: str = "simulated-fundus"  # a row of DATASETS
    path: str | None = None  # folder or file; simulated sources need none
    options: dict[str, Any] = {}  # of the source's own loader, e.g. seed or task
    sensitive: list[str] = []  # attributes that the report covers
    missing_groups: Literal["keep", "drop", "error", "predict"] = "keep"
    predict_confidence: Annotated[float, Field(gt=0.5, le=1)] = (
        0.9  # least probability of `predict`
    )
    merge_groups_below: Whole = 0  # training examples; rarer become Other
    limit: Positive | None = None  # examples per split, for trying things out
    prompt: str = Field("Does the patient have glaucoma?", min_length=1)  # the question
    questions: str = "report"  # a row of QUESTIONS: what a generative run asks of an image

    @property
    def place(self) -> Path | None:
        """`path` with the user's home folder written out. Raises InputError as `user_path` does."""
        return user_path(self.path) if self.path else None

    @model_validator(mode="after")
    def _plain_prompt(self) -> DataSection:
        if "<|" in self.prompt:
            raise ValueError(
                f"the prompt '{self.prompt}' holds a special token (<|…|>); write plain words"
            )
        return self


class LoraSection(Section):
    rank: Positive = 32
    alpha: Positive = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05  # probability
    targets: list[str] = Field(["q_proj", "k_proj", "v_proj", "o_proj"], min_length=1)


class ModelSection(Section):
    backbone: str = Field("miniature", min_length=1)  # 'miniature', a local folder or a Hub name
    max_pixels: Positive = 200704  # px² of a resized image, where the backbone follows a budget
    rescaling: str | tuple[float, float] = "percentile"  # of pixels deeper than 8 bits
    pooling: Literal["last", "mean", "first"] = "last"
    train_projector: bool | None = None  # tower → language; null: with task generate only
    lora: LoraSection = LoraSection()

    @field_validator("rescaling", mode="before")
    @classmethod
    def _known_rescaling(cls, value: Any) -> Any:
        from fairlora_cls.data.images import check_rescaling

        return check_rescaling(value)


class DependenceSection(Section):
    """A dependence between a tapped hidden state and attributes; null is the variant's own value."""

    weights: dict[
        str, NotNegative
    ] = {}  # attribute → λ_a; empty: gap_weight for each protected one
    variant: Literal["paper", "released"] = "paper"  # FairLLaVA's text, or its code
    training: Literal["joint", "pretrained"] = "joint"  # pretrained: first, then frozen
    pretrain_epochs: Positive = 3  # over the training split, of a pretrained classifier
    classifier: Literal["mlp", "linear"] | None = None
    class_weighting: Literal["frequency", "none"] | None = None  # of the classifier's loss
    classifier_weight: NotNegative = 1.0  # of the classifier's loss in the total
    scale: NotNegative = 1.0  # multiplies every λ_a and the classifier's loss
    warmup_steps: Whole = 0  # optimizer steps over which λ_a rises from 0
    learning_rate: Rate | None = None  # of the classifiers, at its peak; null: head_learning_rate
    tap: Tap = "middle"  # layers, counted from 1
    tokens: Literal["image", "text", "all"] = "image"
    token_pooling: Literal["mean", "random", "last"] | None = None
    normalise: bool | None = None  # to L2 norm 1


class MutualInformationSection(DependenceSection):
    """FairLLaVA's regularizer, eq. 6–10."""

    punish: Literal["plain", "smoothed_absolute"] | None = None  # I, or √(I² + 1e-6)


# What the two variants differ in (FairLLaVA, paper against released code).
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "classifier": "mlp",
        "class_weighting": "frequency",
        "token_pooling": "mean",
        "normalise": False,
        "punish": "plain",
    },
    "released": {
        "classifier": "linear",
        "class_weighting": "none",
        "token_pooling": "random",
        "normalise": True,
        "punish": "smoothed_absolute",
    },
}


class ObjectiveSection(Section):
    method: str = "gr"  # a row of OBJECTIVES
    protect: list[str] | None = (
        None  # attributes, or sex×race, that the loss sees; null: all sensitive
    )
    merge_cells_below: Whole = 0  # rarer cells of an intersection become Other
    base_weight: NotNegative = 1.0  # of the base loss
    weight_cap: Annotated[float, Field(ge=1)] = 10.0  # largest group weight N / N_s
    weighting: Literal["group", "example"] = "group"  # Σ_s w_s·mean_s, or Σ w_i·ℓ_i / Σ w_i
    gap_weight: NotNegative = 0.5  # λ of the method's own penalty
    penalties: dict[str, NotNegative] = {}  # further rows of PENALTIES → λ
    statistics: Literal["effective_batch", "micro_batch", "running"] = "effective_batch"
    running_decay: Annotated[float, Field(ge=0, lt=1)] = 0.98  # of running statistics, per step
    dro_step_size: NotNegative = 0.01  # η of group DRO
    dro_adjustment: NotNegative = 1.0  # C of group DRO's C/√N_s
    mutual_information: MutualInformationSection | None = None
    adversary: DependenceSection | None = None  # the attribute classifier by gradient reversal
    zero_shot: Literal["label_words", "random_head"] = "label_words"  # how zero-shot predicts
    label_words: list[str] | None = None  # one per class for zero-shot; null: the class names


class TrainingSection(Section):
    epochs: Positive = 3
    batch_size: Positive = 8  # examples of one optimizer step, over all processes
    micro_batch_size: Positive = 2  # examples in one forward pass of one process
    learning_rate: Rate = 1e-5  # of the LoRA matrices, at its peak
    head_learning_rate: Rate | None = None  # of the linear head; null: learning_rate
    weight_decay: NotNegative = 0.01
    warmup_steps: Whole = 100
    schedule: Literal["constant", "linear", "cosine"] = "constant"  # after the warm-up
    gradient_clip: Rate = 1.0  # largest L2 norm
    precision: Literal["bf16", "fp16", "fp32"] = "bf16"
    gradient_checkpointing: bool = False  # less memory for 20–33 % more time
    sampler: Literal["shuffle", "stratified", "balanced"] | None = None  # null: the method's own
    select_by: (
        Literal[
            "auroc", "accuracy", "loss", "worst_group_accuracy", "bounded_accuracy", "bounded_auroc"
        ]
        | None
    ) = None  # on validation, each epoch; null: auroc, of a generative run loss
    gap_bound: Annotated[float, Field(ge=0, le=1)] = 0.05  # largest MaxAccGap of bounded_…
    checkpoint_every: Positive = 100  # optimizer steps
    trackers: list[Literal["tensorboard"]] = []  # accelerate's


class GenerationSection(Section):
    """How a generative run decodes: greedily."""

    max_new_tokens: Positive = 256  # of one answer
    batch_size: Positive = 16  # questions decoded together


class ReportSection(Section):
    bootstrap: Whole = 1000  # resamples
    minimum_group_size: Positive = 20  # smaller groups are named in a warning
    probes: bool | None = (
        None  # what a fresh probe reads of each attribute, before and after; null: with a tap
    )
    threshold: str | float = "argmax"  # or 0.3, youden, sensitivity=0.9: chosen on validation
    text_metrics: list[str] = ["bleu_1", "bleu_4", "rouge_l", "exact_match"]  # of a generative run

    @field_validator("threshold")
    @classmethod
    def _readable_threshold(cls, value: str | float) -> str:
        from fairlora_cls.evaluation.thresholds import parse_threshold

        parse_threshold(str(value))
        return str(value)


class Recipe(Section):
    """One run, whole."""

    name: Name = ""
    task: Literal["classify", "generate"] = "classify"
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 42
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    objective: ObjectiveSection = ObjectiveSection()
    training: TrainingSection = TrainingSection()
    generation: GenerationSection = GenerationSection()
    report: ReportSection = ReportSection()


SECTIONS = tuple(
    name for name, field in Recipe.model_fields.items() if isinstance(field.default, Section)
)

# What suits a backbone unless the user says otherwise. The paper's 1e-5 is for 7 billion
# parameters; the miniature needs its own rate and runs on a CPU.
BACKBONE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "miniature": {
        "model": {"max_pixels": 31360},
        "training": {
            "learning_rate": 3e-4,
            "head_learning_rate": 1e-3,
            "micro_batch_size": 8,
            "precision": "fp32",
            "schedule": "linear",
        },
    },
}


def build_recipe(values: Mapping[str, Any], overrides: Iterable[str] = ()) -> Recipe:
    """A Recipe from nested values and `key=value` overrides, every default settled.

    Raises InputError listing every error at once, each with its key's path and the nearest valid
    name.
    """
    from fairlora_cls.data.datasets import DATASETS, check_options
    from fairlora_cls.objectives.objectives import OBJECTIVES

    given = merge(dict(values), override_values(overrides))
    problems = _broken_texts(given)
    data = given.get("data") if isinstance(given.get("data"), dict) else {}
    source = str(data.get("source", DataSection().source))
    if source not in DATASETS:
        problems.append(
            f"data.source: there is no data source '{source}'{nearest(source, DATASETS)}"
        )
    else:
        options = data.get("options") if isinstance(data.get("options"), dict) else {}
        problems += check_options(source, options)[1]
    model = given.get("model") if isinstance(given.get("model"), dict) else {}
    backbone = model.get("backbone", ModelSection().backbone)
    layers: dict[str, Any] = {}
    layers = merge(layers, BACKBONE_DEFAULTS.get(str(backbone), {}))
    if source in DATASETS:
        layers = merge(layers, {"data": DATASETS[source].defaults})
        if given.get("task") == "generate":
            layers = merge(layers, DATASETS[source].generate)
        if "sensitive" not in data:
            layers = merge(layers, {"objective": {"protect": DATASETS[source].protect}})
    objective = given.get("objective") if isinstance(given.get("objective"), dict) else {}
    method = str(objective.get("method", ObjectiveSection().method))
    if method not in OBJECTIVES:
        problems.append(
            f"objective.method: there is no method '{method}'{nearest(method, OBJECTIVES)}"
        )
    try:
        recipe = Recipe.model_validate(merge(layers, given))
    except ValidationError as error:
        problems += [_describe(item) for item in error.errors()]
        recipe = None
    if recipe is not None and not problems:
        problems += _cross_checks(recipe)
    if problems:
        raise InputError(problems, "The recipe")
    return _settle(recipe)


def _settle(recipe: Recipe) -> Recipe:
    """Fill in what follows from other keys."""
    from fairlora_cls.objectives.objectives import OBJECTIVES

    preset = OBJECTIVES[recipe.objective.method]
    training = recipe.training
    head_rate = training.head_learning_rate or training.learning_rate
    sampler = training.sampler or preset.sampler or "shuffle"
    generates = recipe.task == "generate"
    select_by = training.select_by or ("loss" if generates else "auroc")
    training = training.model_copy(
        update={"head_learning_rate": head_rate, "sampler": sampler, "select_by": select_by}
    )
    model = recipe.model
    folder = user_path(model.backbone)
    if model.backbone != "miniature" and folder.is_dir():  # so that the run works from anywhere
        model = model.model_copy(update={"backbone": str(folder.absolute())})
    if model.train_projector is None:
        trains = generates and preset.trains
        model = model.model_copy(update={"train_projector": trains})
    objective = recipe.objective
    protect = recipe.data.sensitive if objective.protect is None else objective.protect
    sections = {"protect": list(protect)}
    if preset.dependence and getattr(objective, preset.dependence) is None:
        sections[preset.dependence] = DependenceSection()
    objective = objective.model_copy(update=sections)
    settled = {
        name: _settle_dependence(section, objective, head_rate)
        for name in ("mutual_information", "adversary")
        if (section := getattr(objective, name)) is not None
    }
    objective = objective.model_copy(update=settled)
    report = recipe.report
    if report.probes is None:
        report = report.model_copy(update={"probes": bool(settled)})
    verb = "-report" if generates else ""
    name = recipe.name or f"{recipe.data.source}{verb}-{objective.method}"
    return recipe.model_copy(
        update={
            "model": model,
            "training": training,
            "objective": objective,
            "report": report,
            "name": name,
        }
    )


def _settle_dependence(
    section: DependenceSection, objective: ObjectiveSection, head_rate: float
) -> DependenceSection:
    variant = VARIANTS[section.variant]
    values = {
        key: variant[key]
        for key in type(section).model_fields
        if key in variant and getattr(section, key) is None
    }
    values["learning_rate"] = section.learning_rate or head_rate
    values["weights"] = section.weights or dict.fromkeys(objective.protect, objective.gap_weight)
    return section.model_copy(update=values)


def _cross_checks(recipe: Recipe) -> list[str]:
    from fairlora_cls.objectives.objectives import OBJECTIVES
    from fairlora_cls.objectives.penalties import PENALTIES

    problems = []
    objective, sensitive = recipe.objective, recipe.data.sensitive
    if recipe.training.micro_batch_size > recipe.training.batch_size:
        problems.append(
            f"training.micro_batch_size: {recipe.training.micro_batch_size} is more than "
            f"training.batch_size {recipe.training.batch_size}; a step cannot be smaller than its part"
        )
    parts = {part for name in sensitive for part in name.split(INTERSECTION)}
    for name in objective.protect or []:
        if not set(name.split(INTERSECTION)) <= parts:
            problems.append(
                f"objective.protect: '{name}' is not in data.sensitive{nearest(name, sensitive)}"
            )
    for name in objective.penalties:
        if name not in PENALTIES:
            problems.append(
                f"objective.penalties: there is no penalty '{name}'{nearest(name, PENALTIES)}"
            )
    if recipe.task == "generate":
        problems += _generation_checks(recipe)
    preset = OBJECTIVES[objective.method]
    protected = sensitive if objective.protect is None else objective.protect
    needs = [f"the method '{objective.method}'"] if _needs_groups(preset) else []
    needs += [f"the penalty '{name}'" for name in objective.penalties]
    needs += [f"training.sampler '{recipe.training.sampler}'"] * (
        recipe.training.sampler in ("stratified", "balanced")
    )
    needs += [f"training.select_by '{recipe.training.select_by}'"] * (
        recipe.training.select_by in GROUP_SELECTIONS
    )
    for key in ("mutual_information", "adversary"):
        section = getattr(objective, key)
        if section is not None and not section.weights:
            needs.append(f"objective.{key} without weights")
        if section is not None and not preset.trains:
            problems.append(
                f"objective.{key}: the method '{objective.method}' trains nothing; take vanilla, or leave it out"
            )
    if needs and not protected:
        problems.append(
            f"data.sensitive: {needs[0]} needs a sensitive attribute; name at least one column, or use vanilla"
        )
    return problems


def _generation_checks(recipe: Recipe) -> list[str]:
    """What a generative run cannot do, because it has no classes."""
    from fairlora_cls.data.questions import QUESTIONS
    from fairlora_cls.objectives.objectives import OBJECTIVES
    from fairlora_cls.objectives.penalties import PENALTIES

    def reads_classes(penalty: str | None) -> bool:
        return penalty in PENALTIES and PENALTIES[penalty].needs_classes

    problems = []
    possible = [name for name, preset in OBJECTIVES.items() if not reads_classes(preset.penalty)]
    method = recipe.objective.method
    if method not in possible:
        problems.append(
            f"objective.method: '{method}' reads class probabilities, which a text does not have; "
            f"with task generate there is: {', '.join(possible)}"
        )
    for name in recipe.objective.penalties:
        if reads_classes(name):
            problems.append(
                f"objective.penalties: '{name}' reads class probabilities, which a text does not have"
            )
    if recipe.data.questions not in QUESTIONS:
        problems.append(
            f"data.questions: there are no questions '{recipe.data.questions}'"
            f"{nearest(recipe.data.questions, QUESTIONS)}"
        )
    if recipe.training.select_by not in (None, "loss"):
        problems.append(
            f"training.select_by: {recipe.training.select_by} needs classes; a generative run selects by loss"
        )
    if recipe.model.pooling != "last":
        problems.append(
            f"model.pooling: {recipe.model.pooling} is a classifier's; a generative run has no pooled head"
        )
    if recipe.report.threshold != "argmax":
        problems.append(
            f"report.threshold: {recipe.report.threshold} is a classifier's; texts have no threshold"
        )
    return problems


def _needs_groups(preset: Preset) -> bool:
    chosen = preset.penalty or preset.dependence or preset.sampler
    return bool(chosen) or preset.base != "mean"


def _broken_texts(values: Mapping[str, Any], path: str = "") -> list[str]:
    """Texts that no file can hold, such as a file name in another encoding."""
    problems = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            problems += _broken_texts(value, f"{path}{key}.")
        elif isinstance(value, str) and not is_whole(value):
            problems.append(
                f"{path}{key}: {value!a} is not UTF-8 text, or holds a NUL; rename it, or save it anew"
            )
    return problems


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe file. Raises InputError for a missing file, bad YAML or any bad value."""
    return build_recipe(recipe_values(path), overrides)


def recipe_values(path: Path) -> dict[str, Any]:
    """A YAML file's values, of a recipe or an ablation.

    Raises InputError for a missing file, bad YAML, and a run's recipe.yaml that is not as the run
    wrote it: what is missing from it would become a default, and the run another one.
    """
    values = _read_yaml(path)
    if path.name != "recipe.yaml" or not path.with_name("run.json").is_file():
        return values
    kept = read_json(path.with_name("run.json")).get("recipe_digest")
    if kept is None:  # a run of an earlier version
        missing = [name for name in SECTIONS if not isinstance(values.get(name), dict)]
        changed = f"it has no {missing[0]}" if missing else ""
    else:
        changed = "" if recipe_digest(values) == kept else "it is cut or changed"
    if changed:
        raise InputError(
            f"'{path}' is not the recipe of its run ({changed}); put the run's own back, or copy it to "
            "a file elsewhere to train another."
        )
    return values


def _read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping as plain values. Raises InputError."""
    if not path.is_file():
        raise InputError(
            f"There is no recipe '{path}'; `fairlora-cls recipes list` shows the shipped ones."
        )
    try:
        values = parse_yaml(path.read_text(encoding="utf-8-sig"), f"'{path}'")
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}).") from error
    if values is None:
        raise InputError(f"'{path}' is empty; give it keys such as data, model and training.")
    if not isinstance(values, dict):
        raise InputError(
            f"'{path}' must hold keys such as data, model and training, not a {type(values).__name__}."
        )
    return values


def recipe_to_yaml(recipe: Recipe) -> str:
    """The whole recipe as YAML that `load_recipe` reads back to an equal one."""
    return yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True, width=100)


def recipe_digest(values: Mapping[str, Any]) -> str:
    """A hash of a resolved recipe's values as its file gives them, without name and data.path.

    Where the data lie may change; whether they are the same ones their own fingerprint tells.
    """
    kept = {key: value for key, value in values.items() if key != "name"}
    if isinstance(kept.get("data"), Mapping):
        kept["data"] = {key: value for key, value in kept["data"].items() if key != "path"}
    text = json.dumps(kept, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def override_values(overrides: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts as nested values. Raises InputError listing every text that is not one."""
    nested: dict[str, Any] = {}
    problems = []
    for text in overrides:
        key, separator, value = text.partition("=")
        try:
            if not separator or not key.strip():
                raise InputError(f"--set '{text}' is not key=value, such as training.epochs=1.")
            parsed = parse_yaml(value, f"--set '{text[:80]}'") if value.strip() else ""
            nested = merge(nested, nest(key.strip(), parsed))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems, "The command line")
    return nested


def nest(key: str, value: Any) -> dict[str, Any]:
    """The value under its dotted key, as nested mappings. Raises InputError for an endless key."""
    parts = key.split(".")
    if len(parts) > DEEPEST:
        raise InputError(f"The key '{key[:80]}…' has {len(parts)} parts; no recipe is that deep.")
    for part in reversed(parts):
        value = {part: value}
    return value


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """`high` over `low`, mappings merged key by key."""
    merged = dict(low)
    for key, value in high.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _describe(item: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{path}: unknown key{nearest(str(item['loc'][-1]), _keys_beside(item['loc']))}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "literal_error" and isinstance(item["input"], str):
        choices = [
            c.strip().strip("'") for c in item["ctx"]["expected"].replace(" or ", ", ").split(",")
        ]
        return f"{path}: '{item['input']}' is not a choice{nearest(item['input'], choices)}"
    return f"{path}: {message[:1].lower()}{message[1:]} (got {_shown(item['input'])})"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    section: Any = Recipe
    for part in location[:-1]:
        annotation = section.model_fields[part].annotation
        section = next((a for a in get_args(annotation) if a is not type(None)), annotation)
    return list(section.model_fields)


def data_section(
    recipe: Recipe, shortcuts: Mapping[str, Any], overrides: Iterable[str] = ()
) -> dict[str, Any] | None:
    """The data section of a run's recipe with changes applied; None where there are none.

    `shortcuts` holds nested values such as {"data": {"source": …}}. Another source starts from
    that source's own defaults, with the run's question kept.
    """
    changes = merge(shortcuts, override_values(overrides))
    if not changes:
        return None
    if unknown := [key for key in changes if key != "data"]:
        raise InputError(
            f"Only keys of the data section can change for evaluation, not '{unknown[0]}'."
        )
    if not isinstance(changes["data"], Mapping):
        raise InputError(f"data: keys with values are needed (got {_shown(changes['data'])}).")
    values = recipe.model_dump()
    if changes["data"].get("source", recipe.data.source) != recipe.data.source:
        values["data"] = {"prompt": recipe.data.prompt}
        values["objective"] = {"method": "vanilla"}
    return build_recipe(merge(values, changes)).data.model_dump()


def shipped_recipes() -> dict[str, Path]:
    """Name (folder/stem) → file of every shipped recipe, sorted."""
    package = Path(__file__).parent
    installed, checkout = package / "shipped_recipes", package.parent / "recipes"
    folder = installed if installed.is_dir() else checkout
    return {str(p.relative_to(folder).with_suffix("")): p for p in sorted(folder.rglob("*.yaml"))}
