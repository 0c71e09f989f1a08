"""Notes and tags: written once, with the former text told."""

from __future__ import annotations

import pytest

from foundry_tui.actions.errors import ActionError, NothingMatched, WrongUse
from foundry_tui.actions.experiments.note import note, tag
from foundry_tui.actions.experiments.report import common, report
from foundry_tui.actions.site import Site
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDenied
from tests.actions.experiments.conftest import Run


def tags(memory: MemoryTracker, run_id: str) -> dict[str, str]:
    run = memory.get(run_id)
    assert run is not None
    return dict(run.tags)


def test_a_note(compared_site: Site, memory: MemoryTracker, logged: Run) -> None:
    run_id = logged("a")
    assert note(compared_site, run_id).before is None
    first = note(compared_site, run_id[:8], "# good\n")
    assert (first.before, first.after, first.changed) == (None, "# good", True)
    second = note(compared_site, run_id, "better")
    assert (second.before, second.after) == ("# good", "better")
    assert tags(memory, run_id)["mlflow.note.content"] == "better"
    assert not note(compared_site, run_id, "better").changed
    with pytest.raises(WrongUse, match="6000 characters"):
        note(compared_site, run_id, "x" * 6000)


def test_tags(compared_site: Site, memory: MemoryTracker, logged: Run) -> None:
    run_id = logged("a", more={"team": "nlp"})
    done = tag(compared_site, run_id, {"team": "vision", "kind": ""})
    assert [(n.key, n.before, n.after) for n in done] == [
        ("team", "nlp", "vision"),
        ("kind", None, ""),
    ]
    assert tags(memory, run_id)["team"] == "vision"


@pytest.mark.parametrize("key", ["mlflow.user", "foundry.reason", "", " ", "x" * 251])
def test_tags_that_programs_rely_on_are_refused(
    compared_site: Site, memory: MemoryTracker, logged: Run, key: str
) -> None:
    run_id = logged("a")
    before = tags(memory, run_id)
    with pytest.raises(WrongUse, match="a key has 1 to 250"):
        tag(compared_site, run_id, {"fine": "1", key: "x"})
    assert tags(memory, run_id) == before


@pytest.mark.parametrize("read_only", [True])
def test_read_only(compared_site: Site, memory: MemoryTracker, logged: Run) -> None:
    run_id = logged("a", more={"mlflow.note.content": "kept"})
    assert note(compared_site, run_id).after == "kept", "reading is no change"
    for change in (
        lambda: note(compared_site, run_id, "x"),
        lambda: tag(compared_site, run_id, {"a": "b"}),
    ):
        with pytest.raises(ActionError, match="read-only"):
            change()
    assert tags(memory, run_id)["mlflow.note.content"] == "kept"


def test_a_refusal(
    compared_site: Site, memory: MemoryTracker, logged: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **given: object) -> None:
        raise TrackerDenied("tags", "403: Permission denied")

    run_id = logged("a")
    monkeypatch.setattr(memory, "update", refuse)
    with pytest.raises(ActionError, match="Permission denied"):
        note(compared_site, run_id, "x")
    with pytest.raises(NothingMatched):
        note(compared_site, "f" * 32, "x")


def test_a_report_draws_what_tells_how_well_runs_learned(
    compared_site: Site, memory: MemoryTracker, logged: Run
) -> None:
    metrics = {f"m{n}": [1.0] for n in range(8)} | {"system/cpu": [1.0], "foundry/gpu_hours": [2.0]}
    one = logged("a", metrics={**metrics, "loss": [3, 2, 1]})
    two = logged("b", metrics={"loss": [3, 2]})
    made = report(compared_site, [one, two])
    assert next(iter(made.curves)) == "loss" and len(made.curves) == 8
    assert [p.value for p in made.curves["loss"][one]] == [3, 2, 1]
    assert made.notes == ("1 more metrics are not drawn: --metric NAME draws one",)
    only = report(compared_site, [one], ["loss"])
    assert list(only.curves) == ["loss"] and set(only.curves["loss"]) == {one}
    assert common([]) == ((), 0)
