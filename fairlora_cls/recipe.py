"""Recipe: the validated description of one run; YAML in, YAML out, dotted overrides.

Values are settled in layers, later ones win: the class defaults (the glaucoma paper's where it
names one), what suits the backbone, what suits the data source, the YAML file, the command line.
The resolved recipe holds every value, so it repeats the run whatever the layers become.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
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

from fairlora_cls.data.demographic_words import (
    DemographicWords,
    Phrases,
    demographic_words,
    read_phrases,
)
from fairlora_cls.data.examples import LARGEST_SEED
from fairlora_cls.data.groups import INTERSECTION
from fairlora_cls.data.prompts import MissingWords, find_fields
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
Share = Annotated[float, Field(ge=0, lt=1)]

TAPS = ("first", "middle", "last", "mean")
DEPENDENCES = ("mutual_information", "adversary")  # keys of the objective section


def _known_tap(tap: str | list[int]) -> str | list[int]:
    if isinstance(tap, str) and tap not in TAPS:
        raise ValueError(f"there is no tap '{tap}'{nearest(tap, TAPS)}, or layers such as [14, 16]")
    if isinstance(tap, list) and (not tap or min(tap) < 1):
        raise ValueError("layers are counted from 1, and at least one is needed")
    return tap


Tap = Annotated[str | list[int], AfterValidator(_known_tap)]


def safe_name(text: str) -> str:
    """`text` as the name of a folder and of a run: what cannot stand in one becomes a hyphen."""
    return re.sub(r"[^\w.-]+", "-", text)[:LONGEST_NAME].strip(".")


def _require_safe(name: str) -> str:
    if name != safe_name(name):
        raise ValueError(
            f"a run's name is a folder's: at most {LONGEST_NAME} letters, digits, '_', '-' and '.', "
            "and no '.' at its ends"
        )
    return name


Name = Annotated[str, AfterValidator(_require_safe)]

# What the best epoch is chosen by, each epoch; the rows that look at groups.
Selection = Literal[
    "auroc", "accuracy", "loss", "worst_group_accuracy", "bounded_accuracy", "bounded_auroc"
]
GROUP_SELECTIONS = ("worst_group_accuracy", "bounded_accuracy", "bounded_auroc")


class RecipeSection(BaseModel):
    """A part of the recipe: unknown keys are refused, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if stands_for_a_number(value, cls.model_fields[info.field_name].annotation):
            raise ValueError("true and false are no numbers")
        return value


class DataSection(RecipeSection):
    source: str = "simulated-fundus"  # a row of DATASETS
    path: str | None = None  # folder or file; simulated sources need none
    options: dict[str, Any] = {}  # of the source's own loader, e.g. seed or task
    sensitive: list[str] = []  # attributes that the report covers
    missing_groups: Literal["keep", "drop", "error", "predict"] = "keep"
    # Least probability at which `predict` fills a group in.
    predict_confidence: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    merge_groups_below: Whole = 0  # training examples; rarer become Other
    limit: Positive | None = None  # examples per split, for trying things out
    # The question, with what is known of the patient as {field}; null: the source's own.
    prompt: str | None = Field(None, min_length=1)
    missing_words: MissingWords = "error"  # of a field of the prompt
    max_words_tokens: Positive | None = 512  # a field's words are cut there; null: not at all
    # What is taken out of the words: of sex, race, ethnicity, age, or of what `phrases` names.
    redact: list[str] = []
    phrases: str | None = None  # file of words that say who a patient is; null: the English ones
    questions: str = "report"  # a row of QUESTIONS: what a generative run asks of an image

    @property
    def place(self) -> Path | None:
        """`path` with the user's home folder written out. Raises InputError as `user_path` does."""
        return user_path(self.path) if self.path else None

    @model_validator(mode="after")
    def _plain_prompt(self) -> DataSection:
        if self.prompt is not None:
            if "<|" in self.prompt:
                raise ValueError(
                    f"the prompt '{self.prompt}' holds a special token (<|…|>); write plain words"
                )
            fields = find_fields(self.prompt)
            if shown := [name for name in fields if name in self.redact]:
                raise ValueError(
                    f"the prompt names {{{shown[0]}}}, which data.redact takes out; drop one of them"
                )
        try:
            self.taken_out()
        except InputError as error:
            raise ValueError(
                "; ".join(problem.rstrip(".") for problem in error.problems)
            ) from error
        return self

    def words_of_people(self) -> Phrases:
        """Words that say who a patient is: those of the file `phrases`, or the English ones. Raises
        InputError for a file that does not hold such."""
        return read_phrases(user_path(self.phrases) if self.phrases else None)

    def taken_out(self) -> DemographicWords:
        """The words that `redact` names. Raises InputError for an attribute that has none."""
        return demographic_words(self.redact, self.words_of_people())


