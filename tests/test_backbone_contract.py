"""What every row of BACKBONES must do, on small models with random weights and real configurations."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import DynamicCache

from fairlora_cls.checking.estimate import Plan, estimate_run
from fairlora_cls.checking.model import build_skeleton
from fairlora_cls.data.batching import pad
from fairlora_cls.data.conversations import PromptEncoder
from fairlora_cls.data.prompts import render_prompt
from fairlora_cls.data.questions import Turn
from fairlora_cls.errors import InputError
from fairlora_cls.models.adapters import LoraSettings, attach_lora
from fairlora_cls.models.backbones import BACKBONES, load_backbone
from fairlora_cls.models.classifier import (
    Classifier,
    ClassifierSettings,
    load_classifier,
    save_classifier,
)
from fairlora_cls.models.decoding import decode_greedily
from fairlora_cls.models.generator import (
    Generator,
    GeneratorSettings,
    load_generator,
    save_generator,
)
from fairlora_cls.models.taps import TapSettings
from fairlora_cls.models.zero_shot import LabelWordClassifier
from tests.small_backbones import build_small
from tests.test_backbones import noise

PIXELS = 31360
QUESTIONS = ("Does the patient have glaucoma?", "No. What is the diagnosis? Answer yes or no.")
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
OTHER_SETTINGS = {
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
    "mm_tokens_per_image": 4,
}
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Every architecture's small model."""
    root = tmp_path_factory.mktemp("backbones")
    return {name: build_small(name, root / name) for name in BACKBONES}


@pytest.fixture(params=list(BACKBONES))
def folder(request, folders) -> Path:
    return folders[request.param]


@pytest.fixture
def backbone(folder):
    return load_backbone(str(folder), torch.float32, PIXELS)


def make_batch(backbone, padding_side="right"):
    """Two images of different shape with questions of different length; also the fitted images."""
    images = [backbone.fit_image(i) for i in (noise(112, 112), noise(200, 140, seed=1))]
    features = backbone.encode_images(images)
    encoder = PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)
    prompts = [
        encoder.question(question, grid)
        for question, (_, grid) in zip(QUESTIONS, features, strict=True)
    ]
    batch = pad(range(2), features, prompts, padding_side=padding_side)
    assert len(set(batch.lengths.tolist())) == 2
    return images, features, batch


def stock_inputs(backbone, row, image):
    """The processor's own inputs for one example, from a fitted image."""
    text = render_prompt(backbone.processor, QUESTIONS[row])
    begun = text.startswith(backbone.processor.tokenizer.bos_token or "\0")
    inputs = backbone.processor(
        text=[text],
        images=[[image]],
        return_tensors="pt",
        do_resize=False,
        do_center_crop=False,
        add_special_tokens=not begun,
    )
    inputs.pop("num_crops", None)  # of Gemma's processor, not for the model
    return inputs


def read(backbone, batch):
    return backbone.hidden_states(
        batch.input_ids, batch.image_features, batch.position_ids, batch.attention_mask
    )


def test_the_stock_classes_are_used(backbone):
    architecture = backbone.architecture
    assert type(backbone.model) is getattr(transformers, architecture.model_class)
    assert type(backbone.processor) is getattr(transformers, architecture.processor_class)
    assert not any(p.requires_grad for p in backbone.model.parameters())
    assert not any("lm_head" in name for name, _ in backbone.model.named_modules())


def test_hidden_states_equal_the_stock_forward_from_pixels(backbone):
    images, _, batch = make_batch(backbone)
    with torch.no_grad():
        ours = read(backbone, batch)
        for row, length in enumerate(batch.lengths.tolist()):
            inputs = stock_inputs(backbone, row, images[row])
            assert inputs["input_ids"][0].tolist() == batch.input_ids[row, :length].tolist()
            expected = backbone.model(**inputs, use_cache=False).last_hidden_state[0]
            torch.testing.assert_close(ours[row, :length], expected, **CLOSE)


def test_a_fitted_image_is_what_the_processor_makes_of_it(backbone):
    """Resize and crop first, scale and normalise later: the same pixels as in one go."""
    image = noise(200, 140, seed=1)
    processor = backbone.processor.image_processor
    fitted = backbone.fit_image(image)
    ours = processor(images=[fitted], do_resize=False, do_center_crop=False, return_tensors="pt")
    least, most = backbone.minimum_pixels, backbone.maximum_pixels
    budget = {"size": {"shortest_edge": least, "longest_edge": most}}
    options = budget if backbone.architecture.follows_budget else {}
    stock = processor(images=[image], return_tensors="pt", **options)
    # qwen-vl-utils resizes with Pillow, the processor with torchvision: other rounding.
    tolerance = 0.1 if backbone.architecture.follows_budget else 1e-6
    difference = (ours["pixel_values"] - stock["pixel_values"]).abs()
    assert difference.mean() < tolerance


