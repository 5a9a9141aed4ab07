"""What runs of one process share changes no byte of their results."""

import copy

import torch

from fairlora_cls.models.adapters import LoraSettings, attach_lora
from fairlora_cls.models.classifier import Classifier
from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs import train as run
from fairlora_cls.runs.shared_parts import SharedParts


def tensors(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def recipe_of(cohort, method, seed, **training):
    return build_recipe(
        {
            "seed": seed,
            "data": {
                "source": "table",
                "path": str(cohort),
                "options": {"attributes": ["ethnicity", "sex"], "classes": ["no", "yes"]},
                "sensitive": ["sex", "ethnicity"],
                "limit": 24,
            },
            "objective": {"method": method},
            "training": {"epochs": 1, "warmup_steps": 1, **training},
            "report": {"bootstrap": 20},
        }
    )


def files(folder):
    """What a run is judged by, byte for byte."""
    kept = ["adapter/adapter_model.safetensors", "adapter/head.safetensors", "report/report.json"]
    kept += ["predictions/validation.csv", "predictions/test.csv", "report/report.html"]
    return {name: (folder / name).read_bytes() for name in kept}


def test_a_run_in_company_equals_a_run_alone(cohort, tmp_path):
    before = recipe_of(cohort, "gr", 2, gradient_checkpointing=True)
    recipe = recipe_of(cohort, "hybrid", 1)
    shared = SharedParts()
    run.train(before, tmp_path / "before", shared=shared)
    run.train(recipe, tmp_path / "together", shared=shared)
    run.train(recipe, tmp_path / "alone")
    assert files(tmp_path / "together") == files(tmp_path / "alone")


def test_a_backbone_comes_back_as_it_was(backbone):
    shared = SharedParts()
    before = tensors(backbone.model)
    lent = shared.lend_backbone("a", lambda: backbone)
    network = attach_lora(lent, LoraSettings())
    classifier = Classifier(lent, network, 2, "last").train()
    lent.model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(1.0)
    shared.give_back(classifier)
    again = shared.lend_backbone("a", lambda: None)
    assert again is backbone
    after = tensors(again.model)
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(p.requires_grad for p in again.model.parameters())
    assert not any(m.training for m in again.model.modules())
    assert not again.model.language_model.is_gradient_checkpointing


def test_a_backbone_whose_own_weights_were_trained_is_not_kept(backbone):
    shared = SharedParts()
    lent = shared.lend_backbone("a", lambda: backbone)
    classifier = Classifier(lent, attach_lora(lent, LoraSettings()), 2, "last")
    next(lent.model.visual.parameters()).requires_grad_(True)
    shared.give_back(classifier)
    fresh = copy.deepcopy(lent)
    assert shared.lend_backbone("a", lambda: fresh) is fresh


def test_once_makes_each_thing_once():
    shared, made = SharedParts(), []
    for key in ("a", "b", "a"):
        shared.once(key, lambda key=key: made.append(key) or key)
    assert made == ["a", "b"]
