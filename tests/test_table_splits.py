"""Tables join into one data set, each row at its place, and every row that is refused is named."""

from pathlib import Path

import pytest

from fairlora_cls.data.examples import BadRowsError
from fairlora_cls.data.table_splits import TableOptions, build_splits, settle_options
from fairlora_cls.errors import InputError
from tests.small_tables import table_of

OPTIONS = TableOptions(age_cuts=[50], seed=1)
HOMES = ("train", "validation", "test")


def table(home, names, **columns):
    values = {"image": names, "label": ["no", "yes"] * (len(names) // 2), **columns}
    return table_of(values, f"{home}/t.csv", home)


def uses(tables, options=OPTIONS, **changes):
    """The unit column, the attributes and the notes that these options get."""
    chosen, notes = settle_options(tables, TableOptions(**(vars(options) | changes)))
    return chosen.unit_column, chosen.attributes, notes


def test_tables_keep_their_split_and_their_images():
    tables = [table(home, ["a", "b"], sex=["F", None]) for home in HOMES]
    splits = build_splits(tables, OPTIONS)
    images = [Path(home).resolve() / name for home in HOMES for name in "ab"]
    assert [e.image for e in splits.everything()] == images
    assert splits.test[1].id == splits.test[1].unit == "test/b"
    assert splits.test[1].attributes == {"sex": None}


def test_embedded_images_have_files_and_need_no_name():
    tables = [table(home, ["0", "b"]) for home in HOMES]
    embedded = [[Path(f"{home}.image"), None] for home in HOMES]
    splits = build_splits(tables, OPTIONS, embedded=embedded, folder=Path("x"))
    expected = [Path("test.image"), Path("x").resolve() / "b"]
    assert [e.image for e in splits.test] == expected


def test_attributes_are_what_has_no_other_use():
    tables = [table("train", ["a", "b"], id=["1", "2"], sex=["F", "M"], race=["A", "B"])]
    assert uses(tables)[1] == ("sex", "race")
    assert uses(tables, attributes=["race", "race"])[1] == ("race",)
    with pytest.raises(InputError, match=r"no column 'rase'; .*data\.options\.attributes"):
        uses(tables, attributes=["rase"])
    with pytest.raises(InputError, match=r"no column 'dx'.*data\.options\.label_column") as caught:
        uses(tables, label_column="dx", text_column="report")
    assert "'report'" in caught.value.problems[1]


def test_one_rule_for_what_is_missing_and_for_whole_numbers():
    """Blank patients are their own, whoever is called like their id; 1 and 1.0 are one."""
    tables = [
        table(
            home,
            [f"{home}-{i}" for i in range(4)],
            id=[f"{home}NA", f"{home}nan", f"{home}3", f"{home}1"],
            label=[f"{k}{end}" for k in (0, 1, 0, 1)],
            sex=["n/a", f"1{end}", f"0{end}", "-9.0"],
            patient=["null", f"{k}{end}", f"{k}{end}", f"{home}NA"],
            report=["nan", "2.0", "N/A", "Clear\nlungs."],
        )
        for k, (home, end) in enumerate({"train": "", "validation": ".0", "test": ".00"}.items())
    ]
    options = TableOptions(text_column="report", missing_values=["-9"])
    splits = build_splits(tables, options)
    assert splits.classes == ("0", "1")
    for name, k in (("train", 0), ("validation", 1), ("test", 2)):
        own = splits.split(name)
        assert [e.id for e in own] == [f"{name}NA", f"{name}nan", f"{name}3", f"{name}1"]
        assert [e.attributes for e in own] == [{"sex": s} for s in (None, "1", "0", None)]
        assert [e.label for e in own] == [0, 1, 0, 1]
        assert [e.text for e in own] == [None, "2.0", None, "Clear\nlungs."]
        assert len({e.unit for e in own}) == 3
        assert [e.unit for e in own[1:3]] == [str(k)] * 2


@pytest.mark.parametrize("missing", ["nan", "NA", "n/a", "NULL", " ", None])
def test_a_missing_label_is_an_error_of_its_row(missing):
    with pytest.raises(InputError, match="row 3 has no value for 'label'"):
        build_splits([table("train", ["a", "b"], label=["no", missing])], OPTIONS)


def test_all_that_is_wrong_with_every_row_is_told_and_the_others_are_read():
    bad = table(
        "train",
        ["a", "b", "", "../d", "e", "f", "g", "h"],
        id=["1", "2", "3", "4", "1", "6", "7", "8"],
        label=["no", "", "no", "yes", "no", "Yes", "yes", "no"],
        age=["50", "x", "40", "40", "40", "40", "200", "60"],
        q=["?"] * 7 + [None],
        a=["!"] * 8,
    )
    more = {"age": ["30", "70"], "q": ["?", "?"], "a": ["!", "!"]}
    tables = [bad, *(table(home, [home, home + "2"], **more) for home in HOMES[1:])]
    options = TableOptions(age_column="age", question_column="q", answer_column="a")
    with pytest.raises(BadRowsError) as caught:
        build_splits(tables, options)
    expected = [
        "row 4 has no value for 'image'",
        "row 5 names the image '../d'",
        "row 6 has the id '1' of row 2 again",
        "row 3 has no value for 'label'",
        "row 7 has the label 'Yes', and others have 'yes'",
        "row 3 has age 'x'",
        "row 8 has age '200'",
        "row 9 has 'a' but no 'q'",
    ]
    problems = caught.value.problems
    assert len(problems) == len(expected)
    for words, problem in zip(expected, problems, strict=True):
        assert words in problem
        assert words in str(caught.value)
    rest = caught.value.rest
    assert [e.id for e in rest.train] == ["1"]
    assert rest.train[0].attributes == {"age_group": "(44,65]"}
    assert len(rest.validation) == len(rest.test) == 2


def test_patients_of_a_usual_name_are_used_and_never_an_attribute():
    owners = {"Patient ID": ["7", "7"], "lesion_id": ["1", "2"]}
    tables = [table("train", ["a", "b"], sex=["F", "F"], **owners)]
    unit, attributes, notes = uses(tables)
    assert (unit, attributes, len(notes)) == ("Patient ID", ("sex",), 1)
    assert uses(tables, attributes=["lesion_id"])[1] == ("lesion_id",)
    assert uses(tables, unit_column=None) == (None, ("sex",), ())


def test_a_column_of_some_tables_only_is_no_attribute():
    tables = [table("train", ["a", "b"], sex=["F", "F"], x=["1", "2"])]
    tables += [table("test", ["a", "b"], sex=["F", "F"])]
    _, attributes, notes = uses(tables)
    assert attributes == ("sex",)
    assert "'x'" in notes[0]


def test_age_groups_are_not_replaced():
    tables = [table("train", ["a", "b"], age=["50", "60"], age_group=["old", "old"])]
    with pytest.raises(InputError, match="'age_group'"):
        uses(tables, age_column="age")
    assert uses(tables, age_column="age", attributes=[])[1] == ()


def test_questions_and_answers_of_a_table():
    asked = {"q": ["What is it?", " "], "a": ["A mole.", None]}
    tables = [table(home, ["a", "b"], **asked) for home in HOMES]
    options = TableOptions(question_column="q", answer_column="a")
    splits = build_splits(tables, options)
    assert [e.conversation for e in splits.train] == [(("What is it?", "A mole."),), ()]
    assert uses(tables, options)[1] == ()
    with pytest.raises(InputError, match=r"no column 'r'.*data\.options\.answer_column"):
        uses(tables, options, answer_column="r")
    with pytest.raises(InputError, match="belong together"):
        uses(tables, options, answer_column=None)
    for wrong, words in (("q", "row 3 has 'a' but no 'q'"), ("a", "row 3 has 'q' but no 'a'")):
        half = {"q": ["What?", "What?"], "a": ["It.", "It."]}
        half[wrong] = [half[wrong][0], None]
        tables = [table(home, ["a", "b"], **half) for home in HOMES]
        with pytest.raises(InputError, match=words):
            build_splits(tables, options)
