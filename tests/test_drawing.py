"""Shapes become whole SVG whatever a group is called, and the same PNG on demand."""

from xml.etree import ElementTree

import pytest

from fairlora_cls.presentation.drawing import COLOURS, Axes, Sheet, spanning
from fairlora_cls.presentation.plotting import MOST_DRAWN, Curve, Row, draw_curves, draw_rows

HOSTILE = ["</svg><script>x</script>", "a & b \"c\" 'd'", "\x00\x08bell\ud800", "Ӝ→∞", "$x^$" * 40]
SVG = "{http://www.w3.org/2000/svg}"


def parsed(figure):
    return ElementTree.fromstring(figure.drawing.as_file(figure.alternative_text))


def rows(names):
    return [Row(name, name, name, name, 0.1, (0.0, 0.2), band=(0, 0.3), tick=0.1) for name in names]


def test_hostile_names_stay_text():
    drawn = parsed(draw_rows("g", HOSTILE[0], "file", rows(HOSTILE), HOSTILE[0], mark=0))
    assert {each.tag for each in drawn} <= {
        SVG + name for name in ("rect", "path", "text", "circle")
    }
    words = [text.text for text in drawn.iter(SVG + "text")]
    assert HOSTILE[1] in words
    assert HOSTILE[3] in words
    assert any(word.startswith("\ufffd\ufffdbell\ufffd") for word in words)
    sheet = draw_curves({name: Curve([(0, 0), (1, 1)], name) for name in HOSTILE}, ("<x>", "<y>"))
    ElementTree.fromstring(sheet.as_file("<&"))
    assert "<script" not in sheet.for_page()


def test_the_page_themes_colours_and_a_file_has_its_own():
    sheet = Sheet(10)
    sheet.line([(0, 0), (1, 1)], "accent", 2.2, dashes=(3, 1))
    assert 'stroke="var(--accent)"' in sheet.for_page()
    assert f'stroke="{COLOURS["accent"]}"' in sheet.as_file("x")
    assert "var(" not in sheet.as_file("x")
    assert 'stroke-dasharray="3 1"' in sheet.for_page()


def test_values_lie_where_their_scale_says():
    axes = Axes(Sheet(100), 10, 20, 200, 50, (0, 4), (-1, 1))
    assert axes.at(1, 1) == (60, 20)
    assert axes.at(4, -1) == (210, 70)
    logarithmic = Axes(Sheet(100), 0, 0, 100, 10, (0.01, 1), (0, 1), is_logarithmic=True)
    assert logarithmic.at(0.1, 0)[0] == pytest.approx(50)


@pytest.mark.parametrize(
    ("values", "least", "ends"),
    [([0, 10], None, (-0.5, 10.5)), ([3, 10], 0, (0, 10.5)), ([2], None, (1.9, 2.1)), ([0], 0, (0, 0.05))],
)  # fmt: skip
def test_axes_have_room_and_never_no_width(values, least, ends):
    assert spanning(values, least) == pytest.approx(ends)


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((-0.5, 10.5), ["0", "5", "10"]),
        ((0, 27.8), ["0", "10", "20"]),
        ((-0.31, 0.42), ["−0.2", "0", "0.2", "0.4"]),
        ((0.9, 0.93), ["0.9", "0.91", "0.92", "0.93"]),
    ],
)
def test_ticks_are_round_numbers(ends, shown):
    sheet = Sheet(100)
    Axes(sheet, 0, 0, 100, 50, ends, (0, 1)).x_axis("along")
    assert [each.text for each in sheet.shapes if each.kind == "text"] == [*shown, "along"]


def test_curves_are_told_apart_without_colour():
    curves = {str(place): Curve([(0, 0), (1, 1)]) for place in range(MOST_DRAWN)}
    lines = [s for s in draw_curves(curves, ("x", "y"), marker_size=4).shapes if s.kind == "line"]
    assert len({line.dashes for line in lines if line.colour.startswith("group")}) == MOST_DRAWN


def test_a_png_is_drawn_from_the_same_shapes():
    figure = draw_rows("g", "t", "f", rows(HOSTILE[3:]), "label", mark=0.1)
    figure.drawing.mark((5, 5), "P", "alert", 6)
    assert figure.drawing.png().startswith(b"\x89PNG")