@pytest.mark.parametrize("size", [(112, 112), (200, 140), (30, 90), (400, 300)])
def test_an_image_s_size_tells_its_tokens(backbone, size):
    fitted = backbone.fit_image(noise(*size))
    ((features, grid),) = backbone.encode_images([fitted])
    foretold = backbone.grid_of_size(size)
    assert foretold.tolist() == grid.tolist()
    assert backbone.fitted_size(foretold) == fitted.size
    assert backbone.visual_tokens(foretold) == len(features)


@pytest.mark.parametrize("size", [(3, 900), (12000, 59), (1, 201)])
def test_a_sliver_is_refused_before_it_is_resized(backbone, size):
    """More than 200 times longer than wide: the shorter side would be enlarged without end."""
    for refuse in (lambda: backbone.grid_of_size(size), lambda: backbone.fit_image(noise(*size))):
        with pytest.raises(ValueError, match=rf"{size[0]} × {size[1]} px is too narrow"):
            refuse()


def test_of_a_sliver_within_the_budget_something_is_left_or_it_is_refused(backbone):
    """61 px of 12,000 × 61 shrink to 12 at 31,360 px², less than one token of 28."""
    size = (12000, 61)
    if backbone.architecture.follows_budget:
        with pytest.raises(ValueError, match="too narrow"):
            backbone.grid_of_size(size)
    else:
        assert backbone.fit_image(noise(*size)).size == backbone.fitted_size(
            backbone.grid_of_size(size)
        )


def test_a_second_image_token_in_the_words_is_refused(backbone):
    text = render_prompt(backbone.processor, "Is <image> here?")
    image = backbone.processor.tokenizer.decode([backbone.image_token])
    with pytest.raises(InputError, match="one image and no other image token"):
        backbone.encode_text(text + image, backbone.grid_of_size((112, 112)))


def test_features_before_the_projector_are_projected_to_those_after(folder, backbone):
    trained = load_backbone(str(folder), torch.float32, PIXELS, train_projector=True)
    _, before, batch = make_batch(trained)
    _, after, expected = make_batch(backbone)
    for (left, grid), (right, _) in zip(before, after, strict=True):
        assert len(left) == backbone.visual_tokens(grid)
        torch.testing.assert_close(trained.project(left), right, **CLOSE)
    with torch.no_grad():
        torch.testing.assert_close(read(trained, batch), read(backbone, expected), **CLOSE)


def test_a_trained_projector_is_float32_beside_the_model_and_gets_gradients(folder):
    backbone = load_backbone(
        str(folder), torch.bfloat16, PIXELS, language_head=True, train_projector=True
    )
    inside = {id(p) for p in backbone.model.parameters()}
    for parameter in backbone.projector.parameters():
        assert parameter.dtype == torch.float32
        assert id(parameter) not in inside
    _, _, batch = make_batch(backbone)
    hidden = read(backbone, batch)
    assert hidden.dtype == torch.bfloat16
    last = hidden[torch.arange(2), batch.lengths - 1]
    backbone.language_head(last).float().logsumexp(-1).sum().backward()
    for name, parameter in backbone.projector.named_parameters():
        assert parameter.grad.any(), name


def test_the_language_head_gives_the_whole_model_s_logits(folder):
    backbone = load_backbone(str(folder), torch.float32, PIXELS, language_head=True)
    whole = getattr(transformers, backbone.architecture.whole_class).from_pretrained(
        folder, dtype=torch.float32
    )
    images, _, batch = make_batch(backbone)
    length = batch.lengths[0]
    with torch.no_grad():
        ours = backbone.language_head(read(backbone, batch)[0, :length])
        stock = whole(**stock_inputs(backbone, 0, images[0])).logits[0]
    torch.testing.assert_close(ours, stock, **CLOSE)


