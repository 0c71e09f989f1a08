"""The adapter on the fake control plane, for the contract and the stories of this folder."""

from __future__ import annotations

from foundry_tui.config.sources import RunaiConfig
from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.runai.adapter import RunaiAdapter
from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.harness import Harness

SCRIPT = b"#!/bin/sh\nsleep 600\n"


def adapter_of(fake: FakeRunai, name: str = "runai", **more: object) -> RunaiAdapter:
    """An adapter that logs in with the fake's access key; `more` is more configuration."""
    told = {"credential_env": "FAKE_SECRET", "client_id": fake.client_id, **more}
    config = RunaiConfig(name=name, url=fake.url, **told)  # type: ignore[arg-type]
    return RunaiAdapter(config, env={"FAKE_SECRET": fake.client_secret}, clock=fake.now)


def work_of(adapter: RunaiAdapter, name: str, *more: str) -> Submit:
    """A training of one GPU for ten minutes."""
    options = (f"--name={name}", "--project=vision", "--image=python:3.12", "-g", "1", *more)
    return Submit(source=adapter.name, script=SCRIPT, script_name="train.sh", options=options)


def fake_runai(fake: FakeRunai, adapter: RunaiAdapter) -> Harness:
    """The adapter on the fake, whose time is driven."""
    impossible = Submit(
        source=adapter.name,
        script=SCRIPT,
        script_name="x.sh",
        options=("--project=nowhere", "--image=python:3.12"),
    )
    return Harness(
        adapter=adapter,
        work=lambda name: work_of(adapter, name),
        impossible=impossible,
        after=None,
        unknown="00000000-0000-4000-a000-000000000000",
        drive=fake.advance,
        now=fake.now,
    )
