"""Fairness-aware LoRA fine-tuning of vision-language models for medical image classification."""

__version__ = "0.1.0"