class LoraSection(RecipeSection):
    rank: Positive = 32
    alpha: Positive = 64
    dropout: Share = 0.05  # probability
    targets: list[str] = Field(["q_proj", "k_proj", "v_proj", "o_proj"], min_length=1)


class ModelSection(RecipeSection):
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


class DependenceSection(RecipeSection):
    """A dependence between a tapped hidden state and attributes; null is the variant's own value."""

    # Attribute → λ_a; empty: gap_weight for each protected one.
    weights: dict[str, NotNegative] = {}
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


class ObjectiveSection(RecipeSection):
    method: str = "gr"  # a row of OBJECTIVES
    # Attributes, or sex×race, that the loss sees; null: all sensitive.
    protect: list[str] | None = None
    merge_cells_below: Whole = 0  # rarer cells of an intersection become Other
    base_weight: NotNegative = 1.0  # of the base loss
    weight_cap: Annotated[float, Field(ge=1)] = 10.0  # largest group weight N / N_s
    weighting: Literal["group", "example"] = "group"  # Σ_s w_s·mean_s, or Σ w_i·ℓ_i / Σ w_i
    gap_weight: NotNegative = 0.5  # λ of the method's own penalty
    penalties: dict[str, NotNegative] = {}  # further rows of PENALTIES → λ
    statistics: Literal["effective_batch", "micro_batch", "running"] = "effective_batch"
    running_decay: Share = 0.98  # of running statistics, per step
    dro_step_size: NotNegative = 0.01  # η of group DRO
    dro_adjustment: NotNegative = 1.0  # C of group DRO's C/√N_s
    mutual_information: MutualInformationSection | None = None
    adversary: DependenceSection | None = None  # the attribute classifier by gradient reversal
    zero_shot: Literal["label_words", "random_head"] = "label_words"  # how zero-shot predicts
    label_words: list[str] | None = None  # one per class for zero-shot; null: the class names

    @property
    def dependences(self) -> dict[str, DependenceSection]:
        """Those that are asked for, in the order of the tapped states."""
        sections = {key: getattr(self, key) for key in DEPENDENCES}
        return {key: section for key, section in sections.items() if section is not None}


class TrainingSection(RecipeSection):
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
    # Prompts of like length share a micro-batch; which examples share a step stays.
    group_by_length: bool = False
    select_by: Selection | None = None  # on validation; null: auroc, of a generative run loss
    gap_bound: Annotated[float, Field(ge=0, le=1)] = 0.05  # largest MaxAccGap of bounded_…
    # What it may cost a group: the most of the accuracy that it has in the most accurate epoch.
    gap_cost: Annotated[float, Field(ge=0, le=1)] = 0.05
    checkpoint_every: Positive = 100  # optimizer steps
    trackers: list[Literal["tensorboard"]] = []  # accelerate's


class GenerationSection(RecipeSection):
    """How a generative run decodes: greedily."""

    max_new_tokens: Positive = 256  # of one answer
    batch_size: Positive = 16  # questions decoded together


class ReportSection(RecipeSection):
    bootstrap: Whole = 1000  # resamples
    minimum_group_size: Positive = 20  # smaller groups are named in a warning
    # What a fresh probe reads of each attribute, before and after; null: with a tap.
    probes: bool | None = None
    endpoints: list[str] | None = None  # what is judged between groups; null: the usual ones
    # The largest difference between groups that counts as equal.
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.05
    site: Annotated[str, Field(min_length=1)] | None = None  # hospital, device: a view of its own
    threshold: str | float = "argmax"  # or 0.3, youden, sensitivity=0.9: chosen on validation
    text_metrics: list[str] = ["bleu_1", "bleu_4", "rouge_l", "exact_match"]  # of a generative run

    @field_validator("threshold")
    @classmethod
    def _readable_threshold(cls, value: str | float) -> str:
        from fairlora_cls.evaluation.thresholds import parse_threshold

        parse_threshold(str(value))
        return str(value)


