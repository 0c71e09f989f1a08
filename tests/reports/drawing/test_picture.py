"""Pictures of charts: real files, the same bytes for the same chart, words without the extra."""

from __future__ import annotations

import builtins
import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import Any

import pytest

from foundry_tui.reports.drawing.charting import Chart
from foundry_tui.reports.drawing.picture import PictureError, draw


def a_chart(by: str = "account", labels: tuple[str, ...] = ("bio", "ml")) -> Chart:
    return Chart(
        title="GPU-hours of usage-by-account",
        unit="GPU-hours",
        by=by,
        parts=("used", "idle", "unknown"),
        labels=labels,
        amounts=tuple((Decimal(3), Decimal(n), Decimal(1)) for n in range(len(labels))),
    )


def texts(svg: bytes) -> list[str]:
    found = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(one.itertext()) for one in found]


@pytest.mark.parametrize("by", ["account", "period"])
def test_an_svg_says_what_it_shows_in_words(by: str) -> None:
    said = texts(draw(a_chart(by), "svg"))
    for words in ("GPU-hours of usage-by-account", "GPU-hours", "bio", "ml", "used", "unknown"):
        assert words in said


def test_the_same_chart_is_the_same_bytes() -> None:
    assert draw(a_chart(), "svg") == draw(a_chart(), "svg")
    assert draw(a_chart(), "png") == draw(a_chart(), "png")


def test_a_png_is_one() -> None:
    assert draw(a_chart(), "png").startswith(b"\x89PNG\r\n")


def test_names_from_outside_are_text_and_no_formula() -> None:
    hostile = ("$\\frac{1}{0}$", "<script>&", "名前")
    said = texts(draw(a_chart(labels=hostile), "svg"))
    assert set(hostile) <= set(said)
    assert draw(a_chart(labels=hostile), "png").startswith(b"\x89PNG")


def test_of_nothing_it_says_so() -> None:
    assert "nothing was held" in texts(draw(a_chart(labels=()), "svg"))


def test_a_month_of_hours_does_not_name_every_one() -> None:
    labels = tuple(f"h{n}" for n in range(744))
    named = [text for text in texts(draw(a_chart("period", labels), "svg")) if text[:1] == "h"]
    assert 10 < len(named) <= 16


def test_an_unknown_kind_of_file_is_refused() -> None:
    with pytest.raises(PictureError, match="svg and png"):
        draw(a_chart(), "gif")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **given: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **given)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(PictureError, match=r"pip install 'foundry-tui\[charts\]'"):
        draw(a_chart(), "svg")
