"""The screens look as the pictures of the documentation show them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.tui.pictures import FOLDER, PICTURES, Picture, away_from_home, draw

MEND = "run `make pictures` and look at what changed before it is committed"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_the_screen_is_as_its_picture_shows(picture: Picture, tmp_path: Path) -> None:
    with away_from_home():
        drawn = asyncio.run(draw(picture))
    kept = FOLDER / f"{picture.name}.svg"
    if not kept.exists() or kept.read_text() != drawn:
        (tmp_path / kept.name).write_text(drawn)
        pytest.fail(f"{picture.name} looks different ({tmp_path / kept.name}): {MEND}")


def test_no_picture_is_left_of_a_screen_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == {picture.name for picture in PICTURES}