class Recipe(RecipeSection):
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
    name for name, field in Recipe.model_fields.items() if isinstance(field.default, RecipeSection)
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
    data, model, objective = (_keys_of(given, key) for key in ("data", "model", "objective"))
    source = str(data.get("source", DataSection().source))
    problems += _unknown("data.source", "data source", source, DATASETS)
    if source in DATASETS:
        problems += check_options(source, _keys_of(data, "options"))[1]
    method = str(objective.get("method", ObjectiveSection().method))
    problems += _unknown("objective.method", "method", method, OBJECTIVES)
    layers = BACKBONE_DEFAULTS.get(str(model.get("backbone", ModelSection().backbone)), {})
    if source in DATASETS:
        layers = merge(layers, {"data": DATASETS[source].defaults})
        if given.get("task") == "generate":
            layers = merge(layers, DATASETS[source].generate)
        if "sensitive" not in data:
            layers = merge(layers, {"objective": {"protect": DATASETS[source].protect}})
    try:
        recipe = Recipe.model_validate(merge(layers, given))
    except ValidationError as error:
        problems += [_describe(item) for item in error.errors()]
    if not problems:
        problems += _cross_checks(recipe)
    if problems:
        raise InputError(problems, "The recipe")
    return _settle(recipe)


def _keys_of(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The keys of a section as they were given; none where it is of another kind."""
    return values[name] if isinstance(values.get(name), dict) else {}


def _unknown(key: str, kind: str, name: str, known: Collection[str]) -> list[str]:
    """What is wrong with a name that must be a row of a table: nothing, or one sentence."""
    return [] if name in known else [f"{key}: there is no {kind} '{name}'{nearest(name, known)}"]


def changed(recipe: Recipe, values: Mapping[str, Mapping[str, Any]]) -> Recipe:
    """A recipe with other values, section → key → value, which are taken as they are."""
    sections = {
        name: getattr(recipe, name).model_copy(update=dict(keys)) for name, keys in values.items()
    }
    return recipe.model_copy(update=sections)


def _settle(recipe: Recipe) -> Recipe:
    """Fill in what follows from other keys."""
    from fairlora_cls.objectives.objectives import OBJECTIVES

    model, training, objective = recipe.model, recipe.training, recipe.objective
    preset, generates = OBJECTIVES[objective.method], recipe.task == "generate"
    backbone, folder = model.backbone, user_path(model.backbone)
    if backbone != "miniature" and folder.is_dir():  # so that the run works from anywhere
        backbone = str(folder.absolute())
    trains_projector = model.train_projector
    if trains_projector is None:
        trains_projector = generates and preset.trains
    head_rate = training.head_learning_rate or training.learning_rate
    protect = list(recipe.data.sensitive if objective.protect is None else objective.protect)
    dependences = {}
    for key in DEPENDENCES:
        section = getattr(objective, key)
        if section is None and preset.dependence == key:
            section = DependenceSection()
        if section is not None:
            dependences[key] = _settle_dependence(section, protect, objective.gap_weight, head_rate)
    probes = recipe.report.probes
    phrases = recipe.data.phrases
    settled = {
        "data": {"phrases": phrases and str(user_path(phrases).absolute())},
        "model": {"backbone": backbone, "train_projector": trains_projector},
        "training": {
            "head_learning_rate": head_rate,
            "sampler": training.sampler or preset.sampler or "shuffle",
            "select_by": training.select_by or ("loss" if generates else "auroc"),
        },
        "objective": {"protect": protect, **dependences},
        "report": {"probes": bool(dependences) if probes is None else probes},
    }
    verb = "-report" if generates else ""
    name = recipe.name or f"{recipe.data.source}{verb}-{objective.method}"
    return changed(recipe, settled).model_copy(update={"name": name})


def _settle_dependence(
    section: DependenceSection, protect: list[str], gap_weight: float, head_rate: float
) -> DependenceSection:
    variant = VARIANTS[section.variant]
    values = {
        key: variant[key]
        for key in type(section).model_fields
        if key in variant and getattr(section, key) is None
    }
    values["learning_rate"] = section.learning_rate or head_rate
    values["weights"] = section.weights or dict.fromkeys(protect, gap_weight)
    return section.model_copy(update=values)


def _cross_checks(recipe: Recipe) -> list[str]:
    """What is wrong with keys that are right by themselves."""
    from fairlora_cls.objectives.objectives import OBJECTIVES
    from fairlora_cls.objectives.penalties import PENALTIES

    problems = []
    training, objective, sensitive = recipe.training, recipe.objective, recipe.data.sensitive
    if training.micro_batch_size > training.batch_size:
        problems.append(
            f"training.micro_batch_size: {training.micro_batch_size} is more than "
            f"training.batch_size {training.batch_size}; a step cannot be smaller than its part"
        )
    parts = {part for name in sensitive for part in name.split(INTERSECTION)}
    problems += [
        f"objective.protect: '{name}' is not in data.sensitive{nearest(name, sensitive)}"
        for name in objective.protect or []
        if not set(name.split(INTERSECTION)) <= parts
    ]
    for name in objective.penalties:
        problems += _unknown("objective.penalties", "penalty", name, PENALTIES)
    if recipe.task == "generate":
        problems += _generation_checks(recipe)
    preset = OBJECTIVES[objective.method]
    dependences = objective.dependences
    if not preset.trains:
        problems += [
            f"objective.{key}: the method '{objective.method}' trains nothing; take vanilla, or leave it out"
            for key in dependences
        ]
    if not (sensitive if objective.protect is None else objective.protect):
        needs = [f"the method '{objective.method}'"] if _needs_groups(preset) else []
        needs += [f"the penalty '{name}'" for name in objective.penalties]
        if training.sampler in ("stratified", "balanced"):
            needs.append(f"training.sampler '{training.sampler}'")
        if training.select_by in GROUP_SELECTIONS:
            needs.append(f"training.select_by '{training.select_by}'")
        needs += [f"objective.{k} without weights" for k, s in dependences.items() if not s.weights]
        if needs:
            problems.append(
                f"data.sensitive: {needs[0]} needs a sensitive attribute; name at least one column, or use vanilla"
            )
    return problems


def _generation_checks(recipe: Recipe) -> list[str]:
    """What a generative run cannot do, because it has no classes."""
    from fairlora_cls.data.questions import QUESTIONS
    from fairlora_cls.objectives.objectives import OBJECTIVES
    from fairlora_cls.objectives.penalties import PENALTIES

    readers = {name for name, penalty in PENALTIES.items() if penalty.needs_classes}
    possible = [name for name, preset in OBJECTIVES.items() if preset.penalty not in readers]
    problems = []
    method = recipe.objective.method
    if method not in possible:
        problems.append(
            f"objective.method: '{method}' reads class probabilities, which a text does not have; "
            f"with task generate there is: {', '.join(possible)}"
        )
    problems += [
        f"objective.penalties: '{name}' reads class probabilities, which a text does not have"
        for name in recipe.objective.penalties
        if name in readers
    ]
    asked = recipe.data.questions
    if asked not in QUESTIONS:
        problems.append(
            f"data.questions: there are no questions '{asked}'{nearest(asked, QUESTIONS)}"
        )
    only = (
        (
            "training",
            "select_by",
            (None, "loss"),
            "needs classes; a generative run selects by loss",
        ),
        ("model", "pooling", ("last",), "is a classifier's; a generative run has no pooled head"),
        ("report", "threshold", ("argmax",), "is a classifier's; texts have no threshold"),
    )
    for section, key, allowed, why in only:
        if (value := getattr(getattr(recipe, section), key)) not in allowed:
            problems.append(f"{section}.{key}: {value} {why}")
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
            parsed = _override_value(key.strip(), value, f"--set '{text[:80]}'")
            nested = merge(nested, nest(key.strip(), parsed))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems, "The command line")
    return nested


def _override_value(key: str, value: str, name: str) -> Any:
    """The value as YAML reads it; of a key that holds text, what YAML would not read as a text or a
    single value stays the text that it is (`{note} Is there glaucoma?`)."""
    if not value.strip():
        return ""
    try:
        parsed = parse_yaml(value, name)
    except InputError:
        if not _holds_text(key):
            raise
        return value
    return value if isinstance(parsed, dict | list) and _holds_text(key) else parsed


def _holds_text(key: str) -> bool:
    """Whether a recipe's key is one of text and nothing else, but for null."""
    section: Any = Recipe
    *above, last = key.split(".")
    for name in above:
        field = section.model_fields.get(name)
        section = field.annotation if field is not None else None
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return False
    field = section.model_fields.get(last)
    if field is None:
        return False
    return field.annotation is str or set(get_args(field.annotation)) == {str, type(None)}


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
