"""The table TASKS: what a recipe's `task` chooses."""

from __future__ import annotations

from collections.abc import Mapping

from fairlora_cls.runs.classify import CLASSIFY
from fairlora_cls.runs.generate import GENERATE
from fairlora_cls.runs.task import Task

TASKS: Mapping[str, Task] = {"classify": CLASSIFY, "generate": GENERATE}
