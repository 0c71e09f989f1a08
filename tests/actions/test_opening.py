"""What a host without a scheduler shows: its tracking server, else the simulated estate."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from foundry_tui.actions import tracker as tracking
from foundry_tui.actions.act import prepare_submit
from foundry_tui.actions.doctor import doctor
from foundry_tui.actions.errors import SourceMissing
from foundry_tui.actions.experiments.find import listing
from foundry_tui.actions.experiments.note import note
from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options, Site

SERVER = "http://127.0.0.1:9"
"""The discard port: nobody answers."""


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without any scheduler and without GPUs, of a user who has set nothing."""
    monkeypatch.setattr("foundry_tui.actions.opening.live", lambda config, clock: {})
    monkeypatch.setattr("foundry_tui.telemetry.nvml.source.gpus_here", lambda: False)
    for name in ("MLFLOW_TRACKING_URI", "FOUNDRY_CONFIG", "FOUNDRY_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CONFIG", "CACHE", "STATE"):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))


def opened(told: list[str], **options: bool) -> Site:
    return open_site(Options(**options), told.append)  # type: ignore[arg-type]


def test_nothing_at_all_is_the_simulated_estate(told: list[str]) -> None:
    site = opened(told)
    assert (site.mode, site.unasked) == ("demo", True)
    assert told == [
        "no scheduler was found on this host: this is the simulated estate (`foundry doctor`)"
    ]


def test_a_tracking_server_alone_is_shown(
    told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    site = opened(told)
    assert (site.mode, site.unasked, site.schedulers) == ("live", False, {})
    assert len(told) == 1 and f"only the tracked runs of {SERVER}" in told[0]
    assert "--demo" in told[0], "the simulated estate is not taken away in silence"
    with pytest.raises(SourceMissing, match=f"{SERVER}: no connection"):
        listing(site)
    with pytest.raises(SourceMissing, match=f"{SERVER}: no connection"):
        note(site, "abcdef", "x")
    script = tmp_path / "a.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(SourceMissing, match="there is no scheduler here"):
        prepare_submit(site, None, (), str(script), ())
    (found,) = (lines for name, _, lines in doctor(site) if name == "mlflow")
    assert SERVER in found[0].found and found[0].state == "broken"
    assert opened(told, demo=True).mode == "demo", "who asks for the simulation gets it"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sqlite:///mlflow.db", "$MLFLOW_TRACKING_URI is no http address"),
        ("http://ann:secret@host", "the address holds a user name or password"),
        ("http://two words", "is no address of a server"),
        ("http://\x1b[31m", "is no address of a server"),
    ],
)
def test_an_address_that_cannot_be_used_is_told(
    told: list[str], monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    site = opened(told)
    assert site.mode == "demo" and "simulated estate" in told[0]
    assert words in told[0] and "secret" not in told[0] and "\x1b" not in told[0]


def test_a_configured_server_and_one_of_ones_own(
    told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site = opened(told)
    real = Site(options=site.options, config=site.config, mode="live", tell=told.append).state
    assert site.state != real, "what is played stands apart"
    up = {"url": "http://127.0.0.1:5999", "pid": os.getpid(), "host": socket.gethostname()}
    (real / tracking.UP_FILE).write_text(json.dumps(up))
    (real / tracking.UP_FILE).chmod(0o600)
    own = opened(told)
    assert own.mode == "live" and "http://127.0.0.1:5999" in told[-1]
    assert own.state == real
    config = tmp_path / "foundry.toml"
    config.write_text(f'[mlflow.team]\nurl = "{SERVER}"\n')
    site = open_site(Options(config=config), told.append)
    assert site.mode == "live" and SERVER in told[-1]
    assert site.tracker is not None and site.tracker.name == "team"


def test_tracking_up_is_no_play(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    site = opened(told)
    folders: list[Path] = []

    def serve(folder: Path, **given: object) -> int:
        folders.append(folder)
        return 0

    monkeypatch.setattr("foundry_tui.tracking.server.serve", serve)
    assert tracking.up(site, 0, told.append) == 0
    assert folders[0].parent != site.state, "not among what is played, in the cache"
    assert "STATE" in str(folders[0])
