"""What the runs of one process share: loaded data, opened vision features, a loaded backbone."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from fairlora_cls.models.adapted import AdaptedModel
from fairlora_cls.models.backbones import Backbone


class SharedParts:
    """Keeps for the next run what is slow to load and the same for many runs of an ablation.

    One backbone is kept. Training puts LoRA on it in place, so a run borrows it and gives it back;
    one that was not given back, as by a run that failed, is loaded anew.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._idle: tuple[Hashable, Backbone] | None = None
        self._lent: tuple[Hashable, Backbone, set[int]] | None = None

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` returned the first time that `key` was asked for; it must not be changed."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def lend_backbone(self, key: Hashable, load: Callable[[], Backbone]) -> Backbone:
        """The backbone that `load` gives: the one given back last if it was of the same `key`."""
        idle, self._idle, self._lent = self._idle, None, None
        if idle is not None and idle[0] == key:
            backbone = idle[1]
        else:
            del idle  # before another is loaded: two large ones may not fit
            backbone = load()
        self._lent = (key, backbone, {id(p) for p in backbone.model.parameters()})
        return backbone

    def give_back(self, model: AdaptedModel) -> None:
        """Take LoRA off the borrowed backbone, put its first projector back and keep it, unless
        others of its own weights were trained."""
        lent, self._lent = self._lent, None
        if lent is None or model.backbone.model is not lent[1].model:
            return
        key, backbone, own = lent
        if any(p.requires_grad for p in model.parameters() if id(p) in own):
            return
        model.taps.remove()
        if model.network is not backbone.model:
            model.network.unload()
        if backbone.train_projector:
            backbone.projector.load_state_dict(model.initial_projector)
        backbone.model.gradient_checkpointing_disable()
        backbone.model.eval()
        self._idle = (key, backbone)
