"""Classification without training, by the likelihood of each class's words as the answer.

B examples, T tokens, M tokens of a class's words, D hidden size, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fairlora_cls.data.batching import Batch
from fairlora_cls.data.images import Rescaling
from fairlora_cls.errors import InputError
from fairlora_cls.models.backbones import Backbone, load_backbone
from fairlora_cls.models.outputs import Outputs


class LabelWordClassifier(nn.Module):
    """logit_k = log p(words of class k | image, question) in nats: the only use of a language head.

    Longer words have lower likelihoods; choose words of similar length.
    """

    def __init__(self, backbone: Backbone, words: Sequence[str]):
        super().__init__()
        self.backbone = backbone
        self.network = backbone.model
        self.language_head = backbone.language_head
        tokenizer = backbone.processor.tokenizer
        self.word_ids = [tokenizer(w, add_special_tokens=False)["input_ids"] for w in words]
        if any(not ids for ids in self.word_ids):
            raise InputError(f"objective.label_words has an empty entry: {list(words)}.")

    def forward(self, batch: Batch) -> Outputs:
        """Log-likelihoods (B, K) float32 of one right-padded micro-batch, as logits."""
        scores = [self._log_likelihood(batch, ids) for ids in self.word_ids]
        return Outputs(torch.stack(scores, dim=1))

    def _log_likelihood(self, batch: Batch, words: list[int]) -> torch.Tensor:
        rows = torch.arange(len(batch.lengths), device=batch.lengths.device)[:, None]
        offsets = torch.arange(len(words), device=rows.device)[None]
        places = batch.lengths[:, None] + offsets  # (B, M), just after the prompt
        answer = torch.tensor(words, device=rows.device).expand(len(rows), -1)
        input_ids = nn.functional.pad(batch.input_ids, (0, len(words)))
        input_ids[rows, places] = answer
        position_ids = nn.functional.pad(batch.position_ids, (0, len(words)))
        last = batch.position_ids[:, rows, batch.lengths[:, None] - 1]  # (P, B, 1)
        position_ids[:, rows, places] = last + 1 + offsets
        hidden = self.backbone.hidden_states(input_ids, batch.image_features, position_ids)
        logits = self.language_head(hidden[rows, places - 1]).float()  # (B, M, vocabulary)
        return logits.log_softmax(-1).gather(-1, answer[..., None])[..., 0].sum(dim=1)


def load_label_word_classifier(
    name: str,
    dtype: torch.dtype,
    maximum_pixels: int,
    words: Sequence[str],
    *,
    rescaling: Rescaling = "percentile",
) -> LabelWordClassifier:
    """A zero-shot classifier from a backbone's name. Raises InputError as `load_backbone` does."""
    backbone = load_backbone(name, dtype, maximum_pixels, rescaling=rescaling, language_head=True)
    return LabelWordClassifier(backbone, words).eval()
