"""The table TASKS: what a recipe's `task` chooses."""

from __future__ import annotations

from collections.abc import Mapping

from fairlora_cls.classification import CLASSIFY
from fairlora_cls.generation import GENERATE
from fairlora_cls.task import Task

TASKS: Mapping[str, Task] = {"classify": CLASSIFY, "generate": GENERATE}
