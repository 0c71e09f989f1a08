"""Reports from sources and a history to files: what is missing is told, nothing is half done."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.reports import make as report
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import Account, Accounting, OwnTotals, UsageRecord, Window
from foundry_tui.reports.jobs import stored
from foundry_tui.reports.made import Asked, Made, Progress
from foundry_tui.reports.usage.tally import Tally
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.store.history import HistoryError, Past
from tests.reports.joining.test_join import ALONE, held_try, recorded
from tests.store.history.estate import START

HOUR = timedelta(hours=1)
DAY = Window(START, START + timedelta(days=1))


@dataclass
class Books:
    """A source with accounting in parts, some of which fail."""

    name: str
    parts: Sequence[Sequence[UsageRecord] | Exception] = ()
    kind: str = "slurm"
    rejects: tuple[str, ...] = ()
    tree: Sequence[Account] | Exception = ()
    own: OwnTotals | None = None
    asked_for: list[tuple[str, ...] | None] = field(default_factory=list)

    def usage(
        self, window: Window, *, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        self.asked_for.append(users)
        for number, part in enumerate(self.parts, 1):
            if isinstance(part, Exception):
                raise part
            upto = window.start + number * HOUR
            rejects = tuple(safe(words) for words in self.rejects)
            yield Accounting(
                window=Window(window.start, upto), records=tuple(part), rejects=rejects
            )

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        raise AssertionError("a bookkeeper is asked for parts")

    def accounts(self) -> tuple[Account, ...]:
        if isinstance(self.tree, Exception):
            raise self.tree
        return tuple(self.tree)

    def own_totals(self, window: Window) -> OwnTotals | None:
        return self.own


class Reported(Site):
    """A site with these sources, and a history of its own."""

    history: Past | Exception | None = None

    @property
    def past(self) -> Past | None:
        if isinstance(self.history, Exception):
            raise self.history
        return self.history


def site(
    tmp_path: Path, *books: Books, now: datetime = DAY.end, past: Past | Exception | None = None
) -> Reported:
    made = Reported(
        options=Options(),
        config=Config(state_dir=tmp_path / "state"),
        mode="live",
        tell=lambda words: None,
        schedulers={one.name: one for one in books},  # type: ignore[misc]
        clock=lambda: now,
    )
    made.history = past
    return made


def asked(name: str = "usage-by-account", **more: Any) -> Asked:
    return Asked(**{"name": name, "start": DAY.start, "end": DAY.end, **more})


def cells(made: Made) -> list[dict[str, str]]:
    return list(csv.DictReader(made.lines()))


FAILED = Unavailable("sacct", "Problem talking to the database", "ask the admins of slurmdbd")
TWO = (held_try("17", 0, 60), held_try("18", 60, 120, user="bob", account="bio", queue="night"))


def test_a_report_with_all_that_it_stands_on(tmp_path: Path) -> None:
    past = recorded(tmp_path / "h", [(ALONE, {0: 100.0})] * 30 + [(ALONE, {0: 0.0})] * 30)
    alpha = Books("alpha", [[TWO[0]], [TWO[1]]], tree=[Account(name="nlp", parent="root")])
    made = report.make(site(tmp_path, alpha, past=past), asked(), folder=tmp_path / "out")
    by_account = {row["account"]: row for row in cells(made)}
    assert by_account["nlp"]["gpu_allocated_hours"] == "1.0000"
    assert by_account["nlp"]["gpu_active_hours"] == "0.4833"  # the run was first seen a minute in
    assert by_account["nlp"]["gpu_idle_hours"] == "0.5000"
    assert by_account["nlp"]["parent_account"] == "root"
    assert by_account["bio"]["gpu_unknown_hours"] == "1.0000"
    assert by_account["bio"]["gpu_idle_hours"] == ""
    assert made.totals is not None
    assert (made.totals.allocated_s, made.totals.unknown_s) == (7200, 3660)
    assert made.path == tmp_path / "out" / "usage_by_account.csv"
    meta = json.loads((tmp_path / "out" / "usage_by_account.csv.meta.json").read_text())
    assert meta["reconciliation"]["accounting"]["exact"] is True
    assert meta["totals"]["allocated_gpu_s"] == 7200
    assert meta["telemetry"]["resolution_s"] == 60
    assert (made.notes, made.incomplete) == ((), False)
    again = report.make(site(tmp_path, alpha, past=past), asked())
    assert list(again.lines()) == list(made.lines())


def test_r10_rows_that_lose_hours_do_not_reconcile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a row was lost, or its hours were written wrongly: the sidecar notices."""
    alpha = Books("alpha", [[TWO[0]], [TWO[1]]])

    def checked(name: str) -> dict[str, Any]:
        found = report.make(site(tmp_path, alpha), asked(name)).meta
        return dict(found["reconciliation"]["accounting"])

    right = [checked(name) for name in report.OF_RUNS]
    assert [(one["exact"], one["rows_written_hours"]) for one in right] == [(True, "2.0000")] * 3
    whole, hours = Tally.tallied, stored.hours
    monkeypatch.setattr(Tally, "tallied", lambda self: whole(self)[1:])
    monkeypatch.setattr(stored, "hours", lambda milli_s: hours(milli_s // 2))
    for name in report.OF_RUNS:
        found = checked(name)
        assert (found["exact"], found["difference_gpu_ms"]) == (False, -3_600_000), name
        assert (found["rows_gpu_s"], found["accounting_gpu_s"]) == (3600, 7200)


def test_a_source_that_fails_in_the_middle_is_told_of(tmp_path: Path) -> None:
    alpha, beta = Books("alpha", [[TWO[0]], FAILED]), Books("beta", [[]])
    made = report.make(site(tmp_path, alpha, beta), asked())
    assert made.incomplete
    (note,) = [n for n in made.notes if n.startswith("alpha")]
    assert "its rows are missing from 2026-11-21 09:00 UTC on" in note
    assert "ask the admins" in note
    assert [s["answered"] for s in made.meta["sources"]] == [False, True]


def test_without_any_accounting_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="Problem talking to the database"):
        report.make(site(tmp_path, Books("alpha", [FAILED])), asked(), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_tree_of_accounts_may_be_missing(tmp_path: Path) -> None:
    alpha = Books("alpha", [TWO], tree=Unavailable("sacctmgr", "denied", ""))
    made = report.make(site(tmp_path, alpha), asked())
    assert made.row_count == 2
    assert any("parents and quotas" in note for note in made.notes)


def test_a_source_that_hangs_is_waited_for_once(tmp_path: Path) -> None:
    hung = Books("alpha", [FAILED], tree=AssertionError("asked again"))
    made = report.make(site(tmp_path, hung, Books("beta", [[]])), asked())
    assert made.incomplete


def test_rows_that_could_not_be_read_are_counted(tmp_path: Path) -> None:
    made = report.make(site(tmp_path, Books("alpha", [TWO], rejects=("17: bad",))), asked())
    assert made.incomplete
    assert made.meta["rejects"] == {"count": 1, "first": ["alpha: 17: bad"]}


@pytest.mark.parametrize(
    ("only", "left"),
    [
        ({"users": ("bob",)}, {"bio"}),
        ({"accounts": ("nlp",)}, {"nlp"}),
        ({"queues": ("night",)}, {"bio"}),
        ({"users": ("bob",), "accounts": ("nlp",)}, set()),
    ],
)
def test_filters(tmp_path: Path, only: dict[str, Any], left: set[str]) -> None:
    alpha = Books("alpha", [TWO])
    made = report.make(site(tmp_path, alpha), asked(**only))
    assert {row["account"] for row in cells(made)} == left
    assert alpha.asked_for == [only.get("users")]
    assert made.meta["filters"] == {k: list(v) for k, v in only.items()}


def test_nobody_is_named_in_an_anonymous_report(tmp_path: Path) -> None:
    name = safe("secret-model")
    records = [replace(one, name=name, reservation="resv-ada") for one in TWO]
    own = OwnTotals(window=DAY, gpu_s={"nlp": 3600, "bio": 3600}, by="sreport")
    alpha = Books("alpha", [records], rejects=("alice: bad",), own=own)
    found = {}
    for kind in ("usage-by-account", "usage-by-user", "jobs"):
        where = site(tmp_path, alpha)
        told = asked(kind, anonymise=True, command=("foundry", "report", kind, "--user", "alice"))
        made = report.make(where, told, folder=tmp_path / "out")
        assert made.path is not None
        for path in (made.path, made.path.with_name(made.path.name + ".meta.json")):
            text = path.read_text()
            for word in ("alice", "bob", "nlp", "bio", "secret-model", "resv-ada"):
                assert word not in text, f"{word} in {path.name}"
        found[kind] = list(made.lines())
        assert list(report.make(where, told).lines()) == found[kind], "the same names again"
    salt = tmp_path / "state" / "report-salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["usage-by-account", "usage-by-user", "jobs"])
def test_r16_a_project_is_who_is_charged(tmp_path: Path, kind: str) -> None:
    project = held_try("w", 0, 60, account=None, queue="vision", node_pool="a100-pool")
    tenant = Books("alpha", [[project]], kind="runai")
    (row,) = cells(report.make(site(tmp_path, tenant), asked(kind, queues=("vision",))))
    assert (row["account"], row["partition"]) == ("vision", "a100-pool")
    cluster = Books("alpha", [[replace(project, node_pool=None)]])
    (row,) = cells(report.make(site(tmp_path, cluster), asked(kind)))
    assert (row["account"], row["partition"]) == ("", "vision")


def test_prices_that_cannot_be_used_are_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("gpu_type,price\n")
    with pytest.raises(WrongUse, match=r"--prices: .*p.csv: no column price_per_gpu_hour"):
        report.make(site(tmp_path, Books("alpha", [TWO])), asked(prices=tmp_path / "p.csv"))


def test_a_report_with_prices(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "gpu_type,price_per_gpu_hour,currency,valid_from_utc,valid_to_utc\n"
        "h100,2.50,EUR,,2026-11-21T08:30:00Z\nh100,1.00,EUR,2026-11-21T08:30:00Z,\n"
    )
    made = report.make(
        site(tmp_path, Books("alpha", [TWO])), asked(prices=tmp_path / "p.csv", accounts=("nlp",))
    )
    assert [row["cost_allocated"] for row in cells(made)] == ["1.25", "0.50"]
    jobs = report.make(
        site(tmp_path, Books("alpha", [TWO])), asked("jobs", prices=tmp_path / "p.csv")
    )
    assert [row["cost"] for row in cells(jobs)] == ["1.75", "1.00"]


@pytest.mark.parametrize("name", report.OF_RUNS)
def test_an_empty_window_and_one_to_come_give_a_file_without_rows(
    tmp_path: Path, name: str
) -> None:
    past = recorded(tmp_path / "h", [(ALONE, {0: 100.0})] * 3)
    where = site(tmp_path, Books("alpha", [[]]), past=past)
    empty = report.make(where, asked(name, end=DAY.start), folder=tmp_path / "out")
    assert empty.row_count == 0
    assert "empty" in empty.notes[0]
    later = DAY.end + HOUR
    ahead = report.make(where, asked(name, start=later, end=later + HOUR), folder=tmp_path / "out")
    assert ahead.row_count == 0
    assert "yet to come" in ahead.notes[0]
    assert len(list(ahead.lines())) == 1


def test_an_end_before_the_start_names_the_options(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="--from, --to: window: ends at"):
        report.make(site(tmp_path, Books("alpha")), asked(end=DAY.start - HOUR))


def test_a_history_that_cannot_be_read_makes_all_unknown(tmp_path: Path) -> None:
    where = site(tmp_path, Books("alpha", [TWO]), past=HistoryError("history.sqlite: damaged"))
    made = report.make(where, asked())
    assert made.totals is not None
    assert made.totals.unknown_s == made.totals.allocated_s == 7200
    assert any("damaged" in note for note in made.notes)
    assert made.meta["telemetry"]["reason"] == "history.sqlite: damaged"


def test_given_up_means_nothing_is_written(tmp_path: Path) -> None:
    told: list[Progress] = []
    alpha = Books("alpha", [[TWO[0]], [TWO[1]]])
    with pytest.raises(report.Stopped, match="nothing was written"):
        report.make(
            site(tmp_path, alpha),
            asked(),
            folder=tmp_path / "out",
            told=told.append,
            stop=lambda: len(told) > 1,
        )
    assert not (tmp_path / "out").exists()
    assert all(0 <= one.done <= 1 for one in told)


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ActionError, match="a file stands where the folder should be"):
        report.make(site(tmp_path, Books("alpha", [TWO])), asked("jobs"), folder=tmp_path / "out")


@pytest.mark.parametrize("name", report.OF_STATE)
def test_a_filter_that_means_nothing_is_wrong_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUse, match="--user: the report"):
        report.make(site(tmp_path, Books("alpha")), asked(name, users=("ada",)))


