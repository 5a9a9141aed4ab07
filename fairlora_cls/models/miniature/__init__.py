"""A Qwen2.5-VL of a few million parameters: its weights and tokenizer.

The script that trained it is `tools/miniature/train.py` in the repository.

`FOLDER` loads as any checkpoint does: `Qwen2_5_VLModel.from_pretrained(FOLDER)`.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
