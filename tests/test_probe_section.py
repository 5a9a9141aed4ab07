"""What the report says of probes."""

import pytest

from fairlora_cls.evaluation.probe_section import probe_section


def probe(auroc, low=None, high=None, n=100):
    return {"auroc": auroc, "interval": None if low is None else [low, high], "n": n}


@pytest.mark.parametrize(
    ("before", "after", "reading"),
    [
        (probe(0.9, 0.85, 0.95), probe(0.52, 0.47, 0.57), "not readable by this probe"),
        (probe(0.9, 0.85, 0.95), probe(0.7, 0.65, 0.75), "less readable than before"),
        (probe(0.7, 0.65, 0.75), probe(0.9, 0.85, 0.95), "more readable than before"),
        (probe(0.8, 0.75, 0.85), probe(0.78, 0.73, 0.83), "as readable as before"),
        (probe(None, n=3), probe(None, n=3), "too few images"),
    ],
)
def test_the_reading_follows_from_the_intervals(before, after, reading):
    section = probe_section({"race": {"head_input": {"before": before, "after": after}}})
    (row,) = section.tables[0].rows
    assert row[0].text == "race"
    assert reading in row[4].text
    assert section.values == {"race": {"head_input": {"before": before, "after": after}}}


def test_undefined_is_said_with_its_count():
    empty = probe(None, n=3)
    section = probe_section({"race": {"mutual_information": {"before": empty, "after": empty}}})
    (row,) = section.tables[0].rows
    assert (row[2].text, row[2].detail) == ("undefined", "3 images")