@pytest.mark.parametrize("name", ["gpu-health", "capacity"])
def test_reports_of_gpus_need_a_history(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceMissing, match="no history yet"):
        report.make(site(tmp_path, Books("alpha")), asked(name))


def test_reports_of_gpus_from_a_history(tmp_path: Path) -> None:
    past = recorded(tmp_path / "h", [(ALONE, {0: 100.0, 1: 0.0})] * 30)
    where = site(tmp_path, Books("alpha", [TWO]), past=past)
    health = report.make(where, asked("gpu-health"), folder=tmp_path / "out")
    assert [row["busy_hours"] for row in cells(health)] == ["0.5000", "0.0000"]
    capacity = report.make(where, asked("capacity"), folder=tmp_path / "out")
    assert health.totals is capacity.totals is None
    total = sum(float(r["gpus_total_hours"] or 0) for r in cells(capacity) if not r["partition"])
    assert total == pytest.approx(1.0, abs=0.01)


def test_the_rows_to_look_at_are_limited_and_the_file_is_not(tmp_path: Path) -> None:
    made = report.make(site(tmp_path, Books("alpha", [TWO])), asked("jobs"), most=1)
    assert (len(made.rows), made.row_count, len(cells(made))) == (1, 2, 2)


def test_an_unknown_report_and_an_unknown_period(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="there are usage-by-account"):
        report.make(site(tmp_path, Books("alpha")), asked("costs"))
    with pytest.raises(WrongUse, match="--by 'year': give hour"):
        report.make(site(tmp_path, Books("alpha")), asked(by="year"))
