"""Fairness-aware LoRA fine-tuning of vision-language models for medical image classification.

In a notebook: `import fairlora_cls as fl; fl.train(fl.build_recipe({...}), Path("runs/mine"))`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name → where it lives; loaded when first used, so that `--help` does not load torch.
_PUBLIC = {
    "Recipe": "fairlora_cls.recipe",
    "build_recipe": "fairlora_cls.recipe",
    "load_recipe": "fairlora_cls.recipe",
    "train": "fairlora_cls.runs.train",
    "evaluate": "fairlora_cls.runs.saved",
    "predict": "fairlora_cls.runs.saved",
    "answer": "fairlora_cls.runs.saved",
    "Generations": "fairlora_cls.texts.generations",
    "read_generations": "fairlora_cls.texts.generations",
    "Predictions": "fairlora_cls.evaluation.prediction_table",
    "read_predictions": "fairlora_cls.evaluation.prediction_table",
    "FairnessReport": "fairlora_cls.evaluation.results",
    "fairness_report": "fairlora_cls.evaluation.report",
    "write_report": "fairlora_cls.evaluation.report",
    "score_texts": "fairlora_cls.texts.scores",
    "text_report": "fairlora_cls.evaluation.report",
    "compare_texts": "fairlora_cls.evaluation.comparison",
    "counterfactual_text_gaps": "fairlora_cls.evaluation.matching",
    "Comparison": "fairlora_cls.evaluation.comparison_results",
    "compare_predictions": "fairlora_cls.evaluation.comparison",
    "counterfactual_gaps": "fairlora_cls.evaluation.matching",
    "postprocess_predictions": "fairlora_cls.evaluation.postprocessing",
    "read_features": "fairlora_cls.evaluation.features",
    "write_comparison": "fairlora_cls.evaluation.comparison_files",
    "InputError": "fairlora_cls.errors",
    "RunError": "fairlora_cls.errors",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"fairlora_cls has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
