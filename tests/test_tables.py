"""Tables of every format, and with the mistakes that users bring."""

import gzip
import sys

import pandas as pd
import pytest

from fairlora_cls.data.tables import (
    find_missing_columns,
    find_table,
    open_table,
    read_table,
    refuse_repeated_ids,
    require_columns,
)
from fairlora_cls.errors import InputError
from tests.small_tables import table_of

ROWS = [{"id": "1", "sex": "F"}, {"id": "2", "sex": None}]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "id,sex\n1,F\n2,\n"),
        ("t.csv", "\ufeffid , sex\n1,F\n2,\n"),  # Excel's mark, and spaces in the header
        ("t.tsv", "id\tsex\n1\tF\n2\t\n"),
        ("t.csv.gz", gzip.compress(b"id,sex\n1,F\n2,\n")),
        ("t.jsonl", '{"id": 1, "sex": "F"}\r\n\n{"id": 2, "sex": NaN}\n'),
        ("t.jsonl", '{"id": 1, "sex": "F", "x": "a\u2028b"}\n{"id": 2}\n'),
    ],
)
def test_formats_read_alike(tmp_path, name, content):
    frame = read_table(write(tmp_path / name, content))
    assert list(frame.columns)[:2] == ["id", "sex"]
    assert frame["id"].tolist() == ["1", "2"]
    assert frame["sex"].tolist()[0] == "F"
    assert frame["sex"].isna().tolist() == [False, True]


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table({"id": [1, None], "sex": ["F", None], "age": [54.5, None]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet")
    assert frame["id"].tolist()[0] == "1"  # a whole number stays whole beside a blank
    assert frame["age"].tolist()[0] == "54.5"
    assert frame.isna().to_numpy().tolist() == [[False] * 3, [True] * 3]
    doubled = pa.table([["1"], ["F"], ["M"]], names=["id", "sex", " sex"])
    pyarrow.parquet.write_table(doubled, tmp_path / "d.parquet")
    with pytest.raises(InputError, match="column 'sex' more than once"):
        read_table(tmp_path / "d.parquet")
    with pytest.raises(InputError, match="not a readable Parquet"):
        read_table(write(tmp_path / "bad.parquet", "PAR1"))


def test_the_index_of_a_pandas_frame_is_a_column_only_where_it_has_a_name(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"sex": ["F", "M"]}, index=[7, 3])
    frame.to_parquet(tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet")) == ["sex"]
    frame.rename_axis("id").to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["id"].tolist() == ["7", "3"]


def test_names_are_one_line_and_a_mark_within_json_lines_is_passed_over(tmp_path):
    quoted = read_table(write(tmp_path / "t.csv", '"Patient \n ID"\n1\n'))
    assert list(quoted) == ["Patient ID"]
    lines = '\ufeff{"id": "\\ud83d\\ude00"}\n\ufeff{"id": "NA"}\n'  # a pair is one whole character
    for name, content in (
        ("t.jsonl", lines.encode()),
        ("t.jsonl.gz", gzip.compress(lines.encode())),
    ):
        assert read_table(write(tmp_path / name, content))["id"].tolist() == ["\U0001f600", "NA"]


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"pip install 'fairlora-cls\[parquet\]'"):
        read_table(write(tmp_path / "t.parquet", "PAR1"))


def test_other_encodings_and_separators_are_named_and_can_be_given(tmp_path):
    path = write(tmp_path / "t.csv", "id;név\n1;Jóska\n".encode("cp1250"))
    with pytest.raises(InputError, match=r"not in UTF-8.*data\.options\.encoding"):
        read_table(path, has_options=True)
    with pytest.raises(InputError, match=r"not in UTF-8(?!.*data\.options)"):
        read_table(path)
    frame = read_table(path, encoding="cp1250", separator=";")
    assert frame.to_dict("list") == {"id": ["1"], "név": ["Jóska"]}
    semicolons = read_table(write(tmp_path / "s.csv", "id;sex\n1;F\n"))
    (problem,) = find_missing_columns(semicolons, ["id"], tmp_path / "s.csv", "id_column")
    assert "looks separated by semicolons" in problem
    assert "data.options.separator" in problem
    with pytest.raises(InputError, match=r"looks separated by semicolons(?!.*data\.options)"):
        require_columns(semicolons, ["id"], tmp_path / "s.csv")
    with pytest.raises(InputError, match="no text encoding 'klingon'"):
        read_table(path, encoding="klingon")
    tabs = read_table(write(tmp_path / "b.tsv", "id\tsex\n1\tF\n"), separator="\\t")
    assert tabs.to_dict("list") == {"id": ["1"], "sex": ["F"]}
    with pytest.raises(InputError, match=";;"):
        read_table(path, encoding="cp1250", separator=";;")


@pytest.mark.parametrize("codec", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_the_encoding(tmp_path, codec):
    frame = read_table(write(tmp_path / "u.csv", '"id",név\n1,Jóska\n'.encode(codec)))
    assert frame.to_dict("list") == {"id": ["1"], "név": ["Jóska"]}


def test_quoted_lines_and_blank_lines_are_no_rows_of_their_own(tmp_path):
    path = write(tmp_path / "t.csv", 'id,note\r\n\r\n1,"a\n""b"", c"\r\n  \r\n2,\r\n')
    frame = read_table(path)
    assert frame["id"].tolist() == ["1", "2"]
    assert frame["note"].tolist()[0] == 'a\n"b", c'


def test_ends_of_lines_of_old_macs(tmp_path):
    frame = read_table(write(tmp_path / "t.csv", "id,sex\r1,F\r,M\r"))
    assert frame["id"].isna().tolist() == [False, True]
    assert frame["sex"].tolist() == ["F", "M"]


@pytest.mark.parametrize(
    "content",
    [",id,sex\n0,1,F\n", "Unnamed: 0,id,Unnamed: 0.1,sex\n0,1,0,F\n", "id,sex,,\n1,F,,\n"],
)
def test_a_column_without_a_name_is_not_read(tmp_path, content):
    frame = read_table(write(tmp_path / "t.csv", content))
    assert frame.to_dict("list") == {"id": ["1"], "sex": ["F"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,sex,sex \n1,F,F\n", "column 'sex' more than once"),
        ('id, id\n1,"2"\n', "column 'id' more than once"),
        ('id,sex,age\n1,"F,\nM",30\n2,F\n', "row 3 has 2 cells .* 3 columns"),
        ("id,sex\n1,F\n2,F,M\n", "row 3 has 3 cells .* 2 columns"),
        ("id;sex\n1;a, b\n", "looks separated by semicolons"),
        ('id,sex\n1,"F\n2,M\n', "not a readable CSV"),
        ("id,sex\n1,F\0\n", "line 2 holds a NUL"),
        ("", "it is empty"),
    ],
)
def test_what_is_no_table_by_its_shape(tmp_path, content, words):
    path = write(tmp_path / "t.csv", content)
    with pytest.raises(InputError, match=words):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "", "not a readable CSV"),
        ("t.csv", "id,sex\n", "has no rows"),
        ("t.csv", 'id,sex\n1,"F\n', "not a readable CSV"),
        ("t.csv", "id,sex\n1,F,extra\n2,M,extra\n", "row 2 has 3 cells"),
        ("t.csv.gz", gzip.compress(b"id,sex\n1,F\n")[:-9], "cannot be read"),
        ("t.jsonl", '{"id": 1}\n{"id": \n', "line 2 cannot be read as JSON"),
        ("t.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("t.jsonl", b'{"id": "\xe9"}\n', "not in UTF-8"),
        ("t.jsonl", '{"id": 1}\n{"sex": "F", "sex ": "M"}\n', "line 2 .*'sex' stands twice"),
        ("t.jsonl", '{"id": "a\\ud800"}\n', "line 1 .*half a character"),
        ("t.jsonl", '{"a\\uDC00": 1}\n', "line 1 .*half a character"),
        ("t.jsonl", '{"id": "\\u0000"}\n', "line 1 .*NUL"),
        ("t.jsonl", '{"id": 1e999}\n', "1e999 is no finite number"),
        ("t.jsonl", '{"id": -Infinity}\n', "-Infinity is no finite number"),
        ("t.jsonl", '{"id": ' + "9" * 5000 + "}\n", "line 1 cannot be read as JSON"),
        ("t.jsonl", '{"id": ' + "[" * 100_000 + "}\n", "nested too deeply"),
    ],
)
def test_broken_tables(tmp_path, name, content, words):
    with pytest.raises(InputError, match=words):
        read_table(write(tmp_path / name, content))


