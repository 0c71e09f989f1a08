"""`foundry keys`: the key map as a table and as JSON, with what the configuration changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundry_tui.actions.onscreen import EVERY
from foundry_tui.cli import main


def test_the_table_has_every_action_with_a_key_and_fits(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FOUNDRY_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    assert main(["keys"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    ids = {line.split()[1] for line in lines if not line.startswith("   ")}
    assert ids == {a.id for a in EVERY if a.keys} | {"Id"}
    assert "Changes the estate. End runs" in " ".join(lines)


def test_what_the_configuration_changes_is_starred(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[keys]\nhelp = "f1"\ncommand = "!"\n')
    path.chmod(0o600)
    assert main(["keys", "--config", str(path)]) == 0
    out = capfd.readouterr().out
    assert "\nf1*" in out
    assert "changed by [keys]" in out

    assert main(["keys", "--json", "--config", str(path)]) == 0
    rows = {row["id"]: row for row in json.loads(capfd.readouterr().out)["keys"]}
    assert set(rows) == {action.id for action in EVERY}
    assert (rows["help"]["keys"], rows["help"]["changed"]) == (["f1"], True)
    assert rows["filter"]["keys"] == ["/"]
    assert rows["cancel"]["risk"] == "change"


def test_a_bad_key_is_wrong_use_and_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[keys]\nhepl = "f1"\n')
    path.chmod(0o600)
    assert main(["keys", "--config", str(path)]) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert 'keys.hepl: found an unknown action; expected "help", the nearest' in told.err