@pytest.mark.parametrize("windows", [False, True])
def test_decoding_with_a_cache_equals_the_whole_sequence(backbone, windows):
    """A left-padded batch and 16 more tokens one by one, against one pass over each sequence.

    Gemma's sliding windows end within them. `windows`: a cache that keeps no more than those.
    """
    _, features, batch = make_batch(backbone, padding_side="left")
    cache = DynamicCache(config=backbone.config.text_config) if windows else DynamicCache()
    added = torch.randint(10, 200, (2, 16), generator=torch.Generator().manual_seed(0))
    mask = batch.attention_mask
    with torch.no_grad():
        hidden = backbone.hidden_states(
            batch.input_ids, batch.image_features, batch.position_ids, mask, cache
        )
        found = [hidden[:, -1]]
        for step in range(added.shape[1]):
            mask = torch.cat([mask, torch.ones(2, 1, dtype=mask.dtype)], dim=1)
            places = batch.position_ids[:, :, -1:] + 1 + step
            hidden = backbone.hidden_states(added[:, step : step + 1], None, places, mask, cache)
            found.append(hidden[:, -1])
        for row, (rows, grid) in enumerate(features):
            words = batch.input_ids[row, batch.attention_mask[row].bool()]
            ids = torch.cat([words, added[row]])
            places = backbone.positions(ids, grid)[:, None]
            whole = backbone.hidden_states(ids[None], rows, places)[0, -len(found) :]
            torch.testing.assert_close(torch.stack([f[row] for f in found]), whole, **CLOSE)


def test_the_fingerprint_changes_when_features_do(folder, backbone):
    prints = [backbone.vision_fingerprint()]
    assert load_backbone(str(folder), torch.float32, PIXELS).vision_fingerprint() == prints[0]
    smaller = replace(backbone, maximum_pixels=PIXELS // 2).vision_fingerprint()
    assert (smaller != prints[0]) == backbone.architecture.follows_budget
    with torch.no_grad():
        backbone.language_layers[0].mlp.up_proj.weight += 1
    assert backbone.vision_fingerprint() == prints[0]
    prints.append(replace(backbone, rescaling="range").vision_fingerprint())
    for name in backbone.architecture.vision_settings:
        kept = getattr(backbone.config, name)
        setattr(backbone.config, name, OTHER_SETTINGS[name])
        prints.append(backbone.vision_fingerprint())
        setattr(backbone.config, name, kept)
    with torch.no_grad():
        next(backbone.projector.parameters())[...] += 1
    prints.append(backbone.vision_fingerprint())
    vision = [p for n, p in backbone.model.named_parameters() if "language_model" not in n]
    with torch.no_grad():
        vision[0][...] += 1
    prints.append(backbone.vision_fingerprint())
    backbone.model.to(torch.bfloat16)
    prints.append(backbone.vision_fingerprint())
    trained = load_backbone(str(folder), torch.float32, PIXELS, train_projector=True)
    prints.append(trained.vision_fingerprint())
    with torch.no_grad():
        next(trained.projector.parameters())[...] += 1
    assert trained.vision_fingerprint() == prints[-1]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize(
    "part", ["layers.1.mlp.up_proj", "embed_tokens", "patch_embed", "merger|multi_modal"]
)
def test_a_missing_weight_is_refused(folder, tmp_path, part):
    weights = load_file(folder / "model.safetensors")
    lost = next(n for n in weights if re.search(part, n))
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    kept = {n: t for n, t in weights.items() if n != lost}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="lacks 1 weights"):
        load_backbone(str(tmp_path), torch.float32, PIXELS)


