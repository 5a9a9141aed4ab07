"""Vision-language backbones, LoRA on them, and the classifier on top."""
