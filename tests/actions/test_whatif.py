"""A submit to Run:ai or KAI: room now, else the smallest change that starts it, asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from foundry_tui.actions import draft as drafts
from foundry_tui.actions.act import Prepared
from foundry_tui.actions.draft import Draft
from foundry_tui.actions.site import Options, Site
from foundry_tui.actions.sources import Scheduler
from foundry_tui.actions.whatif import Room, room
from foundry_tui.config.model import Config
from foundry_tui.estate.acts import Preview, PreviewItem, Submit
from foundry_tui.estate.rights import Association, Rights
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.simulated import build
from tests.explain.pods import NOW, node, queues, snapshot
from tests.schedulers.simulated.conftest import Clock


class Cluster:
    """A KAI that shows one estate and lets alice into team-a and team-b."""

    name, kind = "kai", "kai"

    def __init__(self, seen: Snapshot | None, *, tells_rights: bool = True) -> None:
        self.seen, self.tells_rights, self.read = seen, tells_rights, 0

    def snapshot(self) -> Snapshot:
        self.read += 1
        if self.seen is None:
            raise Unavailable("kai", "not reached")
        return self.seen

    def rights(self, user: str | None = None) -> Rights:
        if not self.tells_rights:
            raise Unavailable("kai", "not reached")
        both = (Association(account="team-a"), Association(account="team-b"))
        return Rights(user="alice", admin=False, associations=both)


def site_of(cluster: Any) -> Site:
    return Site(
        options=Options(),
        config=Config(),
        mode="live",
        tell=lambda words: None,
        schedulers={cluster.name: cast(Scheduler, cluster)},
        clock=lambda: NOW,
    )


def prepared(*options: str, refusal: str | None = None) -> Prepared:
    """A submit to team-a, as it was previewed."""
    act = Submit(
        source="kai",
        script=b"sleep 1\n",
        script_name="train.sh",
        options=("--project=team-a", *options),
    )
    told = None if refusal is None else SafeText(refusal)
    item = PreviewItem(target="train.sh", command=("POST", "/x", "{}"), refusal=told)
    return Prepared(source="kai", preview=Preview(act=act, items=(item,)), token="t", user="alice")


FULL = node("gpu00", (1000, 1000, 1000, 1000))
BUSY = snapshot(FULL, node("gpu01", (0, 0, 600, 1000)))


def test_there_is_room_now() -> None:
    cluster = Cluster(snapshot())
    found = room(site_of(cluster), prepared("--gpu-devices-request=4"))
    assert (found, cluster.read) == (Room(None), 1)
    assert room(site_of(cluster), prepared("-g=1", "--workers=8")) == Room(None)
    assert room(site_of(cluster), prepared()) == Room(None), "no GPU is asked for"


@pytest.mark.parametrize(
    ("options", "obstacle", "change", "instead"),
    [
        (
            ("-g=4",),
            "it would wait: no node has 4 GPUs free for it: the most on one is 2",
            "ask for 2 GPUs instead of 4",
            ("-g=2",),
        ),
        (
            ("-g=2", "--workers=3"),
            "it would wait: it starts with all 3 pods at once, and now there is room for 1",
            "start it with 1 pod instead of 3",
            ("-g=2", "--workers=1"),
        ),
        (
            ("-g=8",),
            "it can never start: it asks for 8 GPUs on one node",
            "ask for 2 GPUs instead of 8",
            ("-g=2",),
        ),
    ],
)
def test_the_smallest_change_starts_it_when_it_is_asked_for(
    options: tuple[str, ...], obstacle: str, change: str, instead: tuple[str, ...]
) -> None:
    site = site_of(Cluster(BUSY))
    found = room(site, prepared(*options))
    assert found is not None and found.obstacle is not None
    assert found.obstacle.startswith(obstacle)
    assert change in found.changes
    assert room(site, prepared(*instead)) == Room(None)


def test_a_quota_names_another_queue_of_the_user_where_the_source_tells_them() -> None:
    tree = queues(team_a={"allocated_gpu_milli": 4000, "allocated_non_preemptible_gpu_milli": 4000})
    asked = prepared("-g=1", "--preemptibility=non-preemptible")
    cluster = Cluster(snapshot(tree=tree))
    found = room(site_of(cluster), asked)
    assert found is not None
    assert found.obstacle == (
        "it would wait: queue team-a has a quota of 4 GPUs and holds 4 GPUs; "
        "this run asks for 1 GPU"
    )
    assert found.changes == (
        "make it preemptible: it may borrow then, and can be stopped for its owners",
        "submit it to team-b, which has room for it",
    )
    assert room(site_of(cluster), prepared("-g=1")) == Room(None), "preemptible, it may borrow"
    cluster.tells_rights = False
    alone = room(site_of(cluster), asked)
    assert alone is not None
    assert alone.changes == found.changes[:1]


def test_the_estate_that_is_on_the_screen_is_not_read_again() -> None:
    cluster = Cluster(None)
    assert room(site_of(cluster), prepared("-g=1"), snapshot()) == Room(None)
    assert cluster.read == 0


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert room(site_of(Cluster(None)), prepared("-g=1")) is None
    blind = Snapshot(generated_at=NOW)
    assert room(site_of(Cluster(blind)), prepared("-g=1")) is None
    assert room(site_of(Cluster(snapshot())), prepared("--gres=gpu:1")) is None
    assert room(site_of(Cluster(snapshot())), prepared("-g=1", refusal="no")) is None


def test_slurm_tells_starts_itself_and_a_simulated_run_ai_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "train.sh").write_text("#!/bin/sh\nsleep 60\n")
    sources = build(None, Clock())
    site = Site(
        options=Options(),
        config=Config(state_dir=tmp_path / "state"),
        mode="live",
        tell=lambda words: None,
        schedulers={source.name: source for source in sources},
        clock=sources[0].now,
    )

    def start(source: str, options: str) -> drafts.Start:
        draft = Draft(source=source, script="train.sh", options=options)
        return drafts.estimate(site, drafts.prepare(site, draft, unlinked=True))

    assert start("sim-slurm", "--partition=short").room is None
    tiny = start("sim-runai", "--project=vision --gpu-portion-request=0.1").room
    assert tiny == Room(None)
    wide = start("sim-runai", "--project=vision --gpu-devices-request=8 --workers=30").room
    assert wide is not None and wide.obstacle is not None
    assert wide.obstacle.startswith("it can never start")
