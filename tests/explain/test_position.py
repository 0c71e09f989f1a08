"""Who is ahead, how long their work lasts, and what the words for numbers are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.estate.run import Run
from foundry_tui.explain import fit, position, say
from foundry_tui.explain.case import Case
from foundry_tui.explain.fit import Demand
from tests.explain.made import NOW, asks, estate, later, running, waiting


def case_of(*runs: Run) -> Case:
    return Case(run=runs[0], snapshot=estate(*runs), details={}, rights=None, now=NOW)


def test_higher_priority_and_at_a_tie_the_older_run_is_ahead() -> None:
    run = waiting("17", "Priority")
    snapshot = estate(
        run,
        waiting("30", priority=1500),
        waiting("9", priority=1000),
        waiting("100", priority=1000),
        waiting("8", priority=999),
    )
    assert [r.native_id for r in position.ahead(run, snapshot)] == ["30", "9"]


def test_runs_that_cannot_start_let_others_pass() -> None:
    run = waiting("17", "Priority")
    snapshot = estate(
        run,
        waiting("1", "JobHeldUser", priority=5000, held=True),
        waiting("2", "Dependency", priority=5000),
        waiting("3", "AssocGrpGRES", priority=5000),
        waiting("4", "Resources", priority=5000, queue="a100"),
        running("5", {"h1": 1}, priority=5000),
        replace(waiting("6", priority=5000), source="other", id="other/6"),
    )
    assert position.ahead(run, snapshot) == ()


def test_work_is_nodes_times_time_limit_over_the_nodes_of_the_queue() -> None:
    """As slurmctld delays a what-if: (2 nodes x 20 min + 3 x 1 node x 60 min) / 2 nodes."""
    runs = [waiting("1", request=asks(16, nodes=2, minutes=20))]
    runs += [waiting(str(i), request=asks(1)) for i in range(2, 5)]
    case = case_of(*runs)
    assert position.work_s(case, case.queues[0], runs) == 110 * 60
    assert position.work_s(case, case.queues[0], [replace(runs[0], priority=0)]) == 0


def test_ended_runs_leave_their_room() -> None:
    ended = running("1", {"h1": 8})
    case = case_of(waiting(), ended, running("2", {"h2": 8}))
    wanted = fit.demand(case)
    rooms = fit.rooms(case, case.nodes_of(*case.queues), wanted)
    assert not fit.enough(rooms, wanted, now=True)
    after = position.without(case, [ended])
    rooms = fit.rooms(after, after.nodes_of(*after.queues), wanted)
    assert [r.node.name for r in rooms if r.fits] == ["h1"]
    assert rooms[0].node.cpu_milli_allocated == 0


def test_nodes_are_promised_only_to_runs_that_suit_them() -> None:
    ahead = waiting("1", priority=5000, queue="gpu", request=asks(2, gpu_model="a100"))
    assert position.promised(case_of(waiting(), ahead)) == {"a1"}
    behind = replace(ahead, priority=5)
    assert position.promised(case_of(waiting(), behind)) == frozenset()


def test_fair_share_is_told_where_quotas_are_known() -> None:
    quota = {"quota_gpu_milli": 4000, "allocated_gpu_milli": 5500, "fair_share_gpu_milli": 4500}
    snapshot = estate(waiting(), queues={"h100": quota})
    assert position.fair_share(waiting(), snapshot) == (
        "partition h100 holds 5.5 GPU; its quota is 4 GPUs, its fair share now 4.5 GPU"
    )
    assert position.fair_share(waiting(), estate(waiting())) is None


@pytest.mark.parametrize(
    ("hosts", "node", "named"),
    [
        ("h1", "h1", True),
        ("h1", "h11", False),
        ("a1,h[01-03,07]", "h02", True),
        ("h[01-03,07]", "h07", True),
        ("h[01-03,07]", "h04", False),
        ("h[01-03]", "h2", False),
        ("h[01-03]", "rack", False),
        ("", "h1", False),
    ],
)
def test_host_lists(hosts: str, node: str, named: bool) -> None:
    assert fit.named(hosts, node) is named


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [("", True), ("ib", True), ("ib&nv", True), ("ib&x", False), ("x|nv", True), ("[x|y]", True)],
)
def test_features(wanted: str, offered: bool) -> None:
    assert fit.offers(("ib", "nv"), wanted) is offered


def test_a_node_that_is_insisted_on_counts_beside_others() -> None:
    case = case_of(waiting(request=asks(2, nodes=2)), running("1", {"h1": 8}))
    wanted = Demand(nodes=1, gpus=1, milli=1000, required="h1")
    rooms = fit.rooms(case, case.nodes_of(*case.queues), wanted)
    assert [r.node.name for r in rooms if r.lacks is None] == ["h1"]
    both = replace(wanted, nodes=2)
    rooms = fit.rooms(case, case.nodes_of(*case.queues), both)
    assert all(r.lacks is None for r in rooms)
    assert not fit.enough(rooms, both, now=True)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(45, "45 s"), (60, "1 min"), (5400, "1 h 30 min"), (7200, "2 h"), (694_800, "8 days 1 h")],
)
def test_spans(seconds: int, words: str) -> None:
    assert say.span(seconds) == words


def test_names_and_times() -> None:
    runs = [waiting(str(i)) for i in range(1, 6)]
    assert say.runs(runs) == "runs 1, 2, 3 and 2 more"
    assert say.runs(runs[:1]) == "run 1"
    assert say.gpus(250) == "0.25 GPU"
    assert say.gpus(1000) == "1 GPU"
    assert say.clock(later(60), NOW) == "13:00 UTC"
    assert say.clock(later(60 * 24), NOW) == "2026-03-02 12:00 UTC"
    assert say.size(512 << 20) == "512 MiB"
