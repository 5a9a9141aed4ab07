"""Memory and time of a run, from the model's configuration and a short measurement of this device.

B examples of a micro-batch, T tokens, V visual tokens, D hidden size, M width of the MLP, L layers.
An estimate: it counts the large terms and leaves out the rest.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairlora_cls.checking.batches import outline_objective
from fairlora_cls.checking.findings import CheckReport, Finding
from fairlora_cls.checking.texts import TextFacts
from fairlora_cls.data.examples import Splits
from fairlora_cls.models.backbones import DTYPES, Backbone
from fairlora_cls.objectives.objectives import OBJECTIVES
from fairlora_cls.presentation.document import Table, text_table
from fairlora_cls.presentation.numbers import show_duration
from fairlora_cls.recipe import Recipe

MEASURE_SECONDS = 0.05  # that products of one size are repeated
LONGEST_PRODUCT = 0.5  # seconds; products expected to take longer are not measured
FEWEST_PRODUCTS = 3  # of one size; the first pays for loading
FIRST_SIDE, SIDE_LIMIT = 128, 4096  # of the matrices measured: the first ones, the largest
SLOWER = 3.0  # times slower than in float32: products in such a precision are worth a warning
EFFICIENCY = 0.4  # of the speed of plain matrix products, what a whole run reaches
TRAINED_BYTES = 16  # of a trained number: itself, its gradient and AdamW's two moments, float32


@dataclass(frozen=True)
class Plan:
    """How much a run reads."""

    train: int  # examples of a split
    validation: int
    test: int
    epochs: int  # 0: nothing is trained
    micro_batch: int  # B
    passes: float  # forward and backward passes of an example in training, in forwards
    new_images: int  # that go through the vision tower once
    tokens: float  # T, mean
    most_tokens: int  # T of the longest sequence
    visual_tokens: float  # V, mean
    checkpointing: bool
    precision: torch.dtype
    answers: float = 0.0  # tokens of an example that a language head reads, mean
    most_answers: int = 0  # tokens of the example with most
    texts: int = 0  # that are decoded


@dataclass(frozen=True)
class Estimate:
    """What a run needs, and what there is."""

    parameters: int
    trained: int
    weights_bytes: int
    training_bytes: int  # trained numbers, their gradients and moments
    activation_bytes: int  # of the micro-batch of longest sequences
    language_flops: float  # of one forward pass of an example
    vision_flops: float  # of one image
    speed: float  # floating-point operations a second in the run's precision, measured
    plain_speed: float  # the same in float32
    seconds: float
    device: str
    device_bytes: int  # memory there is

    @property
    def needed_bytes(self) -> int:
        return self.weights_bytes + self.training_bytes + self.activation_bytes


def estimate_run(network: Any, backbone: Backbone, plan: Plan, head_numbers: int) -> Estimate:
    """Estimate from a network on the meta device; `head_numbers` are those trained beside it: the
    linear head's, the projector's."""
    shapes = [(p.numel(), p.requires_grad) for p in network.parameters()]
    parameters = sum(count for count, trained in shapes if not trained)
    trained = sum(count for count, is_trained in shapes if is_trained) + head_numbers
    size = torch.finfo(plan.precision).bits // 8
    text = backbone.config.text_config
    language_numbers, vision_numbers = _linear_numbers(network)
    word_numbers = text.hidden_size * text.vocab_size if plan.answers else 0
    if not backbone.config.tie_word_embeddings:
        parameters += word_numbers
    language = language_flops(text, language_numbers, plan.tokens)
    language += 2 * plan.answers * word_numbers
    vision = vision_flops(backbone, vision_numbers, plan.visual_tokens)
    rows = int(plan.micro_batch * plan.tokens)
    device, memory = this_device()
    sides = rows, text.hidden_size, text.intermediate_size
    speeds = {
        dtype: measure_speed(sides, dtype, device, trains=plan.epochs > 0)
        for dtype in {plan.precision, torch.float32}
    }
    speed = speeds[plan.precision]
    training = plan.epochs * plan.train * plan.passes
    predicted = plan.epochs * plan.validation + plan.validation + plan.test
    decoded = plan.texts * plan.answers * 2 * (language_numbers + word_numbers)
    work = (training + predicted) * language + decoded + plan.new_images * vision
    return Estimate(
        parameters=parameters,
        trained=trained,
        weights_bytes=parameters * size,
        training_bytes=trained * TRAINED_BYTES,
        activation_bytes=activation_bytes(text, plan, size),
        language_flops=language,
        vision_flops=vision,
        speed=speed,
        plain_speed=speeds[torch.float32],
        seconds=work / speed,
        device=device,
        device_bytes=memory,
    )


def _linear_numbers(network: Any) -> tuple[int, int]:
    """Weights of the linear layers of language model and vision tower: 2 operations a token each."""
    language = vision = 0
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2 or "embed" in name.rsplit(".", 2)[-2]:
            continue
        if "language_model" in name:
            language += parameter.numel()
        else:
            vision += parameter.numel()
    return language, vision


def language_flops(text: Any, numbers: int, tokens: float) -> float:
    """2·T·(weights) + 4·T²·(width of all heads)·L of one forward pass."""
    heads = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    attention = 4 * tokens**2 * heads * text.num_attention_heads * text.num_hidden_layers
    return 2 * tokens * numbers + attention


def vision_flops(backbone: Backbone, numbers: int, tokens: float) -> float:
    """The tower's: weights over all patches, attention over the keys that each patch sees."""
    vision = backbone.config.vision_config
    patches, seen = backbone.architecture.patches(vision, round(tokens))
    return 2 * patches * numbers + 4 * patches * seen * vision.hidden_size


