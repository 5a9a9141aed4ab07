"""Every error of a recipe at once, with its path and the nearest valid name."""

import pytest

from fairlora_cls.errors import InputError
from fairlora_cls.recipe import build_recipe, data_section, load_recipe, recipe_to_yaml
from fairlora_cls.runs.folder import first_difference


def test_defaults_are_the_glaucoma_papers_for_a_real_backbone():
    recipe = build_recipe({"model": {"backbone": "Qwen/Qwen2.5-VL-7B-Instruct"}})
    lora, training = recipe.model.lora, recipe.training
    assert (lora.rank, lora.alpha, lora.dropout) == (32, 64, 0.05)
    assert lora.targets == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert (training.learning_rate, training.epochs, training.warmup_steps) == (1e-5, 3, 100)
    assert (training.batch_size, training.micro_batch_size, training.precision) == (8, 2, "bf16")
    assert (recipe.seed, recipe.objective.weight_cap, recipe.objective.gap_weight) == (42, 10, 0.5)
    assert recipe.model.max_pixels == 200704


def test_the_miniature_brings_its_own_rates_and_the_user_wins():
    assert build_recipe({}).training.learning_rate > 1e-5
    assert build_recipe({}).training.precision == "fp32"
    chosen = build_recipe({"training": {"learning_rate": 0.5}}, ["training.precision=bf16"])
    assert chosen.training.learning_rate == 0.5
    assert chosen.training.precision == "bf16"


def test_the_source_brings_its_question_and_attributes():
    recipe = build_recipe({"data": {"source": "ham10000", "path": "x"}})
    assert recipe.data.sensitive == ["sex", "age_group"]
    assert recipe.objective.protect == ["sex", "age_group"]
    assert "malignant" in recipe.data.prompt
    assert recipe.name == "ham10000-gr"


def test_every_error_at_once():
    bad = {
        "sed": 3,
        "data": {"source": "ham1000"},
        "model": {"lora": {"rnk": 4, "dropout": 1.5}},
        "objective": {"method": "hybird", "gap_weight": -1},
        "training": {"learning_rate": "fast", "epochs": 0},
    }
    with pytest.raises(InputError) as error:
        build_recipe(bad)
    text = str(error.value)
    assert "The recipe has 8 errors" in text
    for words in (
        "sed: unknown key; did you mean 'seed'?",
        "data.source: there is no data source 'ham1000'; did you mean 'ham10000'?",
        "model.lora.rnk: unknown key; did you mean 'rank'?",
        "model.lora.dropout:",
        "objective.method: there is no method 'hybird'; did you mean 'hybrid'?",
        "objective.gap_weight:",
        "training.learning_rate:",
        "training.epochs:",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"training": {"micro_batch_size": 16}}, "training.micro_batch_size: 16 is more than"),
        (
            {"objective": {"protect": ["raec"]}},
            "'raec' is not in data.sensitive; did you mean 'race'",
        ),
        ({"data": {"source": "table", "path": "x"}}, "'gr' needs a sensitive attribute"),
        ({"data": {"prompt": "a <|image_pad|> b"}}, "special token"),
        ({"data": {"options": {"sede": 1}}}, "data.options.sede: .* did you mean 'seed'"),
        (
            {"data": {"source": "ham10000", "options": {"age_cuts": 50}}},
            r"data.options.age_cuts: write a list, such as \[a, b\] \(got 50\)",
        ),
        ({"model": {"rescaling": "min"}}, "model.rescaling: choose percentile, range, or"),
        ({"name": "a/b"}, "name:"),
        ({"training": {"learning_rate": float("inf")}}, "training.learning_rate:"),
        ({"objective": {"mutual_information": {"wieghts": {}}}}, "did you mean 'weights'"),
        ({"objective": {"mutual_information": {"weights": {"race": -1}}}}, "weights.race"),
        (
            {"objective": {"mutual_information": {"tap": "midle"}}},
            "mutual_information.tap: there is no tap 'midle'; did you mean 'middle'",
        ),
        ({"objective": {"mutual_information": {"tap": [0]}}}, "layers are counted from 1"),
        (
            {"objective": {"penalties": {"worst": 1}}},
            "no penalty 'worst'; did you mean 'worst_group'",
        ),
        (
            {"objective": {"method": "zero-shot", "adversary": {"weights": {"race": 1}}}},
            "trains nothing",
        ),
        (
            {
                "data": {"source": "table", "path": "x"},
                "objective": {"method": "vanilla", "mutual_information": {}},
            },
            "objective.mutual_information without weights needs a sensitive attribute",
        ),
        (
            {
                "data": {"source": "table", "path": "x"},
                "objective": {"method": "vanilla"},
                "training": {"sampler": "balanced"},
            },
            "training.sampler 'balanced' needs a sensitive attribute",
        ),
        ({"data": 3}, "data:"),
        ({"training": None}, "training:"),
    ],
)
def test_bad_values_are_named(values, words):
    with pytest.raises(InputError, match=words):
        build_recipe(values)


