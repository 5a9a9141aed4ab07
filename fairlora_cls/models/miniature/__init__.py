"""A Qwen2.5-VL of a few million parameters: its weights, tokenizer and the script that trained it.

`FOLDER` loads as any checkpoint does: `Qwen2_5_VLModel.from_pretrained(FOLDER)`.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