def activation_bytes(text: Any, plan: Plan, size: int) -> int:
    """What the backward pass of one micro-batch needs: B·T·L·(size·(8·D + 4·M) + 16·D) bytes.

    A language head's logits are B·(answer tokens)·vocabulary numbers, in `size` bytes and twice in
    float32. Per layer and token the inputs of the linear layers and of the products (8·D + 4·M numbers of
    `size` bytes) and the float32 copies in which norms compute (4·D numbers). Gradient
    checkpointing keeps one D per layer, and one layer's activations.
    """
    hidden, wide, layers = text.hidden_size, text.intermediate_size, text.num_hidden_layers
    layer = size * (8 * hidden + 4 * wide) + 16 * hidden
    rows = plan.micro_batch * plan.most_tokens if plan.epochs else 0
    answers = plan.micro_batch * plan.most_answers if plan.epochs else 0
    words = answers * text.vocab_size * (size + 8)
    if plan.checkpointing:
        return rows * (layers * size * hidden + layer) + words
    return rows * layers * layer + words


def this_device() -> tuple[str, int]:
    """Where a run would compute, and the bytes of memory there."""
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return "cuda", properties.total_memory
    return "cpu", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def measure_speed(
    sides: tuple[int, int, int], dtype: torch.dtype, device: str, *, trains: bool
) -> float:
    """Operations a second of a linear layer's products, a share of them lost as in a real network.

    `sides` are rows, inputs and outputs of the layer; `trains` adds the product of its backward
    pass. The matrices grow from small ones until the next product would take longer than
    LONGEST_PRODUCT: a processor without units for a precision computes a hundred times slower in
    it, and one product of full size would take it most of a minute.
    """
    full = tuple(min(max(side, 1), SIDE_LIMIT) for side in sides)
    now = tuple(min(side, FIRST_SIDE) for side in full)
    while True:
        seconds = _time_products(now, dtype, device, trains)
        grown = tuple(min(2 * side, most) for side, most in zip(now, full, strict=True))
        operations = 2.0 * math.prod(now) * (2 if trains else 1)
        expected = seconds * math.prod(grown) / math.prod(now)
        if grown == now or expected > LONGEST_PRODUCT:
            return operations / seconds * EFFICIENCY
        now = grown


def _time_products(
    sides: tuple[int, int, int], dtype: torch.dtype, device: str, trains: bool
) -> float:
    """Least seconds of one forward pass (and one backward pass) of a linear layer: other programs
    at work on this machine slow some of the repetitions, seldom all."""
    rows, inputs, outputs = sides
    read = torch.ones(rows, inputs, dtype=dtype, device=device)
    weight = torch.ones(outputs, inputs, dtype=dtype, device=device)
    least, begun, done = math.inf, time.perf_counter(), 0
    while done < FEWEST_PRODUCTS or time.perf_counter() - begun < MEASURE_SECONDS:
        started = time.perf_counter()
        written = torch.nn.functional.linear(read, weight)
        if trains:
            _ = written @ weight
        if device == "cuda":
            torch.cuda.synchronize()
        least = min(least, time.perf_counter() - started)
        done += 1
    return least