@pytest.mark.parametrize("text", ["training.epochs", "=3", "training.epochs: 3"])
def test_bad_overrides(text):
    with pytest.raises(InputError, match="is not key=value"):
        build_recipe({}, [text])


def test_yaml_round_trip(tmp_path):
    recipe = build_recipe({"name": "x"}, ["objective.method=hybrid", "data.options.seed=3"])
    (tmp_path / "r.yaml").write_text(recipe_to_yaml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "r.yaml") == recipe


def test_no_and_yes_stay_words(tmp_path):
    """YAML 1.1 would read them as booleans, and a class called False would be the result."""
    recipe = build_recipe(
        {},
        [
            "data.source=table",
            "data.path=x",
            "data.options.classes=[no, yes]",
            "data.sensitive=[sex]",
        ],
    )
    assert recipe.data.options["classes"] == ["no", "yes"]
    (tmp_path / "r.yaml").write_text(recipe_to_yaml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "r.yaml") == recipe
    assert (
        build_recipe({}, ["training.gradient_checkpointing=true"]).training.gradient_checkpointing
        is True
    )


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="no recipe"):
        load_recipe(tmp_path / "nowhere.yaml")
    for text, words in [
        ("a: [", "not valid YAML"),
        ("- a", "must hold keys"),
        ("!!python/object:os.system {}", "not valid YAML"),
    ]:
        (tmp_path / "r.yaml").write_text(text)
        with pytest.raises(InputError, match=words):
            load_recipe(tmp_path / "r.yaml")


REFUSED = [
    ("", "is empty"),
    ("# nothing\n", "is empty"),
    ("3", "must hold keys"),
    (
        "training: {epochs: 7}\nseed: 1\ntraining: {epochs: 5}",
        "'training' stands twice, in line 1 and line 3",
    ),
    ("training:\n  epochs: 7\n  epochs: 5", "'epochs' stands twice, in line 2 and line 3"),
    ("seed: 2024-01-01", "seed"),
    ("seed: 2024-13-45", "seed"),
    ("seed: !!timestamp 2024-13-45", "timestamp"),
    (f"seed: {'1' * 5000}", "number"),
    (f"seed: {2**32}", "seed"),
    (f"training: {{epochs: {10**30}}}", "training.epochs"),
    ("training: {weight_decay: 1.0e+999}", "training.weight_decay"),
    ("objective: {weight_cap: .inf}", "objective.weight_cap"),
    ("objective: {gap_weight: .nan}", "objective.gap_weight"),
    (f"data: {{options: {{seed: {2**32}}}}}", "data.options.seed"),
    ("data: {options: {seed: -1}}", "data.options.seed"),
    ("[" * 5000, "nested"),
    ("data: " + "{a: " * 40 + "1" + "}" * 40, "nested"),
    ("a: &a [1, *a]", "nested"),
    (
        "a: &a [x, x]\n"
        + "".join(f"a{i + 1}: &a{i + 1} [*a{i or ''}, *a{i or ''}]\n" for i in range(20)),
        "values",
    ),
    ('name: "\\ud800"', "half of a character"),
    ('name: "a\\0"', "NUL"),
    ("training: {1: 2, epochs: 3}", "the key '1' is no text"),
    ("null: 1", "the key 'null' is no text"),
    ("a: *b", "not valid YAML"),
    ("a:\n\tb: 1", "not valid YAML"),
    ("a: \0", "not valid YAML"),
    ("[a]: 1", "not valid YAML"),
    ("---\na: 1\n---\nb: 1", "not valid YAML"),
    ("data: {source: [table]}", "data.source"),
    ("objective: {method: {a: 1}}", "objective.method"),
    ("model: {backbone: [a]}", "model.backbone"),
    ("? \n: 1", "is no text"),
    ("name: ..", "name"),
    ("name: .hidden", "name"),
    ("name: a b", "name"),
    ('name: "a\\n"', "name"),
    (f"name: {'a' * 201}", "name"),
]


