"""The real Qwen2.5-VL classes: loading that fails loudly, positions and features that agree."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fairlora_cls.data.batching import Batch, pad
from fairlora_cls.data.conversations import PromptEncoder
from fairlora_cls.errors import InputError
from fairlora_cls.models import miniature
from fairlora_cls.models.backbones import load_backbone

QUESTION = "Does the patient have glaucoma?"


def noise(width, height, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 255, (height, width, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def ask(backbone, features, question=QUESTION, padding_side="right") -> Batch:
    """One question about each image whose features these are."""
    encoder = PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)
    prompts = [encoder.question(question, grid) for _, grid in features]
    return pad(range(len(features)), features, prompts, padding_side=padding_side)


def copy_of_miniature(folder):
    folder.mkdir()
    for path in miniature.FOLDER.iterdir():
        if path.suffix in (".json", ".safetensors", ".jinja"):
            shutil.copy(path, folder / path.name)
    return folder


def test_the_stock_classes_are_used(backbone):
    from transformers import Qwen2_5_VLModel, Qwen2_5_VLProcessor

    assert type(backbone.model) is Qwen2_5_VLModel
    assert type(backbone.processor) is Qwen2_5_VLProcessor


def test_all_is_frozen_and_no_language_head_is_in_memory(backbone):
    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert not any("lm_head" in name for name, _ in backbone.model.named_modules())


def test_a_local_folder_loads(tmp_path):
    folder = copy_of_miniature(tmp_path / "copy")
    assert load_backbone(str(folder), torch.float32, 31360).hidden_size > 0


@pytest.mark.parametrize("lost", ["layers.2.mlp", "visual.blocks.1", "embed_tokens"])
def test_a_missing_weight_is_an_error(tmp_path, lost):
    folder = copy_of_miniature(tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    kept = {n: t for n, t in weights.items() if lost not in n}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks .* weights that Qwen2_5_VLModel needs"):
        load_backbone(str(folder), torch.float32, 31360)


def test_another_architecture_and_a_missing_model(tmp_path):
    folder = copy_of_miniature(tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    with pytest.raises(InputError, match="is a llama model"):
        load_backbone(str(folder), torch.float32, 31360)
    with pytest.raises(InputError, match="cannot be loaded"):
        load_backbone(str(tmp_path / "nowhere"), torch.float32, 31360)
    with pytest.raises(InputError, match=r"max_pixels is 100"):
        load_backbone("miniature", torch.float32, 100)


@pytest.mark.parametrize("size", [(112, 112), (196, 140), (56, 84)])
def test_hidden_states_equal_the_stock_forward_with_pixels(backbone, size):
    """Cached features, own positions, no mask: the numbers of the processor's inputs in one go."""
    image = noise(*size)
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    text = backbone.processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    stock = backbone.processor(text=[text], images=[image], return_tensors="pt", do_resize=False)
    with torch.no_grad():
        expected = backbone.model(**stock, use_cache=False).last_hidden_state
    batch = ask(backbone, backbone.encode_images([image]))
    assert batch.input_ids.tolist() == stock["input_ids"].tolist()
    with torch.no_grad():
        ours = backbone.hidden_states(batch.input_ids, batch.image_features, batch.position_ids)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_language_head_agrees_with_the_whole_model():
    from transformers import Qwen2_5_VLForConditionalGeneration

    backbone = load_backbone("miniature", torch.float32, 31360, language_head=True)
    head = backbone.language_head
    whole = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        miniature.FOLDER, dtype=torch.float32
    )
    assert torch.equal(head.weight, whole.lm_head.weight)
    assert torch.equal(head.weight, backbone.model.get_input_embeddings().weight)


def features_and_batch(backbone, images, padding_side="right"):
    features = backbone.encode_images(images)
    return features, ask(backbone, features, padding_side=padding_side)


def test_a_trained_projector_sees_the_tower_s_own_features(backbone):
    """(V, 4·160): four patches side by side, in reading order in spite of the tower's windows."""
    trained = load_backbone("miniature", torch.float32, 31360, train_projector=True)
    images = [noise(140, 196), noise(56, 84, seed=1)]
    before, after = trained.encode_images(images), backbone.encode_images(images)
    for (left, grid), (right, _) in zip(before, after, strict=True):
        assert left.shape == (trained.visual_tokens(grid), 640)
        torch.testing.assert_close(trained.project(left), right, rtol=1e-5, atol=1e-5)
    assert trained.vision_fingerprint() != backbone.vision_fingerprint()
    with torch.no_grad():
        trained.projector.mlp[0].weight += 1
    assert (
        trained.vision_fingerprint()
        == load_backbone(
            "miniature", torch.float32, 31360, train_projector=True
        ).vision_fingerprint()
    )


