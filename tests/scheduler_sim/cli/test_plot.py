"""Drawings: the values are where they belong, in characters and in SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from scheduler_sim.cli.plot import Curve, ceiling, drawing, mean_curve
from scheduler_sim.cli.svg import picture

STEEP = Curve("steep", tuple(float(x) for x in range(101)), (None, *([8.0] * 100)))
FLAT = Curve("flat", tuple(x / 2 for x in range(101)), tuple([2.0] * 101))


def test_a_line_goes_from_corner_to_corner() -> None:
    lines = drawing([STEEP], 67, rows=6).splitlines()
    panel = [line[6:] for line in lines[1:7]]
    assert lines[1].startswith(" 100 │")
    assert panel[0].strip()[-1] in "⠁⠈⠉"
    assert len(panel[0]) == 60
    assert panel[-1][0] in "⡀⣀"
    starts = [len(line) - len(line.lstrip()) for line in panel]
    assert starts == sorted(starts, reverse=True)
    assert lines[8].split() == ["0", "50", "100"]


def test_several_are_told_apart_by_letters_in_their_order() -> None:
    text = drawing([STEEP, FLAT], 67, rows=10)
    top, *_, bottom = text.splitlines()[1:11]
    assert top.endswith("a")
    assert "b" not in top
    assert "b" in bottom
    assert "a steep  b flat" in text


def test_ascii_is_ascii_and_narrow_is_narrow() -> None:
    text = drawing([STEEP], 30, ascii_only=True)
    assert text.isascii()
    # the words above the panels may be longer
    assert all(len(line) <= 30 for line in text.splitlines() if not line.startswith("GPUs"))


def test_nothing_known_is_an_empty_panel() -> None:
    nothing = Curve("nothing", (None,), (None,))
    assert not set("⣀⠉") & set(drawing([nothing], 60))
    assert "<polyline" in picture("t", [nothing])


def test_the_mean_is_of_those_that_are_there() -> None:
    one = Curve("x", (0.0, None, 4.0), (1.0, None, 1.0))
    two = Curve("x", (2.0, None), (3.0, None))
    assert mean_curve("m", [one, two]) == Curve("m", (1.0, None, 4.0), (2.0, None, 1.0))


def test_the_scale_is_a_round_number_above_all() -> None:
    assert ceiling([[0.3, None], [0.9]]) == 1
    assert ceiling([[5.01]]) == 10
    assert ceiling([[77.0]]) == 100
    assert ceiling([[None]]) == 1


def test_the_picture_is_well_formed_and_holds_every_point() -> None:
    text = picture('a <b> & "c"', [STEEP, FLAT])
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == 'a <b> & "c"'
    lines = [line.attrib for line in root.iter(f"{space}polyline")]
    assert [len(line["points"].split()) for line in lines] == [101, 101, 100, 101]
    first, last = lines[0]["points"].split()[0], lines[0]["points"].split()[-1]
    height = float(first.split(",")[1]) - float(last.split(",")[1])
    assert height == 220
    names = [found for found in re.findall(r">(\w+)</text>", text) if found in ("steep", "flat")]
    assert names == ["steep", "flat"]
    # colour is not the only difference
    assert lines[0].get("stroke-dasharray") != lines[1].get("stroke-dasharray")