@pytest.mark.parametrize(("text", "word"), REFUSED, ids=range(len(REFUSED)))
def test_what_no_recipe_can_be_is_refused_in_one_error(tmp_path, text, word):
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=word):
        load_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize("content", ["seed: ü".encode("cp1252"), "seed: 1".encode("utf-16")])
def test_a_file_in_another_encoding_is_refused_and_a_mark_is_not(tmp_path, content):
    (tmp_path / "r.yaml").write_bytes(content)
    with pytest.raises(InputError, match="UTF-8"):
        load_recipe(tmp_path / "r.yaml")
    (tmp_path / "r.yaml").write_bytes(b"\xef\xbb\xbfseed: 7")
    assert load_recipe(tmp_path / "r.yaml").seed == 7


def test_words_that_older_yaml_reads_as_numbers_and_dates_stay_words(tmp_path):
    words = ["007", "1:30", "2024-01-01", "0x10", "1_000", "no", "1e5"]
    recipe = build_recipe(
        {},
        [
            "data.source=table",
            "data.path=x",
            f"data.options.classes=[{', '.join(words)}]",
            "objective.method=vanilla",
        ],
    )
    assert recipe.data.options["classes"] == words
    (tmp_path / "r.yaml").write_text(recipe_to_yaml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "r.yaml") == recipe


@pytest.mark.parametrize(
    "text",
    [
        "seed={a: 1, a: 2}",
        "seed=[" + "[" * 5000,
        f"seed={'1' * 5000}",
        "a" + ".a" * 5000 + "=1",
        "seed=\0",
        "name=\udcff",
        "model.backbone=\udcff",
    ],
)
def test_overrides_are_read_as_strictly(text):
    with pytest.raises(InputError):
        build_recipe({}, [text])


def test_every_override_that_cannot_be_used_is_listed():
    with pytest.raises(InputError) as error:
        build_recipe({}, ["seed", "name=x", "seed=[", "=1"])
    assert len(str(error.value).splitlines()) == 4


def test_the_largest_seed_is_a_seed():
    assert build_recipe({"seed": 2**32 - 1}, ["data.options.seed=4294967295"]).seed == 2**32 - 1


def test_a_text_of_another_encoding_is_named():
    with pytest.raises(InputError, match=r"data.path: .*UTF-8"):
        build_recipe({"data": {"source": "table", "path": "/x/\udcff"}})


def test_another_data_section_for_evaluation():
    kept = build_recipe({})
    assert data_section(kept, {}) is None
    section = data_section(kept, {"data": {"source": "ham10000", "path": "2024"}})
    assert section["path"] == "2024"
    assert section["sensitive"] == ["sex", "age_group"]
    assert section["prompt"] == "Does the patient have glaucoma?"
    assert data_section(kept, {}, ["data.limit=5"])["limit"] == 5
    with pytest.raises(InputError, match="not 'training'"):
        data_section(kept, {}, ["training.epochs=5"])
    with pytest.raises(InputError, match="data: keys with values"):
        data_section(kept, {}, ["data=3"])


def test_first_difference_names_the_key():
    one, two = build_recipe({}).model_dump(), build_recipe({"training": {"epochs": 9}}).model_dump()
    assert first_difference(one, two) == "training.epochs is 3 there and 9 here"
    assert first_difference(one, one) == ""
    added = build_recipe({}, ["objective.penalties={worst_group: 0.2}"]).model_dump()
    plain = build_recipe({}, []).model_dump()
    told = "objective.penalties.worst_group is None there and 0.2 here"
    assert first_difference(plain, added) == told
    assert first_difference(added, plain) == (
        "objective.penalties.worst_group is 0.2 there and None here"
    )


