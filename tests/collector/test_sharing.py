"""Many processes, one collector: who reads, who is told, and when each has to read for itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from foundry_tui.collector.backoff import SOONEST_S
from foundry_tui.collector.collect import Collector
from foundry_tui.collector.lead import Lead, Leader
from foundry_tui.collector.publish import (
    ESTATE,
    READINGS,
    Board,
    IdleMark,
    Measured,
    Standing,
    boot_id,
)
from foundry_tui.collector.service import Hidden
from foundry_tui.collector.sharing import BEAT_S, HUNG_S, LOOK_S, START_S, Role, Sharing
from foundry_tui.collector.sweep import KEPT_S, STEP_S, Meter, Sweeps
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerReader, Unavailable
from foundry_tui.store.snapshots import Snapshots
from tests.collector.shared import NOW, Clock, Gauge, Reader, swept

RUN = Run(
    id="lab/1", native_id="1", source="lab", scheduler="slurm", name=safe("secret-project"),
    state=RunState.RUNNING, user="ada", started_at=NOW - timedelta(hours=1),
)  # fmt: skip


@dataclass
class Process:
    """One process of the user, with a reader and a source of readings of its own."""

    sharing: Sharing
    reader: Reader
    gauge: Gauge
    clock: Clock
    name: str = ""
    asked: list[int] = field(default_factory=list)

    def collect(self) -> Mapping[str, SourceState]:
        found = self.sharing.collect(patience_s=1.0)
        return {s.name: s.state for s in found.sources}

    @property
    def role(self) -> Role:
        return self.sharing.role


def process(
    folder: Path,
    clock: Clock,
    *,
    stays: bool = True,
    estate: str = "e",
    shared: Callable[[], tuple[Board | None, str]] | None = None,
    hidden: Callable[[], Mapping[str, Hidden]] | None = None,
    mode: int = 0o600,
) -> Process:
    reader = Reader("lab", clock, runs=(RUN,))
    gauge = Gauge(swept(clock.wall(), 40.0, source="agents"), name="agents")
    sweeps = Sweeps([Meter(gauge)], clock.wall, monotonic=clock.monotonic)
    readers: list[SchedulerReader] = [reader]  # type: ignore[list-item]
    private = folder / "private" if hidden else folder
    private.mkdir(exist_ok=True, mode=0o700)
    collector = Collector(
        readers, clock.wall, store=Snapshots(private), sweeps=sweeps, monotonic=clock.monotonic
    )
    made = Sharing(
        collector,
        clock.wall,
        estate,
        board=Board(folder, clock.wall, mode=mode, monotonic=clock.monotonic),
        lead=Lead(folder, clock.wall),
        shared=shared,
        hidden=hidden,
        monotonic=clock.monotonic,
        stays=stays,
    )
    return Process(made, reader, gauge, clock)


def test_one_reads_and_a_hundred_follow(tmp_path: Path) -> None:
    clock = Clock()
    leader = process(tmp_path, clock)
    leader.collect()
    followers = [process(tmp_path, clock) for _ in range(100)]
    for _ in range(4):
        for one in followers:
            assert one.collect()["lab"] is SourceState.OK
        clock.seconds += 36.0
        leader.sharing.stirred()
        leader.collect()
    assert leader.reader.calls == 5
    assert sum(one.reader.calls for one in followers) == 0
    assert sum(len(one.gauge.asked) for one in followers) == 0
    assert {one.role for one in followers} == {Role.FOLLOWER}


def test_a_follower_shows_what_the_leader_would(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.sharing.collector.idle = lambda: (
        IdleMark(source="lab", node="h01", index=0, since=NOW - timedelta(hours=2)),
    )
    leader.gauge.sweep = swept(clock.wall(), 0.0, source="agents")
    mine = leader.sharing.collect(patience_s=1.0)
    theirs = follower.sharing.collect(patience_s=1.0)
    assert theirs == mine
    assert theirs.gpus[0].util_pct == 0.0
    assert theirs.gpus[0].measured_by == "agents"
    assert theirs.gpus[0].idle_since == RUN.started_at, "it was idle before this run held it"
    assert "pid" in str(follower.sharing.words())
    assert leader.sharing.words() is None


def test_news_are_noticed_and_silence_is_not_drawn(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    follower.collect()
    assert not follower.sharing.stirred()
    clock.seconds += BEAT_S
    leader.sharing.stirred()
    assert not follower.sharing.stirred(), "a sign of life is nothing to draw"
    clock.seconds += 36.0
    leader.sharing.stirred()
    leader.collect()
    assert follower.sharing.stirred()
    follower.collect()
    assert not follower.sharing.stirred()


def test_when_the_leader_goes_the_next_look_takes_over(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    follower.collect()
    leader.sharing.resign()
    assert follower.sharing.stirred()
    assert follower.role is Role.LEADER
    follower.collect()
    assert follower.reader.calls == 1
    assert leader.collect()["lab"] is SourceState.OK
    assert leader.role is Role.FOLLOWER


def test_a_leader_that_hangs_is_passed_over_and_comes_back(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    follower.collect()
    clock.seconds += HUNG_S
    assert follower.sharing.stirred()
    assert follower.collect()["lab"] is SourceState.OK
    assert (follower.role, follower.reader.calls) == (Role.ALONE, 1)
    assert "no sign of life" in str(follower.sharing.words())
    leader.sharing.stirred()
    assert follower.sharing.stirred()
    follower.collect()
    assert (follower.role, follower.reader.calls) == (Role.FOLLOWER, 1)


def test_what_a_killed_leader_left_half_written_is_taken_away(tmp_path: Path) -> None:
    half = [tmp_path / f".{name}.x1y2z3" for name in (ESTATE, READINGS)]
    for path in half:
        path.write_bytes(b"{" * 1000)
    mine = tmp_path / ".notes.json.keep"
    mine.touch()
    process(tmp_path, Clock()).collect()
    assert [path.exists() for path in half] == [False, False]
    assert mine.exists()


def test_signs_of_life_come_also_while_no_source_is_due(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    leader.reader.error = Unavailable("squeue", "no answer")
    for _ in range(60):
        clock.seconds += LOOK_S
        leader.sharing.stirred()
        follower.sharing.stirred()
        assert follower.role is Role.FOLLOWER
    assert follower.reader.calls == 0


def test_a_leader_that_has_just_begun_is_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    lead = Lead(tmp_path, clock.wall)
    assert lead.take()
    follower = process(tmp_path, clock)
    assert follower.collect()["lab"] is SourceState.STALE
    assert (follower.role, follower.reader.calls) == (Role.FOLLOWER, 0)
    clock.seconds += START_S
    assert follower.sharing.stirred()
    assert follower.collect()["lab"] is SourceState.OK
    assert (follower.role, follower.reader.calls) == (Role.ALONE, 1)


def test_another_configuration_is_not_followed(tmp_path: Path) -> None:
    clock = Clock()
    leader = process(tmp_path, clock)
    leader.collect()
    other = process(tmp_path, clock, estate="another")
    assert other.collect()["lab"] is SourceState.OK
    assert (other.role, other.reader.calls) == (Role.ALONE, 1)
    assert "another configuration" in str(other.sharing.words())


def test_after_an_act_a_follower_reads_itself_once(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    follower.collect()
    clock.seconds += 5.0
    follower.reader.runs = (replace(RUN, state=RunState.CANCELLED),)
    follower.sharing.hurry()
    assert follower.sharing.wait_s() == 0.0
    seen = follower.sharing.collect(patience_s=1.0)
    assert [r.state for r in seen.runs] == [RunState.CANCELLED]
    # What the leader was reading at the time of the act may be older than it looks.
    clock.seconds += 1.0
    late = leader.reader.snapshot()
    leader.sharing.collector.store.save("lab", late)  # type: ignore[union-attr]
    seen = follower.sharing.collect(patience_s=1.0)
    assert [r.state for r in seen.runs] == [RunState.CANCELLED]
    assert follower.reader.calls == 1
    clock.seconds += 36.0
    leader.sharing.stirred()
    leader.reader.runs = ()
    leader.collect()
    assert follower.sharing.collect(patience_s=1.0).runs == ()
    assert follower.role is Role.FOLLOWER
    follower.sharing.hurry()
    follower.sharing.hurry()
    assert follower.sharing.wait_s() <= SOONEST_S


def test_a_source_that_is_down_is_down_for_the_followers_too(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    leader.reader.error = Unavailable("squeue", "no answer")
    clock.seconds += 40.0
    leader.collect()
    seen = follower.sharing.collect(patience_s=1.0)
    source = next(s for s in seen.sources if s.name == "lab")
    assert (source.state, source.age_s(clock.wall())) == (SourceState.DOWN, 40.0)
    assert "no answer" in str(source.reason)
    assert len(seen.runs) == 1, "the last good data stays"


@pytest.mark.parametrize("jump_s", [-7200.0, 7200.0])
def test_a_clock_that_jumps_does_no_lasting_harm(tmp_path: Path, jump_s: float) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    follower.collect()
    wall = lambda: Clock(clock.seconds + jump_s).wall()  # noqa: E731
    for one in (leader, follower):
        one.sharing.clock = wall
        one.sharing.collector.clock = wall
        assert one.sharing.board is not None
        one.sharing.board.clock = wall
        one.reader.clock = Clock(clock.seconds + jump_s)
    follower.sharing.stirred()
    assert follower.collect()["lab"] is not SourceState.DOWN
    clock.seconds += 40.0
    leader.reader.clock = Clock(clock.seconds + jump_s)
    leader.sharing.stirred()
    leader.collect()
    assert follower.sharing.stirred() or follower.role is Role.FOLLOWER
    assert follower.collect()["lab"] is SourceState.OK
    assert follower.role is Role.FOLLOWER


def test_a_full_disk_costs_the_leader_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()

    def full(*args: object, **given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foundry_tui.collector.publish.replace_own", full)
    monkeypatch.setattr("foundry_tui.store.snapshots.replace_own", full)
    clock.seconds += 40.0
    leader.sharing.stirred()
    assert leader.collect()["lab"] is SourceState.OK
    assert leader.role is Role.LEADER
    assert follower.collect()["lab"] is SourceState.OK
    assert (follower.role, follower.reader.calls) == (Role.ALONE, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_a_forged_publication_is_not_followed(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    leader.collect()
    for path in tmp_path.glob("*.json"):
        os.chown(path, 12345, 12345)
    assert follower.collect()["lab"] is SourceState.OK
    assert (follower.role, follower.reader.calls) == (Role.ALONE, 1)
    assert "uid 12345" in str(follower.sharing.words())


# -- commands that end


def test_a_command_reads_the_scheduler_and_takes_readings_that_are_there(tmp_path: Path) -> None:
    clock = Clock()
    leader = process(tmp_path, clock)
    leader.collect()
    clock.seconds += 20.0
    command = process(tmp_path, clock, stays=False)
    seen = command.sharing.collect()
    assert (command.reader.calls, command.gauge.asked) == (1, [])
    assert seen.gpus[0].util_pct == 40.0
    clock.seconds += 2 * STEP_S + 1.0
    late = process(tmp_path, clock, stays=False)
    late.sharing.collect()
    assert late.gauge.asked == [("h01",)], "the publication is too old"


def test_a_command_never_leads(tmp_path: Path) -> None:
    clock = Clock()
    command = process(tmp_path, clock, stays=False)
    command.sharing.collect()
    assert not command.sharing.stirred()
    assert Lead(tmp_path, clock.wall).take()


# -- the collector of the whole host


def served(folder: Path, clock: Clock) -> Callable[[], tuple[Board | None, str]]:
    return lambda: (
        Board(folder, clock.wall, owners={os.geteuid()}, monotonic=clock.monotonic), "foundry",
    )  # fmt: skip


def a_service(folder: Path, clock: Clock, hidden: Hidden) -> Process:
    folder.mkdir(mode=0o750, exist_ok=True)
    return process(folder, clock, hidden=lambda: {"lab": hidden}, mode=0o640)


def test_viewers_of_the_hosts_collector_read_nothing_and_lead_nobody(tmp_path: Path) -> None:
    clock = Clock()
    shared = a_service(tmp_path / "srv", clock, Hidden())
    shared.collect()
    viewers = []
    for number in range(20):
        home = tmp_path / f"user{number}"
        home.mkdir()
        viewer = process(home, clock, shared=served(tmp_path / "srv", clock), estate=str(number))
        viewer.collect()
        viewers.append(viewer)
        assert Lead(home, clock.wall).take()
    assert {one.role for one in viewers} == {Role.VIEWER}
    assert sum(one.reader.calls + len(one.gauge.asked) for one in viewers) == 0
    assert "shared by" in str(viewers[0].sharing.words())
    for path in (tmp_path / "srv").glob("*.json"):
        assert path.stat().st_mode & 0o777 == 0o640


def test_a_viewer_of_one_source_sees_only_that(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "srv").mkdir(mode=0o750)
    shared = process(tmp_path / "srv", clock, hidden=dict, mode=0o640)
    more: list[SchedulerReader] = [shared.reader, Reader("two", clock)]  # type: ignore[list-item]
    shared.sharing.collector = Collector(
        more, clock.wall, sweeps=shared.sharing.collector.sweeps, monotonic=clock.monotonic
    )
    shared.collect()
    (tmp_path / "home").mkdir()
    viewer = process(tmp_path / "home", clock, shared=served(tmp_path / "srv", clock))
    seen = viewer.sharing.collect(patience_s=1.0)
    assert viewer.role is Role.VIEWER
    assert {n.source for n in seen.nodes} == {"lab"}
    assert seen.gpus[0].how is not None


def test_when_the_hosts_collector_falls_silent_the_user_has_his_own(tmp_path: Path) -> None:
    clock = Clock()
    shared = a_service(tmp_path / "srv", clock, Hidden())
    shared.collect()
    (tmp_path / "home").mkdir()
    viewer = process(tmp_path / "home", clock, shared=served(tmp_path / "srv", clock))
    viewer.collect()
    clock.seconds += HUNG_S
    assert viewer.sharing.stirred()
    viewer.collect()
    assert (viewer.role, viewer.reader.calls) == (Role.LEADER, 1)
    shared.sharing.stirred()
    assert viewer.sharing.stirred()
    viewer.collect()
    assert viewer.role is Role.VIEWER
    assert Lead(tmp_path / "home", clock.wall).take(), "the lock was given back"


def test_what_is_private_is_not_published_and_viewers_ask_themselves(tmp_path: Path) -> None:
    clock = Clock()
    hidden = Hidden(runs="PrivateData hides jobs")
    shared = a_service(tmp_path / "srv", clock, hidden)
    shared.collect()
    (tmp_path / "home").mkdir()
    viewer = process(tmp_path / "home", clock, shared=served(tmp_path / "srv", clock))
    seen = viewer.sharing.collect(patience_s=1.0)
    assert (viewer.role, viewer.reader.calls, viewer.gauge.asked) == (Role.LEADER, 1, [])
    assert seen.gpus[0].util_pct == 40.0, "the readings are the host's"
    for path in (tmp_path / "srv").iterdir():
        if path.is_file():
            text = path.read_text()
            assert not any(word in text for word in ("secret-project", "ada", "lab/1")), path


def test_what_becomes_private_is_taken_away(tmp_path: Path) -> None:
    clock = Clock()
    shared = a_service(tmp_path / "srv", clock, Hidden())
    shared.collect()
    snapshots = Snapshots(tmp_path / "srv")
    assert snapshots.load("lab").snapshot is not None
    assert (tmp_path / "srv" / ESTATE).exists()
    shared.sharing.hidden = lambda: {"lab": Hidden(runs="PrivateData hides jobs")}
    clock.seconds += BEAT_S
    shared.sharing.stirred()
    assert not snapshots.path("lab").exists()
    assert not (tmp_path / "srv" / ESTATE).exists()


def test_readings_of_an_earlier_service_do_not_outlive_what_is_hidden_now(tmp_path: Path) -> None:
    clock = Clock()
    earlier = a_service(tmp_path / "srv", clock, Hidden())
    earlier.collect()
    earlier.sharing.resign()
    assert (tmp_path / "srv" / READINGS).exists()
    later = a_service(tmp_path / "srv", clock, Hidden(runs="PrivateData hides jobs"))
    later.sharing.stirred()
    assert not (tmp_path / "srv" / READINGS).exists()
    later.collect()
    assert (tmp_path / "srv" / READINGS).exists()


def test_a_service_of_another_cluster_of_the_same_name_is_not_believed(tmp_path: Path) -> None:
    clock = Clock()
    shared = a_service(tmp_path / "srv", clock, Hidden())
    shared.sharing.where = {"lab": "/etc/slurm/slurm.conf"}
    shared.collect()
    roles: dict[str, Role] = {}
    for conf in ("/etc/slurm/slurm.conf", "/opt/other/slurm.conf", ""):
        home = tmp_path / f"home{len(roles)}"
        home.mkdir()
        viewer = process(home, clock, shared=served(tmp_path / "srv", clock))
        viewer.sharing.where = {"lab": conf} if conf else {}
        viewer.collect()
        roles[conf] = viewer.role
    assert roles == {
        "/etc/slurm/slurm.conf": Role.VIEWER,
        "/opt/other/slurm.conf": Role.LEADER,
        "": Role.VIEWER,
    }


def test_the_readings_of_private_nodes_are_not_published(tmp_path: Path) -> None:
    clock = Clock()
    shared = a_service(tmp_path / "srv", clock, Hidden(runs="PrivateData hides nodes", nodes=True))
    shared.collect()
    told = Board(tmp_path / "srv", clock.wall, monotonic=clock.monotonic).measured(KEPT_S)
    assert told is not None
    assert told.readings == ()


def test_a_service_that_was_replaced_by_a_stranger_is_ignored(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "srv").mkdir()
    board = Board(tmp_path / "srv", clock.wall, monotonic=clock.monotonic)
    lies = Standing(
        at=clock.wall(), boot=boot_id(), monotonic_s=clock.monotonic(),
        leader=Leader(user="x", host="x", pid=1, since=NOW), estate="e", shared=("lab",),
    )  # fmt: skip
    board.publish(lies, Measured())
    board.snapshots.save("lab", Reader("lab", clock).snapshot())
    viewer = process(
        tmp_path, clock,
        shared=lambda: (
            Board(tmp_path / "srv", clock.wall, owners={4242}, monotonic=clock.monotonic), "x",
        ),
    )  # fmt: skip
    viewer.collect()
    assert viewer.role is Role.LEADER
