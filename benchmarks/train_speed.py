"""Training speed of this package beside what a user would write without it, in one process.

(a) transformers + PEFT + `Trainer`, pixels in, (b) this package from a cold vision cache, (c) from
a warm one: the same images, model, initial weights, order, rates and steps. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # Trainer would spread over all it sees

import torch
import transformers
from measuring import ImageFlops, Run, count_flops
from package_variant import batch_maker, prepare_features, run_package
from random_backbone import SHAPE_7B, SHAPE_SMOKE, build_random_qwen2_5_vl
from step_profile import profile_steps
from stock_variant import run_stock
from workload import Workload, load_examples

from fairlora_cls.models.adapters import (
    LoraSettings,
    attach_lora,
    restore_trainable_state,
    trainable_state,
)
from fairlora_cls.models.backbones import Backbone, load_backbone
from fairlora_cls.models.classifier import Classifier

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
PAPER_IMAGES_PER_SECOND = 2.33  # Qwen2.5-VL-7B: 7,000 images × 3 epochs in 2.5 hours
VARIANTS = {
    "a": "(a) transformers + PEFT + Trainer",
    "b": "(b) fairlora-cls, cold cache",
    "c": "(c) fairlora-cls, warm cache",
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256, help="training images")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=8, help="examples per optimizer step")
    parser.add_argument("--micro-batch-size", type=int, default=8, help="examples per forward pass")
    parser.add_argument("--backbone", choices=("miniature", "7b-random"), default="miniature")
    parser.add_argument("--smoke", action="store_true", help="7b-random shrunk, for a CPU")
    parser.add_argument("--precision", choices=tuple(DTYPES), help="default: bf16 on a GPU")
    parser.add_argument("--max-pixels", type=int, help="px² of a resized image")
    parser.add_argument("--dropout", type=float, default=0.0, help="of LoRA; 0 for equal losses")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of a, b, c")
    parser.add_argument("--variants", default="abc", help="which, e.g. bc")
    parser.add_argument("--stock-workers", type=int, default=0, help="data loader workers of (a)")
    parser.add_argument("--data", metavar="SOURCE:PATH", help="real images; default: drawn eyes")
    parser.add_argument("--peak-tflops", type=float, default=990.0, help="dense bf16 of the GPU")
    parser.add_argument("--profile", action="store_true", help="profile ten warm steps of (c)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args()
    cuda = torch.cuda.is_available()
    options.precision = options.precision or ("bf16" if cuda else "fp32")
    tiny = options.backbone == "miniature"
    options.max_pixels = options.max_pixels or (31360 if tiny else 200704)
    options.images -= options.images % options.batch_size
    if options.images < options.batch_size or options.batch_size % options.micro_batch_size:
        parser.error("--images must hold a batch, and a batch must be whole micro-batches")
    if set(options.variants) - set(VARIANTS):
        parser.error("--variants takes letters of abc")
    if options.backbone == "7b-random" and not (cuda or options.smoke):
        parser.error("--backbone 7b-random needs a GPU of 40 GB or more; --smoke tries it on a CPU")
    return options


def build_backbone(options: argparse.Namespace, device: torch.device) -> Backbone:
    dtype = DTYPES[options.precision]
    if options.backbone == "miniature":
        return load_backbone("miniature", dtype, options.max_pixels)
    shape = SHAPE_SMOKE if options.smoke else SHAPE_7B
    return build_random_qwen2_5_vl(shape, dtype, device, options.max_pixels)


def build_workload(options: argparse.Namespace, folder: Path) -> tuple[Workload, int]:
    """The work, and its number of classes. Drawn eyes are larger than the budget for 7B, so that
    an image is resized as a real one is."""
    side = 112 if options.backbone == "miniature" else 512
    examples, classes, question = load_examples(options.data, options.images, side, folder)
    whole = len(examples) - len(examples) % options.batch_size
    rates = (3e-4, 9e-4) if options.backbone == "miniature" else (1e-5, 1e-5)
    workload = Workload(
        examples=examples[:whole],
        classes=classes,
        question=question,
        epochs=options.epochs,
        batch_size=options.batch_size,
        micro_batch_size=options.micro_batch_size,
        precision=options.precision,
        learning_rate=rates[0],
        head_learning_rate=rates[1],
    )
    return workload, len(classes)


def run_rounds(
    options: argparse.Namespace,
    classifier: Classifier,
    workload: Workload,
    device: torch.device,
    folder: Path,
    reset: Callable[[], None],
) -> dict[str, list[Run]]:
    """Every variant once in each repeat, from the same weights; (b) fills what (c) reads."""
    runs: dict[str, list[Run]] = {letter: [] for letter in VARIANTS if letter in options.variants}
    for number in range(options.repeats):
        cache = folder / f"cache-{number}"
        if "c" in runs and "b" not in runs:
            prepare_features(classifier.backbone, workload, cache)
        for letter, done in runs.items():
            reset()
            place = folder / f"run-{number}-{letter}"
            if letter == "a":
                done.append(run_stock(classifier, workload, options.stock_workers, device, place))
            else:
                done.append(run_package(classifier, workload, cache, device, place))
            speed = workload.images / done[-1].seconds
            print(f"repeat {number + 1}: {VARIANTS[letter]:<36}{speed:9.2f} images/s", flush=True)
    return runs


def print_table(runs: Mapping[str, Sequence[Run]], images: int, memory: str) -> None:
    # Against (a) of the same repeat: what else runs on the machine slows neighbours alike.
    stock = [r.seconds for r in runs["a"]] if "a" in runs else []
    print(f"\n{images} images (epochs counted); median of repeats [least–most]; {memory}.")
    header = f"{'variant':<36}{'images/s':>22}{'ratio':>8}{'memory MB':>11}{'vision s':>10}"
    print(header + f"{'images s':>10}{'between s':>11}{'first loss':>12}{'last loss':>11}")
    for letter, done in runs.items():
        seconds = statistics.median(r.seconds for r in done)
        speeds = sorted(images / r.seconds for r in done)
        middle = f"{images / seconds:.2f} [{speeds[0]:.2f}–{speeds[-1]:.2f}]"
        ratios = [a / r.seconds for a, r in zip(stock, done, strict=False)]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "–"
        peak = max(r.memory for r in done) / 2**20
        vision = statistics.median(r.vision_seconds for r in done)
        print(
            f"{VARIANTS[letter]:<36}{middle:>22}{ratio:>8}{peak:>11.0f}{vision:>10.2f}"
            f"{_middle([r.image_seconds for r in done]):>10}"
            f"{_middle([r.outside_seconds for r in done]):>11}"
            f"{done[-1].losses[0]:>12.6f}{done[-1].losses[-1]:>11.6f}"
        )
    print(
        "vision s: the tower in all steps of (a), the whole stage before the steps of (b) and (c); "
        "images s: opening images and the processor in (a); between s: log and checkpoints."
    )


def _middle(values: Sequence[float | None]) -> str:
    return "–" if None in values else f"{statistics.median(values):.2f}"


def print_losses(runs: Mapping[str, Sequence[Run]]) -> dict[str, float]:
    """How far the per-step losses of the variants lie apart, in nats; the greatest |difference|."""
    first = next(iter(runs))
    reference = torch.tensor(runs[first][-1].losses)
    greatest = {}
    print(f"\nLosses of {len(reference)} steps against ({first}), |difference| in nats:")
    for letter, done in runs.items():
        apart = (torch.tensor(done[-1].losses) - reference).abs()
        greatest[letter] = float(apart.max())
        print(
            f"({letter}) first {apart[0]:.1e}, last {apart[-1]:.1e}, mean {apart.mean():.1e}, "
            f"greatest {apart.max():.1e}"
        )
    return greatest


def print_utilisation(
    runs: Mapping[str, Sequence[Run]], workload: Workload, flops: ImageFlops, peak: float
) -> dict[str, float]:
    """Model FLOP utilisation: the FLOPs that each variant needs over those the device could do."""
    done_once = {
        "a": workload.images * (flops.language + flops.vision_forward),
        "b": workload.images * flops.language + len(workload.examples) * flops.vision_forward,
        "c": workload.images * flops.language,
    }
    utilisation = {}
    print(f"\nModel FLOP utilisation at {peak:.0f} TFLOP/s, and against the paper's 2.33 images/s:")
    for letter, done in runs.items():
        seconds = statistics.median(r.seconds for r in done)
        utilisation[letter] = done_once[letter] / seconds / (peak * 1e12)
        faster = workload.images / seconds / PAPER_IMAGES_PER_SECOND
        print(f"({letter}) {utilisation[letter]:.1%}, {faster:.2f} × the paper's")
    return utilisation


def describe_machine(device: torch.device) -> dict[str, str | int]:
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {"device": name, "threads": torch.get_num_threads(), "load": load, **versions}


def main() -> None:
    options = read_options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload, class_count = build_workload(options, folder)
        backbone = build_backbone(options, device)
        torch.manual_seed(workload.seed)
        network = attach_lora(backbone, LoraSettings(dropout=options.dropout))
        classifier = Classifier(backbone, network, class_count, "last").to(device)
        initial = {n: t.clone() for n, t in trainable_state(classifier).items()}

        def reset() -> None:
            restore_trainable_state(classifier, initial)
            classifier.zero_grad(set_to_none=True)

        machine = describe_machine(device)
        print(", ".join(f"{k} {v}" for k, v in machine.items()))
        trial = Workload(
            **{**vars(workload), "examples": workload.examples[: 2 * options.batch_size]}
        )
        small = argparse.Namespace(**{**vars(options), "repeats": 1})
        print("Warm-up, not counted:")
        run_rounds(small, classifier, trial, device, folder / "warm-up", reset)

        print(f"{len(workload.examples)} images × {workload.epochs} epochs, {options.precision}:")
        runs = run_rounds(options, classifier, workload, device, folder, reset)
        where = (
            "memory: torch.cuda.max_memory_allocated, weights included"
            if device.type == "cuda"
            else "memory: resident peak above that before the variant, sampled"
        )
        print_table(runs, workload.images, where)
        apart = print_losses(runs)
        features = prepare_features(backbone, workload, folder / "cache-0")
        batch = batch_maker(backbone, workload, features)([0])
        patches = int(features([0])[0][1].prod())
        flops = count_flops(backbone.model, int(batch.lengths[0]), patches)
        print(
            f"\nTFLOP an image, {int(batch.lengths[0])} tokens of which {patches // 4} visual: "
            f"language forward {flops.language_forward / 1e12:.4g}, "
            f"backward {flops.language_backward / 1e12:.4g}, "
            f"vision forward {flops.vision_forward / 1e12:.4g}."
        )
        utilisation = {}
        if device.type == "cuda" or options.smoke:
            if options.smoke:
                print("\nThe figures of --smoke mean nothing; it only runs the code.")
            utilisation = print_utilisation(runs, workload, flops, options.peak_tflops)
        if options.json:
            record = {
                "options": {k: str(v) for k, v in vars(options).items()},
                "machine": machine,
                "images": workload.images,
                "flops_per_image": asdict(flops),
                "utilisation": utilisation,
                "greatest_loss_difference": apart,
                "runs": {letter: [asdict(r) for r in done] for letter, done in runs.items()},
            }
            options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if options.profile:
            profile_steps(
                classifier, workload, folder / "cache-0", device, folder / "profile", reset
            )


if __name__ == "__main__":
    main()