def test_every_key_is_documented():
    from pathlib import Path

    from fairlora_cls.recipe import MutualInformationSection, Recipe

    text = (Path(__file__).parent.parent / "docs" / "recipe.md").read_text(encoding="utf-8")
    for section, field in Recipe.model_fields.items():
        keys = getattr(field.annotation, "model_fields", None)
        names = [section] if keys is None else [f"{section}.{key}" for key in keys]
        for name in names:
            assert f"`{name}" in text, name
    for key in MutualInformationSection.model_fields:
        assert f"| `{key}` |" in text, key


def test_every_method_is_documented():
    from pathlib import Path

    from fairlora_cls.objectives.objectives import OBJECTIVES

    text = (Path(__file__).parent.parent / "docs" / "objectives.md").read_text(encoding="utf-8")
    for method in OBJECTIVES:
        assert f"| `{method}` |" in text, method


def test_the_variant_settles_what_is_not_given():
    def section(*overrides):
        return build_recipe(
            {}, ["objective.mutual_information.weights={race: 0.2}", *overrides]
        ).objective.mutual_information

    paper = section()
    assert (paper.classifier, paper.class_weighting, paper.punish) == ("mlp", "frequency", "plain")
    assert (paper.token_pooling, paper.normalise, paper.tap) == ("mean", False, "middle")
    assert paper.learning_rate == build_recipe({}).training.head_learning_rate
    released = section("objective.mutual_information.variant=released")
    assert (released.classifier, released.class_weighting) == ("linear", "none")
    assert (released.punish, released.token_pooling) == ("smoothed_absolute", "random")
    assert released.normalise is True
    mixed = section(
        "objective.mutual_information.variant=released",
        "objective.mutual_information.normalise=false",
        "objective.mutual_information.tap=[1, 3]",
    )
    assert mixed.normalise is False
    assert mixed.tap == [1, 3]


def test_methods_bring_their_sampler_and_their_dependence():
    assert build_recipe({}).training.sampler == "shuffle"
    assert build_recipe({}, ["objective.method=resampling"]).training.sampler == "balanced"
    chosen = build_recipe({}, ["objective.method=adversarial", "objective.gap_weight=0.3"])
    assert chosen.objective.adversary.weights == {"ethnicity": 0.3}
    assert chosen.report.probes is True
    assert build_recipe({}).report.probes is False


def test_what_the_loss_protects():
    assert build_recipe({}).objective.protect == ["ethnicity"]  # where the bias is planted
    assert build_recipe({}, ["data.sensitive=[sex, race]"]).objective.protect == ["sex", "race"]
    crossed = build_recipe({}, ["data.sensitive=[sex×race]", "objective.protect=[sex]"])
    assert crossed.objective.protect == ["sex"]


def test_a_backbone_s_folder_is_kept_from_the_root_on(tmp_path, monkeypatch):
    """So that a run works from another working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()

    def backbone(name):
        return build_recipe({"model": {"backbone": name}}).model.backbone

    assert backbone("mine") == backbone("./mine/") == str(tmp_path / "mine")
    for other in ("miniature", "Qwen/Qwen2.5-VL-7B-Instruct", "nowhere/mine"):
        assert backbone(other) == other


@pytest.mark.parametrize(
    "override",
    [
        "training.epochs=true",
        "seed=false",
        "training.learning_rate=true",
        "data.limit=true",
        "objective.penalties={gap: true}",
        "report.threshold=true",
        "objective.adversary.tap=[true, 2]",
        "model.rescaling=[true, 5]",
        "data.options.seed=true",
        "data.options.train=true",
    ],
)
def test_a_truth_value_is_no_number(override):
    with pytest.raises(InputError, match=override.split("=")[0]):
        build_recipe({}, [override])


def test_truth_values_stay_where_they_belong():
    recipe = build_recipe({}, ["training.gradient_checkpointing=true", "report.probes=false"])
    assert (recipe.training.gradient_checkpointing, recipe.report.probes) == (True, False)
