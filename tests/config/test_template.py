"""The configuration file that is written for the user: complete, commented, and true."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

from foundry_tui.config.load import load
from foundry_tui.config.model import Config
from foundry_tui.config.template import render

SETTING = re.compile(r"^#(?! )", re.MULTILINE)


def test_as_written_it_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(render())
    loaded = load(path, {})
    assert (loaded.config, loaded.warnings) == (Config(), ())
    assert tomllib.loads(render()) == {}


def test_with_every_setting_uncommented_it_loads_clean(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(SETTING.sub("", render()))
    loaded = load(path, {"HOME": "/home/ann"})
    config = loaded.config
    assert all(w.endswith("is not read by this version") for w in loaded.warnings)
    assert (config.intervals, config.thresholds) == (Config().intervals, Config().thresholds)
    assert config.read_only is False
    assert len(config.sources) == 5
    for source in config.sources:
        for option in fields(source):
            if option.default not in (MISSING, None, ()):
                assert getattr(source, option.name) == option.default


def test_every_option_is_there_with_its_documentation() -> None:
    text = render()
    flat = " ".join(line.removeprefix("# ") for line in text.splitlines())
    hints = get_type_hints(Config)
    options = list(fields(Config))
    for option in fields(Config):
        record = (get_args(hints[option.name]) or (hints[option.name],))[0]
        if is_dataclass(record):
            options += [inner for inner in fields(record) if inner.name != "name"]
    assert len(options) > 25
    for option in options:
        assert re.search(rf"^#\[?{option.name}\b", text, re.MULTILINE)
        assert option.metadata["doc"] in flat


def test_lines_fit_a_terminal() -> None:
    assert max(map(len, render().splitlines())) <= 100