def test_the_gradient_reaches_a_trained_projector_in_float32():
    backbone = load_backbone(
        "miniature", torch.bfloat16, 31360, language_head=True, train_projector=True
    )
    assert {p.dtype for p in backbone.projector.parameters()} == {torch.float32}
    assert not any("merger" in name for name, _ in backbone.model.named_parameters())
    _, batch = features_and_batch(backbone, [noise(112, 112)])
    hidden = backbone.hidden_states(batch.input_ids, batch.image_features, batch.position_ids)
    backbone.language_head(hidden[:, -1]).float().logsumexp(-1).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in backbone.projector.parameters())
    assert not any(p.requires_grad for p in backbone.language_head.parameters())


def test_decoding_with_a_cache_equals_the_whole_sequence(backbone):
    """A left-padded batch, three more tokens one by one, against one pass over each sequence."""
    from transformers import DynamicCache

    images = [noise(112, 112), noise(56, 84, seed=1)]
    features, batch = features_and_batch(backbone, images, padding_side="left")
    added = torch.tensor([[5, 6, 7], [8, 9, 10]])
    cache, mask = DynamicCache(), batch.attention_mask
    found = []
    with torch.no_grad():
        hidden = backbone.hidden_states(
            batch.input_ids, batch.image_features, batch.position_ids, mask, cache
        )
        found.append(hidden[:, -1])
        for step in range(3):
            mask = torch.cat([mask, torch.ones(2, 1, dtype=mask.dtype)], dim=1)
            places = batch.position_ids[:, :, -1:] + 1 + step
            hidden = backbone.hidden_states(added[:, step : step + 1], None, places, mask, cache)
            found.append(hidden[:, -1])
        for row, (rows, grid) in enumerate(features):
            asked = ask(backbone, [(rows, grid)]).input_ids[0]
            ids = torch.cat([asked, added[row]])
            places = backbone.positions(ids, grid)[:, None]
            whole = backbone.hidden_states(ids[None], rows, places)[0, -4:]
            ours = torch.stack([step[row] for step in found])
            torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-4)


def edit(file, **values):
    """Change keys of a JSON file of a folder; None takes one out."""

    def change(folder):
        content = {**json.loads((folder / file).read_text()), **values}
        kept = {k: v for k, v in content.items() if v is not None}
        (folder / file).write_text(json.dumps(kept))

    return change


def write(file, text):
    return lambda folder: (folder / file).write_text(text)


def lose(file):
    return lambda folder: (folder / file).unlink()


def as_pickle(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def lose_a_shard(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    places = dict.fromkeys(tensors, "model-1.safetensors") | {"x": "model-2.safetensors"}
    write("model.safetensors.index.json", json.dumps({"weight_map": places}))(folder)


def cut_weights(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


BROKEN = {  # how a folder is broken, and a word that its sentence must have
    "no configuration": (lose("config.json"), "config.json"),
    "a cut configuration": (write("config.json", '{"model_type": "qwen2'), "config.json"),
    "no kind of model": (edit("config.json", model_type=None), "model_type"),
    "an unknown kind": (edit("config.json", model_type="foo_vl"), "foo_vl"),
    "own code": (edit("config.json", auto_map={"AutoConfig": "own.Config"}), "auto_map"),
    "own tokenizer": (edit("tokenizer_config.json", auto_map={"AutoTokenizer": "o.T"}), "auto_map"),
    "awq": (edit("config.json", quantization_config={"quant_method": "awq"}), "awq"),
    "fp8": (edit("config.json", quantization_config={"quant_method": "fp8"}), "fp8"),
    "no weights": (lose("model.safetensors"), "model.safetensors"),
    "a lost shard": (lose_a_shard, "model-2.safetensors"),
    "cut weights": (cut_weights, "model.safetensors"),
    "pickle": (as_pickle, "pytorch_model.bin"),
    "no tokenizer": (lose("tokenizer.json"), "tokenizer.json"),
    "a cut tokenizer": (write("tokenizer.json", "{"), "tokenizer.json"),
    "another tokenizer": (edit("config.json", image_token_id=5), "image token"),
    "no image processor": (lose("preprocessor_config.json"), "preprocessor_config.json"),
    "other patches": (edit("preprocessor_config.json", patch_size=16), "16"),
    "no template": (lose("chat_template.jinja"), "chat template"),
    "a broken template": (write("chat_template.jinja", "{% for x in %}"), "chat template"),
    "a template without image": (write("chat_template.jinja", "Hello"), "chat template"),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_folder_is_told_alike_by_check_and_by_training(tmp_path, monkeypatch, case):
    from fairlora_cls.checking.model import build_skeleton
    from fairlora_cls.models.adapters import LoraSettings

    def ask(*question):
        raise AssertionError(f"asked {question}")

    monkeypatch.setattr("builtins.input", ask)
    break_it, word = BROKEN[case]
    folder = copy_of_miniature(tmp_path / "copy")
    break_it(folder)
    _, findings = build_skeleton(str(folder), LoraSettings(), 31360, "percentile")
    with pytest.raises(InputError) as refused:
        load_backbone(str(folder), torch.float32, 31360)
    assert [(f.severity, f.message) for f in findings] == [("error", str(refused.value))]
    assert word in str(refused.value).replace(str(folder), "")