def test_columns_values_and_ids_are_checked(tmp_path):
    path = write(tmp_path / "t.csv", "id,sex\n1,F\n2, \n1,M\n")
    frame = read_table(path)
    with pytest.raises(InputError, match="no column 'sx'; did you mean 'sex'") as caught:
        require_columns(frame, ["sx", "id", "age"], path)
    assert len(caught.value.problems) == 2
    table = open_table(path)
    table.read_names("sex")
    assert len(table.problems) == 1
    assert "row 3 has no value for 'sex'" in table.problems.pop()
    refuse_repeated_ids([table], [table.read_names("id")])
    assert "row 4 has the id '1' of row 2 again" in table.problems[0]
    other = table_of({"id": ["2"]}, "u.csv")
    refuse_repeated_ids([table_of({"id": ["1", "2"]}), other], [["1", "2"], ["2"]])
    assert "'u.csv' row 2 has the id '2' of 't.csv' row 3 again" in other.problems[0]


def test_every_broken_row_is_named(tmp_path):
    path = write(tmp_path / "t.csv", "id,sex\n1,F,x\n2,M\n3\n")
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert ["row 2" in p for p in caught.value.problems] == [True, False]
    assert "row 4" in caught.value.problems[1]
    lines = '{"id": 1}\n\n[2]\n{"id": \n{"id": 3}\n'
    with pytest.raises(InputError) as caught:
        read_table(write(tmp_path / "t.jsonl", lines))
    assert "line 3 is not a JSON object" in caught.value.problems[0]
    assert "line 4" in caught.value.problems[1]


