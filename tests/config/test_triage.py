"""The example of docs/triage.md is a configuration that loads."""

from __future__ import annotations

from pathlib import Path

from foundry_tui.config.load import load

PAGE = Path(__file__).parents[2] / "docs" / "triage.md"


def test_the_example_of_the_page_loads(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(PAGE.read_text().split("```toml\n")[1].split("```")[0])
    config = load(path, {}).config
    assert [rule.kind for rule in config.triage] == ["idle", "low_use"]
    assert config.triage[0].act == "cancel"
    assert config.notices.command[-1] == "{user}"
