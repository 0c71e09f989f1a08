"""The policy file: read strictly, believed only when its owner alone could have written it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from foundry_tui.config.errors import ConfigError
from foundry_tui.config.policy import ACTS, Approval, Limits, Policy, Role, load, template

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"


def test_the_template_changes_nothing_and_names_every_setting(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(template())
    assert load(path) == Policy()
    path.write_text(re.sub(r"^#(?! )", "", template(), flags=re.M) + "[roles.approvers]\n")
    policy = load(path)
    assert policy.lock == Path("/run/lock/foundry-apply")
    assert policy.roles[0].may == ("hold", "release", "change_run")
    assert policy.approval.acts == ("change_queue", "move_node")
    assert max(map(len, template().splitlines())) <= 100


def test_a_whole_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        '[roles.ops]\ngroups = ["gpu-admins"]\nmay = "all"\non = "all"\n'
        '[roles.all]\nusers = ["*"]\nmay = ["cancel"]\n'
        '[limits]\nmost_moves = 10\n[approval]\nabove_moves = 5\nroles = ["ops"]\n'
    )
    policy = load(path)
    ops, everybody = policy.roles
    assert ops == Role(name="ops", groups=("gpu-admins",), may=("all",), on="all")
    assert (everybody.may, everybody.on) == (("cancel",), "own")
    assert (policy.limits.most_moves, policy.limits.most_nodes_drained_pct) == (10, 25)
    assert policy.approval == Approval(above_moves=5, roles=("ops",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limit]", 'limit: found an unknown key; expected "limits", the nearest name'),
        ("[limits]\nmost_move = 3", 'expected "most_moves"'),
        ('[roles.a]\nmay = ["holt"]', 'found an unknown act; expected "hold", the nearest name'),
        ('[roles.a]\non = "any"', 'expected one of "own", "account", "all"'),
        ("[limits]\nmost_moves = 0", "at least 1"),
        ('[approval]\nroles = ["ops"]', 'no role "ops"'),
        ("most_moves = 3", "it below [limits]"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(path)


def test_a_file_that_others_could_have_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("")
    path.chmod(0o664)
    with pytest.raises(ConfigError, match=r"0664.*chown root .*policy.toml; chmod 644"):
        load(path)
    with pytest.raises(ConfigError, match="no file"):
        load(tmp_path / "absent.toml")


def test_the_page_explains_every_setting_and_its_example_holds(tmp_path: Path) -> None:
    text = PAGE.read_text()
    settings = [f.name for record in (Role, Limits, Approval) for f in fields(record)]
    for word in (*settings, *ACTS):
        assert word == "name" or f"`{word}`" in text, word
    path = tmp_path / "policy.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0])
    assert [role.name for role in load(path).roles] == ["operators", "leads", "everybody"]