def plan_run(
    recipe: Recipe, splits: Splits, tokens: np.ndarray, words: int, texts: TextFacts | None
) -> Plan:
    """How much the run of a recipe reads. `tokens` are the visual ones of each image, `words` the
    others of the longest sequence; `texts` are those of a generative run."""
    training = recipe.training
    preset = OBJECTIVES[recipe.objective.method]
    reads_taps = bool(recipe.objective.mutual_information or recipe.objective.adversary)
    in_parts = training.micro_batch_size < training.batch_size
    cached_gradient = in_parts and (reads_taps or not outline_objective(recipe).is_separable)
    mean = float(tokens.mean())
    return Plan(
        train=len(splits.train),
        validation=len(splits.validation),
        test=len(splits.test),
        epochs=training.epochs if preset.trains else 0,
        micro_batch=training.micro_batch_size,
        passes=(3.0 if cached_gradient else 2.0)
        + (1.0 if training.gradient_checkpointing else 0.0),
        new_images=len(tokens),
        tokens=mean + words,
        most_tokens=int(tokens.max()) + words,
        visual_tokens=mean,
        checkpointing=training.gradient_checkpointing,
        precision=DTYPES[training.precision],
        answers=float(texts.answers.mean()) if texts else 0.0,
        most_answers=int(texts.answers.max()) if texts else 0,
        texts=texts.texts if texts else 0,
    )


def check_estimate(estimate: Estimate, precision: str) -> CheckReport:
    """Whether the device suffices, and the numbers; `precision` is the recipe's
    training.precision."""
    findings = [*find_too_large(estimate), *find_slow_precision(estimate, precision)]
    numbers = {**vars(estimate), "bytes": estimate.needed_bytes}
    return CheckReport(findings, [_tabulate(estimate)], {"estimate": numbers})


def find_slow_precision(estimate: Estimate, precision: str) -> list[Finding]:
    """An error for a precision that the device refuses, a warning for one that it has no units for."""
    if precision == "fp16" and estimate.device == "cpu":
        message = "training.precision is fp16, which needs a GPU; use bf16 or fp32 here."
        return [Finding("error", "precision", message)]
    times = estimate.plain_speed / estimate.speed
    if times < SLOWER:
        return []
    return [
        Finding(
            "warning",
            "slow-precision",
            f"training.precision is {precision}, in which this {estimate.device} computes "
            f"{times:.0f} times slower than in fp32 ({_gflops(estimate.speed)} against "
            f"{_gflops(estimate.plain_speed)}, measured): it has no units for it. "
            "training.precision=fp32 is that much faster here, for twice the memory of the weights.",
        )
    ]


def find_too_large(estimate: Estimate) -> list[Finding]:
    """An error where memory cannot suffice, a warning where it is close."""
    share = estimate.needed_bytes / estimate.device_bytes
    if share < 0.85:
        return []
    way_out = (
        "lower training.micro_batch_size or model.max_pixels, set "
        "training.gradient_checkpointing=true, or use a larger device"
    )
    return [
        Finding(
            "error" if share > 1.3 else "warning",
            "memory",
            f"The run needs about {_gib(estimate.needed_bytes)}, the {estimate.device} has "
            f"{_gib(estimate.device_bytes)}; {way_out}.",
        )
    ]


def _tabulate(estimate: Estimate) -> Table:
    """One row per part of memory and time."""
    rows = (
        ("parameters, frozen", f"{estimate.parameters:,}"),
        ("parameters, trained", f"{estimate.trained:,}"),
        ("memory: weights", _gib(estimate.weights_bytes)),
        ("memory: trained, gradients, AdamW", _gib(estimate.training_bytes)),
        ("memory: activations of a micro-batch", _gib(estimate.activation_bytes)),
        ("memory: together", f"{_gib(estimate.needed_bytes)} + the libraries' own"),
        (f"memory: this {estimate.device}", _gib(estimate.device_bytes)),
        ("forward pass, language", f"{estimate.language_flops / 1e9:,.2f} GFLOP an example"),
        ("forward pass, vision", f"{estimate.vision_flops / 1e9:,.2f} GFLOP an image, once"),
        ("speed in the run's precision, measured", _gflops(estimate.speed)),
        ("speed in fp32, measured", _gflops(estimate.plain_speed)),
        ("time of the run", f"about {show_duration(estimate.seconds)}"),
    )
    return text_table("Estimate, from the configuration alone", ("", ""), rows)


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


def _gflops(speed: float) -> str:
    return f"{speed / 1e9:.3g} GFLOP/s"
