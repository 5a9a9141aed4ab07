"""Which layer, which tokens, and how they become one vector."""

from dataclasses import replace

import pytest
import torch

from fairlora_cls.errors import InputError
from fairlora_cls.models.adapters import LoraSettings, attach_lora
from fairlora_cls.models.classifier import Classifier
from fairlora_cls.models.taps import (
    TOKEN_POOLINGS,
    TOKENS,
    TapSettings,
    pool_tokens_random,
    tap_layers,
)
from tests.test_backbones import ask, noise

SIZES = [(112, 112), (56, 84), (196, 140)]  # 16, 6 and 35 visual tokens


@pytest.mark.parametrize(
    ("tap", "layers", "expected"),
    [
        ("middle", 28, (14,)),  # Qwen2.5-VL-7B
        ("middle", 32, (16,)),  # Vicuna-7B
        ("first", 4, (1,)),
        ("last", 4, (4,)),
        ("mean", 4, (1, 2, 4)),
        ([20, 14, 16], 32, (14, 16, 20)),
        ([2, 2], 4, (2,)),
    ],
)
def test_named_and_explicit_layers(tap, layers, expected):
    assert tap_layers(tap, layers) == expected


@pytest.mark.parametrize("tap", [[0], [5], [1, 9]])
def test_layers_that_are_not_there(tap):
    with pytest.raises(InputError, match="layers 1 to 4"):
        tap_layers(tap, 4)


def tapped(backbone, taps):
    torch.manual_seed(0)
    network = attach_lora(backbone, LoraSettings(rank=4, dropout=0.0))
    return Classifier(backbone, network, 2, "last", taps).eval()


def batch_of(backbone, sizes=SIZES, draws=None):
    images = [noise(*size, seed=i) for i, size in enumerate(sizes)]
    batch = ask(backbone, backbone.encode_images(images))
    return replace(batch, draws=draws)


def stock_states(backbone, batch, row):
    """Every layer's states of one example, by transformers' own output_hidden_states."""
    length = int(batch.lengths[row])
    counts = (batch.input_ids == backbone.image_token).sum(dim=1).tolist()
    features = batch.image_features.split(counts)[row]
    ids = batch.input_ids[row : row + 1, :length]
    embeddings = backbone.model.language_model.embed_tokens(ids)
    is_image = (ids == backbone.image_token)[..., None]
    embeddings = embeddings.masked_scatter(is_image, features)
    found = backbone.model.language_model(
        inputs_embeds=embeddings,
        position_ids=batch.position_ids[:, row : row + 1, :length],
        output_hidden_states=True,
        use_cache=False,
    )
    return [h[0] for h in found.hidden_states], is_image[0, :, 0]


@pytest.mark.parametrize("tokens", list(TOKENS))
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_taps_equal_the_stock_hidden_states(backbone, tokens, pooling):
    settings = [TapSettings((2,), tokens, pooling), TapSettings((1, 3), tokens, pooling, True)]
    classifier = tapped(backbone, settings)
    batch = batch_of(backbone)
    with torch.no_grad():
        found = classifier(batch).hidden
        assert found.shape == (3, 2, backbone.hidden_size)
        for row in range(3):
            states, is_image = stock_states(backbone, batch, row)
            chosen = {"image": is_image, "text": ~is_image, "all": torch.ones_like(is_image)}[
                tokens
            ]

            def pooled(layer, states=states, chosen=chosen):
                kept = states[layer][chosen]
                return kept.mean(dim=0) if pooling == "mean" else kept[-1]

            torch.testing.assert_close(found[row, 0], pooled(2), rtol=1e-4, atol=1e-4)
            mean = (pooled(1) + pooled(3)) / 2
            torch.testing.assert_close(found[row, 1], mean / mean.norm(), rtol=1e-4, atol=1e-4)


def test_without_taps_nothing_is_hooked_or_kept(backbone):
    classifier = tapped(backbone, [])
    assert classifier(batch_of(backbone)).hidden is None
    assert not any(layer._forward_hooks for layer in backbone.language_layers)


def test_hooks_lie_on_the_tapped_layers_only(backbone):
    tapped(backbone, [TapSettings((2,))])
    assert [bool(layer._forward_hooks) for layer in backbone.language_layers] == [
        False,
        True,
        False,
        False,
    ]


def test_a_random_token_is_uniform_over_the_chosen_ones():
    hidden = torch.arange(6.0)[None, :, None].expand(5, -1, 1)
    chosen = torch.tensor([False, True, True, False, True, True]).expand(5, -1)
    draws = torch.tensor([0.0, 0.24, 0.25, 0.5, 0.999])
    assert pool_tokens_random(hidden, chosen, draws)[:, 0].tolist() == [1, 1, 2, 4, 5]


def test_without_draws_the_mean_stands_for_the_random_token():
    hidden = torch.randn(2, 5, 3)
    chosen = torch.tensor([[True, False, True, True, False]] * 2)
    found = TOKEN_POOLINGS["random"](hidden, chosen, None)
    torch.testing.assert_close(found, hidden[:, [0, 2, 3]].mean(dim=1))


@pytest.mark.parametrize("pooling", list(TOKEN_POOLINGS))
def test_batched_and_single_agree(backbone, pooling):
    classifier = tapped(backbone, [TapSettings((2,), "image", pooling)])
    draws = torch.tensor([0.1, 0.6, 0.9])
    batch = batch_of(backbone, draws=draws)
    whole = classifier(batch).hidden
    images = [noise(*size, seed=i) for i, size in enumerate(SIZES)]
    for row, image in enumerate(images):
        one = ask(backbone, backbone.encode_images([image]))
        one = replace(one, draws=draws[row : row + 1])
        torch.testing.assert_close(classifier(one).hidden[0], whole[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_gradient_reaches_layers_below_the_tap_only(backbone, checkpointing):
    classifier = tapped(backbone, [TapSettings((2,))]).train()
    if checkpointing:
        backbone.model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    classifier(batch_of(backbone)).hidden.square().sum().backward()
    assert classifier.taps.kept == {}
    reached = {
        int(name.split(".layers.")[1].split(".")[0])
        for name, parameter in classifier.named_parameters()
        if ".layers." in name and parameter.grad is not None and parameter.grad.abs().max() > 0
    }
    assert reached == {0, 1}
