"""Generative runs, whole: texts that do not depend on batches, kills or a second reading."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from fairlora_cls.errors import InputError
from fairlora_cls.plain_yaml import parse_yaml
from fairlora_cls.recipe import build_recipe, recipe_digest
from fairlora_cls.runs import generate as generation
from fairlora_cls.runs import saved as saved_run
from fairlora_cls.runs import train as run
from fairlora_cls.runs.assembly import load_data
from fairlora_cls.runs.folder import split_predictions, update_state
from fairlora_cls.runs.generate import GENERATE
from fairlora_cls.runs.shared_parts import SharedParts
from fairlora_cls.texts.generations import read_generations


@pytest.fixture(scope="module")
def chests(tmp_path_factory):
    """24 / 12 / 20 simulated radiographs on disk."""
    from fairlora_cls.data.simulated.chest import CHEST
    from fairlora_cls.data.simulated.cohorts import write_cohort

    folder = tmp_path_factory.mktemp("data") / "chests"
    return write_cohort(CHEST, folder, train=24, validation=12, test=20, seed=7, side=84)


def recipe(chests, *overrides, **objective):
    values = {
        "task": "generate",
        "data": {
            "source": "table",
            "path": str(chests),
            "options": {
                "label_column": "abnormal",
                "text_column": "findings",
                "attributes": ["sex", "race"],
                "classes": ["no", "yes"],
            },
            "sensitive": ["sex"],
            "prompt": "Describe the findings of this chest radiograph.",
        },
        "model": {"lora": {"rank": 4, "alpha": 8, "dropout": 0.1}},
        "objective": {"method": "vanilla", **objective},
        "training": {"epochs": 1, "warmup_steps": 0, "learning_rate": 0.003},
        "generation": {"max_new_tokens": 12, "batch_size": 4},
        "report": {"bootstrap": 20, "text_metrics": ["bleu_1", "rouge_l", "exact_match"]},
    }
    return build_recipe(values, overrides)


MUTUAL = {"mutual_information": {"weights": {"sex": 0.5}, "warmup_steps": 2}}


@pytest.fixture(scope="module")
def written(chests, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run.train(recipe(chests, **MUTUAL), folder)


def lines(folder):
    return (folder / "predictions" / "test.jsonl").read_text().splitlines()


def test_a_run_writes_texts_and_a_report(written):
    folder, outcome = written
    texts = read_generations(folder / "predictions" / "test.jsonl")
    assert len(texts) == 20
    assert texts.ids[0].endswith("#report")
    assert set(texts.prompts) == {"Describe the findings of this chest radiograph."}
    assert set(texts.attributes["sex"]) == {"Female", "Male"}
    report = json.loads((folder / "report" / "report.json").read_text())
    assert report["task"] == "generate"
    assert set(report["overall"]) >= {"bleu_1", "rouge_l", "exact_match"}
    assert "sex" in report["attributes"]
    assert {"report.md", "report.html"} <= {p.name for p in (folder / "report").iterdir()}
    assert outcome.state["probes"]["sex"]["mutual_information"]["after"]["n"] == 32
    assert not list((folder / "predictions").glob(".*"))
    assert "A writer of texts" in (folder / "README.md").read_text()


def test_the_weight_of_a_dependence_rises_with_the_steps(written):
    steps = [json.loads(line) for line in (written[0] / "log.jsonl").read_text().splitlines()]
    steps = [step for step in steps if "loss" in step]
    for number, step in enumerate(steps, start=1):
        term = min(number / 2, 1) * 0.5 * step["mutual_information/sex"]
        own = step["mutual_information_classifier_loss/sex"]
        assert step["loss"] == pytest.approx(step["base_loss"] + term + own, abs=1e-4)


@pytest.mark.parametrize("size", [1, 16])
def test_texts_do_not_depend_on_the_batch(written, size, tmp_path, display):
    folder, _ = written
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    text = (folder / "recipe.yaml").read_text().replace("batch_size: 4", f"batch_size: {size}")
    (run / "recipe.yaml").write_text(text)
    update_state(run, recipe_digest=recipe_digest(parse_yaml(text, "the recipe")))
    saved_run.evaluate(run, display, output=tmp_path / "e")
    assert (tmp_path / "e" / "predictions.jsonl").read_text().splitlines() == lines(folder)


def test_images_are_answered(written, chests, display):
    folder, _ = written
    rows = [json.loads(line) for line in lines(folder)][:3]
    images = [chests / "images" / f"{row['id'].partition('#')[0]}.jpg" for row in rows]
    assert saved_run.answer(folder, images, display=display) == [row["text"] for row in rows]
    other = saved_run.answer(folder, images, "Which eye is it?", display)
    assert len(other) == 3
    with pytest.raises(InputError, match="is a run of task generate, not of classify"):
        saved_run.predict(folder, images, display)


def test_what_needs_classes_refuses_a_run_of_texts(written):
    with pytest.raises(InputError, match="writes texts; this needs a run that classifies"):
        split_predictions(written[0], "test")


def test_a_killed_generation_goes_on_where_it_stood(
    chests, written, tmp_path, display, monkeypatch
):
    calls = []
    write = generation.write_texts

    def until_killed(*arguments):
        calls.append(len(arguments[2]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(generation, "write_texts", until_killed)
    with pytest.raises(KeyboardInterrupt):
        run.train(recipe(chests, **MUTUAL), tmp_path / "r", display)
    assert not (tmp_path / "r" / "predictions" / "test.jsonl").exists()
    run.train(recipe(chests, **MUTUAL), tmp_path / "r", display, resume=True)
    assert calls == [4, 4, 4, 4, 4, 4]  # the third was lost, the first two were not made again
    assert lines(tmp_path / "r") == lines(written[0])


@pytest.mark.parametrize("objective", [{}, MUTUAL, {"method": "group-dro"}], ids=str)
def test_micro_batches_give_the_whole_batchs_weights(chests, tmp_path, display, objective):
    """Dropout off: 1 × 8 and 4 × 2 are the same training."""
    weights = []
    for size in (8, 2):
        settings = [
            f"training.micro_batch_size={size}",
            "model.lora.dropout=0",
            "report.probes=false",
            "data.limit=16",
        ]
        folder = tmp_path / str(size)
        run.train(recipe(chests, *settings, **objective), folder, display)
        found = load_file(folder / "adapter" / "adapter_model.safetensors")
        weights.append(found | load_file(folder / "adapter" / "projector.safetensors"))
    assert weights[0].keys() == weights[1].keys()
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=1e-4, atol=2e-5)


def test_a_run_in_company_equals_a_run_alone(chests, written, tmp_path, display):
    """The projector that another run trained is put back."""
    shared = SharedParts()
    first = recipe(chests, "training.learning_rate=0.01", "data.limit=16", "report.probes=false")
    run.train(first, tmp_path / "first", display, shared=shared)
    run.train(recipe(chests, **MUTUAL), tmp_path / "second", display, shared=shared)
    for name in ("adapter_model", "projector"):
        found = (tmp_path / "second" / "adapter" / f"{name}.safetensors").read_bytes()
        assert found == (written[0] / "adapter" / f"{name}.safetensors").read_bytes()
    assert lines(tmp_path / "second") == lines(written[0])


def test_the_untrained_backbone_writes_too(chests, tmp_path, display):
    outcome = run.train(recipe(chests, method="zero-shot"), tmp_path / "z", display)
    assert outcome.state["status"] == "complete"
    assert not (tmp_path / "z" / "adapter" / "projector.safetensors").exists()
    saved_run.evaluate(tmp_path / "z", display, output=tmp_path / "e")
    assert (tmp_path / "e" / "predictions.jsonl").read_text().splitlines() == lines(tmp_path / "z")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["objective.method=fr"],
            "'fr' reads class probabilities, which a text does not have; .* vanilla",
        ),
        (["objective.penalties={worst_group: 1}"], "'worst_group' reads class probabilities"),
        (["training.select_by=auroc"], "auroc needs classes"),
        (["model.pooling=mean"], "mean is a classifier's"),
        (["report.threshold=youden"], "texts have no threshold"),
        (["data.questions=raport"], "no questions 'raport'; did you mean 'report'"),
    ],
)
def test_what_needs_classes_is_refused_in_a_sentence(chests, settings, message):
    with pytest.raises(InputError, match=message):
        recipe(chests, *settings)


def test_a_penalty_on_losses_is_welcome(chests):
    assert recipe(chests, "objective.method=loss-variance").training.select_by == "loss"


def test_examples_without_a_text_are_counted(chests, tmp_path, display):
    changed = recipe(chests)
    options = {k: v for k, v in changed.data.options.items() if k != "text_column"}
    data = changed.data.model_copy(update={"options": options})
    with pytest.raises(InputError, match="has no answer for 56 of 56"):
        run.train(changed.model_copy(update={"data": data}), tmp_path / "r", display)
    assert not (tmp_path / "r").exists()


def test_only_named_attributes_are_written(written):
    texts = [json.loads(line) for line in lines(written[0])]
    assert {tuple(text["attributes"]) for text in texts} == {("sex",)}


def test_what_texts_cannot_hold_is_refused_beforehand(chests):
    settings = recipe(chests)
    splits = load_data(settings, SharedParts())
    GENERATE.require_reportable(settings, splits, "test")
    for change, word in (
        ({"text": "half \ud800"}, "half a character"),
        ({"attributes": {"sex": "F\ud800"}}, "half a character"),
    ):
        odd = replace(splits, test=(replace(splits.test[0], **change), *splits.test[1:]))
        with pytest.raises(InputError, match=word):
            GENERATE.require_reportable(settings, odd, "test")