def test_of_many_bad_rows_the_first_are_named_and_the_others_counted():
    table = table_of({"sex": [""] * 1234 + ["F"]})
    table.read_names("sex")
    assert len(table.problems) == 11
    assert "row 11 " in table.problems[9]
    assert "1,224 more" in table.problems[10]
    assert table.good == [1234]


def test_rows_of_json_lines_are_named_by_their_line(tmp_path):
    table = open_table(write(tmp_path / "t.jsonl", '{"id": 1}\n\n \n{"id": ""}\n'))
    table.read_names("id")
    assert "line 4 has no value" in table.problems[0]


def test_the_wrong_folder_level_is_pointed_out(tmp_path):
    (tmp_path / "data" / "images").mkdir(parents=True)
    write(tmp_path / "data" / "t.csv.gz", gzip.compress(b"id\n1\n"))
    assert find_table(tmp_path / "data", ["t.csv"]).name == "t.csv.gz"
    for folder in (tmp_path, tmp_path / "data" / "images"):
        with pytest.raises(InputError, match=r"holds no t\.csv; '.*data' does: point there"):
            find_table(folder, ["t.csv"])
    with pytest.raises(InputError, match="point at the folder that does"):
        find_table(tmp_path / "data", ["other.csv"])
    with pytest.raises(InputError, match="no folder"):
        find_table(tmp_path / "nowhere", ["t.csv"])


def test_a_first_line_that_comes_again_is_no_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,label\na.png,yes\nimage , label\nb.png,no\n")
    with pytest.raises(InputError, match="row 3 repeats the first line"):
        read_table(path)
