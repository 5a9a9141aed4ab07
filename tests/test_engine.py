"""Features reach every split by the recipe's own reading of the images."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from fairlora_cls.engine import prepare_features, start_accelerator
from tests.test_examples import GOOD


def test_deep_pixels_are_rescaled_alike_from_cache_and_live(tmp_path, backbone, display):
    rng = np.random.default_rng(0)
    examples = []
    for example in GOOD.everything():
        path = tmp_path / f"{example.id}.png"
        Image.fromarray(rng.integers(0, 4000, (56, 56)).astype(np.uint16)).save(path)
        examples.append(replace(example, image=path))
    splits = replace(
        GOOD, train=tuple(examples[:3]), validation=tuple(examples[3:5]), test=tuple(examples[5:])
    )
    accelerator = start_accelerator("fp32", [], tmp_path)

    def features(rescaling, use_cache):
        chosen = replace(backbone, rescaling=rescaling)
        _, dropped, found = prepare_features(splits, chosen, use_cache, False, accelerator, display)
        assert dropped == []
        return found["test"]([1])[0][0]

    window = (0.0, 60000.0)
    cached, live = features(window, True), features(window, False)
    torch.testing.assert_close(cached, live, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(cached, features("percentile", True), atol=1e-2)
    assert not torch.allclose(live, features("percentile", False), atol=1e-2)
