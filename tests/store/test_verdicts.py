"""Looks and verdicts on disk: private, in order, and whole after a damaged line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.estate.observed import Look, RunSeen, Waiter
from foundry_tui.estate.run import Placement, RunState
from foundry_tui.estate.verdict import Kept, RuleRecord, Verdict
from foundry_tui.store.verdicts import VerdictError, Verdicts, worth_keeping

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = RunSeen(
    id="lab/1",
    family="lab/1",
    state=RunState.RUNNING,
    started_at=T0,
    placement=(Placement("h01", (0, 1)),),
)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def verdict(kept: bool | None, *, rule: str = "start", plan: str = "p1") -> Verdict:
    promise = Kept(what="start", promised=90.0, measured=3.0, kept=kept, move="m1", rule=rule)
    return Verdict(plan=plan, applied_at=T0, judged_at=at(9), closed=True, promises=(promise,))


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    store = Verdicts(tmp_path / "verdicts")
    store.opened("p1", T0, [Waiter(family="lab/1", user="ann")])
    store.looked("p1", T0, Look(at=at(5), runs=(RUN,), gpus_total=40.0))
    store.looked("p1", T0, Look(at=at(9), gone=("lab/1",)))
    store.judged(verdict(None))
    store.judged(verdict(True))
    found = store.observations("p1", T0)
    assert found.waiters == (Waiter(family="lab/1", user="ann"),)
    assert [look.at for look in found.looks] == [at(5), at(9)]
    assert found.looks[0].runs == (RUN,)
    assert store.latest("p1") == verdict(True)
    assert len(store.history("p1")) == 2
    assert store.observations("p1", at(3600)).looks == ()  # applied anew: seen anew
    assert store.latest("p1", at(3600)) is None
    assert (tmp_path / "verdicts").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "verdicts" / "p1.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_damaged_line_costs_no_other(tmp_path: Path) -> None:
    store = Verdicts(tmp_path)
    store.judged(verdict(None))
    path = tmp_path / "p1.jsonl"
    path.write_bytes(path.read_bytes() + b'{"applied_at": 7}\n\xff\xfe\n{"applied_at":"2026')
    store.judged(verdict(True))
    assert [v.counted for v in store.history("p1")] == [(0, 0), (1, 1)]


def test_rules_are_known_by_their_record(tmp_path: Path) -> None:
    store = Verdicts(tmp_path)
    assert store.rule_records() == ()
    for n, (rule, kept) in enumerate(
        [("start", True), ("start", True), ("room", False), ("room", True), ("queue", None)]
    ):
        store.judged(verdict(kept, rule=rule, plan=f"p{n}"))
    assert store.rule_records() == (
        RuleRecord(rule="room", kept=1, decided=2),
        RuleRecord(rule="start", kept=2, decided=2),
    )
    assert len(store.all()) == 5


def test_others_cannot_put_lies_into_it(tmp_path: Path) -> None:
    store = Verdicts(tmp_path)
    store.judged(verdict(True))
    (tmp_path / "p1.jsonl").chmod(0o666)
    with pytest.raises(VerdictError, match="0666"):
        store.history("p1")
    assert store.all() == ()
    with pytest.raises(VerdictError, match="no id"):
        store.judged(verdict(True, plan="../x"))
    assert store.history("../x") == ()


def test_one_process_looks(tmp_path: Path) -> None:
    with Verdicts(tmp_path).writer() as mine, Verdicts(tmp_path).writer() as other:
        assert (mine, other) == (True, False)


def test_looks_without_news_are_thinned() -> None:
    quiet = Look(at=at(100))
    assert worth_keeping(quiet, None, T0)
    assert not worth_keeping(quiet, at(70), T0)
    assert worth_keeping(quiet, at(40), T0)
    assert worth_keeping(Look(at=at(100), runs=(RUN,)), at(99), T0)
    late = Look(at=at(8000))
    assert not worth_keeping(late, at(7900), T0)
    assert worth_keeping(late, at(7700), T0)
