"""JSON and names from strangers: read as they are, or refused with their line."""

import gzip

import pytest

from fairlora_cls.data.text_files import column_name, read_json_list
from fairlora_cls.errors import InputError
from fairlora_cls.plain_yaml import is_whole
from tests.test_tables import write


def test_json_lists(tmp_path):
    entries = read_json_list(write(tmp_path / "a.json", '[{"x": NaN}, {}]'))
    assert entries[0]["x"] != entries[0]["x"]
    for content in ("{}", "[1]"):
        with pytest.raises(InputError, match="not a JSON list of objects"):
            read_json_list(write(tmp_path / "b.json", content))
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_json_list(write(tmp_path / "b.json", "[{"))
    with pytest.raises(InputError, match=r"nowhere\.json' cannot be read"):
        read_json_list(tmp_path / "nowhere.json")
    packed = gzip.compress('\ufeff[{"id": "a"}]'.encode())
    assert read_json_list(write(tmp_path / "a.json.gz", packed)) == [{"id": "a"}]
    with pytest.raises(InputError, match="half a character"):
        read_json_list(write(tmp_path / "b.json", '[{"x": ["\\udead"]}]'))


def test_names_are_one_line():
    assert column_name(" \ufeff Patient\r\n ID ") == "Patient ID"
    assert column_name("race  group") == "race  group"


def test_what_can_be_written():
    assert [is_whole(t) for t in ("é😀", "a\0", "a\udfff")] == [True, False, False]
