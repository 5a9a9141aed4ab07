"""What every variant of a benchmark works on: the same examples, order, rates and steps.

N examples, B examples of one optimizer step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairlora_cls.data.batching import shuffled_steps
from fairlora_cls.data.datasets import DATASETS, load_splits
from fairlora_cls.data.examples import Example, limit_splits
from fairlora_cls.data.simulated.cohorts import write_cohort
from fairlora_cls.data.simulated.fundus import FUNDUS


@dataclass(frozen=True)
class Workload:
    """One training run, whoever carries it out."""

    examples: tuple[Example, ...]  # N, a multiple of B
    classes: tuple[str, ...]
    question: str
    epochs: int
    batch_size: int  # B
    micro_batch_size: int  # examples in one forward pass
    precision: str  # fp32 or bf16
    learning_rate: float  # of the LoRA matrices, constant
    head_learning_rate: float  # of the head, constant
    weight_decay: float = 0.01
    gradient_clip: float = 1.0  # largest L2 norm
    seed: int = 42

    @property
    def images(self) -> int:
        """Images trained on, epochs counted."""
        return self.epochs * len(self.examples)

    def plan_epoch(self, epoch: int) -> list[np.ndarray]:
        """The effective batches of one epoch, arrays of indices into `examples`."""
        codes = np.zeros(len(self.examples), dtype=np.int64)
        return shuffled_steps(codes, self.batch_size, self.seed, epoch)

    def order(self) -> np.ndarray:
        """Indices into `examples` in the order of training, all epochs."""
        return np.concatenate([np.concatenate(self.plan_epoch(e)) for e in range(self.epochs)])


def load_examples(
    data: str | None, images: int, side: int, folder: Path
) -> tuple[tuple[Example, ...], tuple[str, ...], str]:
    """Training examples, class names and question of SOURCE:PATH, or of eyes drawn into `folder`.

    `side` is that of a drawn photograph in pixels.
    """
    if data is None:
        source = "simulated-fundus"
        write_cohort(FUNDUS, folder / "cohort", train=images, validation=2, test=2, side=side)
        splits = load_splits(source, folder / "cohort", {})
    else:
        source, _, path = data.partition(":")
        splits = limit_splits(
            load_splits(source, Path(path).expanduser() if path else None, {}), images
        )
    question = DATASETS[source].defaults.get("prompt", "Is there disease in this image?")
    return splits.train, splits.classes, question
