"""How a site shares: what it opens, who follows whom, and what the doctor says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from foundry_tui.actions import collecting, sharing
from foundry_tui.actions.checked import sharing_lines
from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options, Site, down, silent_meters
from foundry_tui.collector.publish import STANDING
from foundry_tui.collector.sweep import Meter
from foundry_tui.config.model import Collecting, Config
from foundry_tui.config.sources import SlurmConfig, TelemetryConfig
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.schedulers.ports import Probe
from foundry_tui.store.history import Past
from foundry_tui.telemetry.ports import Found, Sweep
from tests.collector.fakeslurm import FakeSlurm


@dataclass
class Silent:
    """A source of readings that never answers."""

    name: str = "agents"
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def read(self, nodes: Sequence[str], deadline_s: float) -> Sweep:
        self.asked.append(tuple(nodes))
        down = SourceState.DOWN
        return Sweep(source=Source(name=self.name, kind="telemetry", state=down, reason="refused"))

    def probe(self, nodes: Sequence[str]) -> tuple[Found, ...]:
        return ()

    def close(self) -> None:
        pass


@pytest.fixture
def slurm(tmp_path: Path) -> FakeSlurm:
    return FakeSlurm.made(tmp_path / "slurm")


def a_site(slurm: FakeSlurm, folder: Path, **given: object) -> Site:
    config = Config(
        cache_dir=folder / "cache",
        state_dir=folder / "state",
        slurm=(
            SlurmConfig(name="lab", bin=slurm.folder / "bin", conf=slurm.folder / "slurm.conf"),
        ),
        collector=Collecting(shared=folder / "srv", folder=folder / "cache" / "history"),
    )
    config = replace(config, **given)  # type: ignore[arg-type]
    site = Site(options=Options(), config=config, mode="live", tell=lambda words: None)
    from foundry_tui.actions.sources import live

    site.schedulers = live(config, site.clock)
    return site


def lines(site: Site) -> dict[str, Probe]:
    """What the doctor says of the collecting, by what was looked for."""
    found = next(probes for name, _, probes in sharing_lines(site) if name == "collector")
    return {probe.what: probe for probe in found}


def test_a_command_reads_what_a_screen_shares(slurm: FakeSlurm, tmp_path: Path) -> None:
    screen, command = a_site(slurm, tmp_path), a_site(slurm, tmp_path)
    screen.stay()
    screen.snapshot(1.0)
    assert screen.leader is None
    other = a_site(slurm, tmp_path)
    other.stay()
    before = len(slurm.calls())
    assert [n.name for n in other.snapshot(1.0).nodes] == ["h01"]
    assert f"pid {os.getpid()}" in str(other.leader)
    assert len(slurm.calls()) == before
    command.whole()
    assert len(slurm.calls()) > before, "a command asks the scheduler itself"
    screen.resign()


def test_readings_are_left_alone_where_nobody_needs_them(slurm: FakeSlurm, tmp_path: Path) -> None:
    site, silent = a_site(slurm, tmp_path), Silent()
    site.telemetry = (Meter(silent),)
    assert not silent_meters(site.whole(measured=False).sources)
    assert silent.asked == []
    site = a_site(slurm, tmp_path)
    site.telemetry = (Meter(silent),)
    sources = site.whole().sources
    assert silent.asked == [("h01",)]
    assert [s.name for s in silent_meters(sources)] == ["agents"]
    assert down(sources) == (), "no exit code changes for it"


def test_another_configuration_is_another_estate(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sharing.identity(a_site(slurm, tmp_path))
    assert one == sharing.identity(a_site(slurm, tmp_path))
    table = TelemetryConfig(name="gpus", kind="agents", url="https://{node}:9470/metrics")
    assert one != sharing.identity(a_site(slurm, tmp_path, telemetry=(table,)))
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/other.conf")
    assert one != sharing.identity(a_site(slurm, tmp_path))


@pytest.mark.parametrize("kind", ["nvml", "agents", "dcgm", "prometheus"])
def test_every_kind_of_source_is_opened_without_asking_it(
    slurm: FakeSlurm, tmp_path: Path, kind: str
) -> None:
    url = None if kind == "nvml" else "http://127.0.0.1:9/{node}"
    url = "http://127.0.0.1:9" if kind == "prometheus" else url
    site = a_site(slurm, tmp_path, telemetry=(TelemetryConfig(name="x", kind=kind, url=url),))
    (meter,) = site.telemetry
    assert (meter.source.name, meter.local) == ("x", kind == "nvml")
    assert (meter.recall is not None) == (kind == "prometheus")
    meter.source.close()


def test_a_live_site_without_telemetry_reads_its_own_gpus(slurm: FakeSlurm, tmp_path: Path) -> None:
    (meter,) = a_site(slurm, tmp_path).telemetry
    assert (meter.source.name, meter.local) == ("nvml", True)


def test_the_history_is_kept_by_who_leads_and_read_by_all(slurm: FakeSlurm, tmp_path: Path) -> None:
    screen, other = a_site(slurm, tmp_path), a_site(slurm, tmp_path)
    assert sharing.past(other) is None
    screen.stay()
    screen.snapshot(1.0)
    screen.resign()  # which writes what waits
    past = other.past
    assert isinstance(past, Past)
    assert past is other.past, "it is opened once"
    assert past.span() is not None


def test_a_demo_shares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    site = open_site(Options(demo=True), lambda words: None)
    site.stay()
    site.snapshot(1.0)
    assert site.sharing.lead is None
    assert site.leader is None
    assert not site.stirred()
    with pytest.raises(WrongUse, match="nothing to collect"):
        collecting.collect(site, lambda words: None, once=True)


# -- the doctor


def test_the_doctor_says_that_nobody_collects(slurm: FakeSlurm, tmp_path: Path) -> None:
    found = lines(a_site(slurm, tmp_path))
    assert found["collector"].state == "off"
    assert found["shared collector"].state == "off"
    assert found["history"].state == "off"


def test_the_doctor_says_who_collects_and_how_old_it_is(slurm: FakeSlurm, tmp_path: Path) -> None:
    screen = a_site(slurm, tmp_path)
    screen.stay()
    screen.snapshot(1.0)
    found = lines(a_site(slurm, tmp_path))["collector"]
    assert (found.state, f"pid {os.getpid()}" in found.found) == ("found", True)
    told = json.loads((tmp_path / "cache" / STANDING).read_bytes())
    told["monotonic_s"] -= 100.0
    (tmp_path / "cache" / STANDING).write_text(json.dumps(told))
    found = lines(a_site(slurm, tmp_path))["collector"]
    assert (found.state, "100 s ago" in found.found) == ("stale", True)
    assert f"kill -CONT {os.getpid()}" in str(found.mend)
    (tmp_path / "cache" / STANDING).write_text("{}")
    assert "not believed" in lines(a_site(slurm, tmp_path))["collector"].found
    screen.resign()
    assert "MiB" in lines(a_site(slurm, tmp_path))["history"].found


def test_the_doctor_says_why_a_service_is_not_believed(slurm: FakeSlurm, tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv").chmod(0o777)
    found = lines(a_site(slurm, tmp_path))["shared collector"]
    assert (found.state, "mode" in found.found) == ("denied", True)


# -- collecting without a face


def test_once_is_told_when_no_scheduler_answers(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.down.touch()
    said: list[str] = []
    with pytest.raises(SourceMissing, match="lab"):
        collecting.collect(a_site(slurm, tmp_path), said.append, once=True)


def test_without_a_folder_there_is_nothing_to_collect_into(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    site = a_site(slurm, tmp_path)
    site.cache = None
    with pytest.raises(ActionError, match="cache_dir"):
        collecting.collect(site, lambda words: None, once=True)