@pytest.mark.parametrize("shards", [1, 2])
def test_names_of_the_whole_class_load_too(folder, backbone, tmp_path, shards):
    """`model.visual…`, `model.language_model…`, `lm_head`: as newer releases save the whole model."""
    whole = getattr(transformers, backbone.architecture.whole_class).from_pretrained(folder)
    state = {n: t.contiguous() for n, t in whole.state_dict().items()}
    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    if whole.config.tie_word_embeddings:
        del state["lm_head.weight"]
    names, places = sorted(state), {}
    for shard in range(shards):
        file = f"model-{shard}.safetensors" if shards > 1 else "model.safetensors"
        part = {n: state[n] for n in names[shard::shards]}
        save_file(part, tmp_path / file, {"format": "pt"})
        places |= dict.fromkeys(part, file)
    if shards > 1:
        index = {"metadata": {}, "weight_map": places}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    again = load_backbone(str(tmp_path), torch.float32, PIXELS)
    assert type(again.model) is type(backbone.model)
    pairs = zip(again.model.state_dict().items(), backbone.model.state_dict().items(), strict=True)
    assert all(n == m and torch.equal(a, b) for (n, a), (m, b) in pairs)
    assert again.weights_digest() == backbone.weights_digest()
    head = load_backbone(str(tmp_path), torch.float32, PIXELS, language_head=True).language_head
    assert torch.equal(head.weight, whole.lm_head.weight)


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), ALL_LINEAR])
def test_lora_lands_on_the_language_layers_only(backbone, targets):
    network = attach_lora(backbone, LoraSettings(rank=2, targets=targets))
    trained = [n for n, p in network.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * len(targets) * len(backbone.language_layers)
    assert all("language_model" in name for name in trained)


def adapted(backbone, **options):
    torch.manual_seed(1)
    network = attach_lora(backbone, LoraSettings(rank=2, dropout=0.0, targets=ALL_LINEAR))
    return Classifier(backbone, network, 3, "last", **options)


def test_a_classifier_learns_and_comes_back_the_same(folder, backbone, tmp_path):
    classifier = adapted(backbone)
    _, _, batch = make_batch(backbone)
    optimizer = torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(classifier(batch).logits, torch.tensor([2, 0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]
    settings = ClassifierSettings(
        backbone=str(folder),
        labels=("a", "b", "c"),
        prompt=QUESTIONS[0],
        pooling="last",
        maximum_pixels=PIXELS,
        precision="fp32",
    )
    save_classifier(classifier, settings, tmp_path / "adapter")
    again = load_classifier(settings, tmp_path / "adapter", torch.float32)
    with torch.no_grad():
        assert torch.equal(again(batch).logits, classifier.eval()(batch).logits)


def test_taps_and_gradient_checkpointing(backbone):
    """Tapped states of the language layers; the same gradients when activations are recomputed."""
    last = len(backbone.language_layers)
    taps = [TapSettings((1, last), "image"), TapSettings((2,), "text")]
    classifier = adapted(backbone, taps=taps).train()
    _, _, batch = make_batch(backbone)
    gradients = []
    for _ in range(2):
        outputs = classifier(batch)
        assert outputs.hidden.shape == (2, 2, backbone.hidden_size)
        classifier.zero_grad()
        (outputs.logits.square().sum() + outputs.hidden.square().sum()).backward()
        gradients.append({n: p.grad for n, p in classifier.named_parameters() if p.requires_grad})
        backbone.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, **CLOSE)


def test_label_words_are_scored(folder):
    """Against one pass over prompt and word of each example."""
    backbone = load_backbone(str(folder), torch.float32, PIXELS, language_head=True)
    words = ("yes", "no effusion")
    classifier = LabelWordClassifier(backbone, words).eval()
    _, features, batch = make_batch(backbone)
    tokenizer = backbone.processor.tokenizer
    with torch.no_grad():
        logits = classifier(batch).logits
        for row, (rows, grid) in enumerate(features):
            length = int(batch.lengths[row])
            for column, word in enumerate(words):
                word_ids = tokenizer(word, add_special_tokens=False)["input_ids"]
                ids = torch.cat([batch.input_ids[row, :length], torch.tensor(word_ids)])
                places = backbone.positions(ids, grid)[:, None]
                hidden = backbone.hidden_states(ids[None], rows, places)[0]
                chances = backbone.language_head(hidden).log_softmax(-1)
                expected = sum(chances[i - 1, ids[i]] for i in range(length, len(ids)))
                assert logits[row, column].item() == pytest.approx(expected.item(), abs=1e-3)


def test_check_counts_it_without_weights(folder):
    skeleton, findings = build_skeleton(
        str(folder), LoraSettings(rank=2, targets=("q_proj",)), PIXELS, "percentile"
    )
    assert findings == []
    backbone = load_backbone(str(folder), torch.float32, PIXELS, language_head=True)
    plan = Plan(8, 2, 2, 1, 2, 2.0, 12, 30.0, 32, 16.0, False, torch.float32)
    found = estimate_run(skeleton.network, skeleton.backbone, plan, head_numbers=0)
    assert found.parameters == sum(p.numel() for p in backbone.model.parameters())
    assert found.trained == sum(
        p.numel()
        for p in attach_lora(backbone, LoraSettings(rank=2, targets=("q_proj",))).parameters()
        if p.requires_grad
    )
    assert found.vision_flops > 0
    plan = replace(plan, answers=3.0)
    written = estimate_run(skeleton.network, skeleton.backbone, plan, head_numbers=0)
    embeddings = backbone.language_model.get_input_embeddings().weight
    tied = backbone.language_head.weight is embeddings
    assert written.parameters - found.parameters == (0 if tied else embeddings.numel())


def test_greedy_texts_are_those_of_the_stock_generate(folder):
    backbone = load_backbone(str(folder), torch.float32, PIXELS, language_head=True)
    whole = getattr(transformers, backbone.architecture.whole_class).from_pretrained(
        folder, dtype=torch.float32
    )
    whole.generation_config.eos_token_id = None  # random weights end anywhere
    images, _, batch = make_batch(backbone, padding_side="left")
    texts = decode_greedily(backbone, batch, (), 12)
    for row, image in enumerate(images):
        inputs = stock_inputs(backbone, row, image)
        stock = whole.generate(**inputs, do_sample=False, max_new_tokens=12)
        assert list(texts[row].tokens) == stock[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize(
    ("architecture", "file", "key", "value", "message"),
    [
        ("llava", "config.json", "vision_config", {"model_type": "pixtral"}, "pixtral as tower"),
        ("gemma3", "processor_config.json", "do_pan_and_scan", True, "cuts crops out"),
    ],
)
def test_variants_that_are_not_served_are_refused(
    folders, tmp_path, architecture, file, key, value, message
):
    for path in folders[architecture].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.loads((tmp_path / file).read_text())
    inner = content.get("image_processor", content)  # where a processor keeps its images' part
    inner[key] = value
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        load_backbone(str(tmp_path), torch.float32, PIXELS)


@pytest.mark.parametrize("architecture", list(BACKBONES))
@pytest.mark.parametrize(
    "broken", [{"image_std": [0.0, 0.0, 0.0]}, {"size": "large"}, {"image_mean": "grey"}]
)
def test_a_broken_image_processor_is_told_alike_by_check_and_by_training(
    folders, tmp_path, architecture, broken
):
    for path in folders[architecture].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for path in tmp_path.glob("*processor_config.json"):
        content = json.loads(path.read_text())
        content.get("image_processor", content).update(broken)
        path.write_text(json.dumps(content))
    _, findings = build_skeleton(str(tmp_path), LoraSettings(), PIXELS, "percentile")
    with pytest.raises(InputError) as refused:
        load_backbone(str(tmp_path), torch.float32, PIXELS)
    assert [(f.severity, f.message) for f in findings] == [("error", str(refused.value))]


def test_a_generator_learns_as_the_stock_model_says_and_comes_back_the_same(folder, tmp_path):
    """Losses against the whole stock model's logits on the same tokens; then a step, save, load."""
    options = {"language_head": True, "train_projector": True}
    backbone = load_backbone(str(folder), torch.float32, PIXELS, **options)
    network = attach_lora(backbone, LoraSettings(rank=2, dropout=0.0, targets=ALL_LINEAR))
    generator = Generator(backbone, network)
    turns = [
        (Turn("report", "Findings?", "The lungs are clear."), Turn("sex", "male female", "male")),
        (Turn("report", "What is the diagnosis?", "melanoma"),),
    ]
    images = [backbone.fit_image(i) for i in (noise(112, 112), noise(200, 140, seed=1))]
    features = backbone.encode_images(images)
    encoder = PromptEncoder(backbone.processor, backbone.encode_text, backbone.positions)
    encoded = [encoder.conversation(t, g) for t, (_, g) in zip(turns, features, strict=True)]
    batch = pad(range(2), features, encoded)
    whole = getattr(transformers, backbone.architecture.whole_class).from_pretrained(
        folder, dtype=torch.float32
    )
    losses = generator(batch).losses
    for row, image in enumerate(images):
        inputs = stock_inputs(backbone, 0, image)  # for the image's part
        ids, answers = encoded[row].input_ids, encoded[row].answers
        inputs["input_ids"] = ids[None]
        inputs["attention_mask"] = torch.ones_like(ids[None])
        for name in ("token_type_ids", "mm_token_type_ids"):
            if name in inputs:
                inputs[name] = (ids == backbone.image_token).to(torch.int64)[None]
        with torch.no_grad():
            logits = whole(**inputs).logits[0, :-1]
        told = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")
        assert losses[row].item() == pytest.approx(told[answers[1:]].mean().item(), abs=1e-4)
    optimizer = torch.optim.SGD([p for p in generator.parameters() if p.requires_grad], lr=0.01)
    losses.sum().backward()
    optimizer.step()
    settings = GeneratorSettings(
        backbone=str(folder),
        prompt="Findings?",
        maximum_pixels=PIXELS,
        precision="fp32",
        train_projector=True,
    )
    save_generator(generator, settings, tmp_path / "adapter")
    again = load_generator(settings, tmp_path / "adapter", torch.float32)
    with torch.no_grad():
        found = generator.eval()(batch).losses
        assert not torch.allclose(found, losses)
        assert torch.equal(again(batch).losses, found)
