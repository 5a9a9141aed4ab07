"""`--quick`: a trial of any recipe without data."""

from fairlora_cls.recipe import build_recipe
from fairlora_cls.runs.quick import quick_values


def test_a_real_source_without_a_path_becomes_its_simulated_counterpart():
    values = {
        "data": {"source": "ham10000", "options": {"task": "diagnosis", "seed": 3}},
        "model": {"backbone": "Qwen/Qwen2.5-VL-7B-Instruct"},
        "training": {"learning_rate": 1e-5, "precision": "bf16", "batch_size": 4},
    }
    recipe = build_recipe(quick_values(values))
    assert recipe.data.source == "simulated-dermoscopy"
    assert recipe.data.options == {"seed": 3, "train": 256, "validation": 128, "test": 256}
    assert recipe.model.backbone == "miniature"
    assert (recipe.training.learning_rate, recipe.training.precision) == (3e-4, "fp32")
    assert (recipe.training.epochs, recipe.report.bootstrap) == (1, 200)
    assert recipe.training.micro_batch_size == 4  # not more than the step has
    assert values["data"]["source"] == "ham10000"  # what was given stays as it was


def test_a_source_with_a_path_stays_and_is_cut_short():
    recipe = build_recipe(quick_values({"data": {"source": "ham10000", "path": "/somewhere"}}))
    assert (recipe.data.source, recipe.data.path) == ("ham10000", "/somewhere")
    assert recipe.data.limit == 256
