"""The contract of the ports, on the simulated schedulers and on a real Slurm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.runai.fake import FakeRunai
from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.live import SPEED
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from tests.lab.kube.cluster import KubeLab
from tests.lab.slurm import SlurmLab
from tests.schedulers.contract import Contract
from tests.schedulers.harness import Harness
from tests.schedulers.runai.harness import adapter_of, fake_runai
from tests.schedulers.simulated.conftest import Clock

SCRIPT = b"#!/bin/sh\nsleep 600\n"


def simulated_slurm() -> Harness:
    """The simulated Slurm, as its administrator; its `short` has place for small runs soon."""
    clock = Clock()
    adapter = build(None, clock, admin=True)[0]

    def work(name: str, *more: str) -> Submit:
        options = ("--gres=gpu:1", "--time=60", "--partition=short", f"--job-name={name}", *more)
        return Submit(source=adapter.name, script=SCRIPT, script_name="-", options=options)

    return Harness(
        adapter=adapter,
        work=work,
        impossible=Submit(
            source=adapter.name, script=SCRIPT, script_name="-", options=("--partition=nowhere",)
        ),
        after=lambda native: work("after", f"--dependency=afterok:{native}"),
        queue_change=("short", (("state", "inactive"),)),
        unknown="99999999",
        drive=lambda seconds: clock.pass_simulated(seconds * SPEED),
        now=adapter.now,
    )


def simulated_runai() -> Harness:
    """The simulated Run:ai."""
    clock = Clock()
    adapter = build(None, clock)[1]

    def work(name: str) -> Submit:
        options = (f"--name={name}", "--gpu-devices-request=1")
        return Submit(source=adapter.name, script=SCRIPT, script_name="train.sh", options=options)

    return Harness(
        adapter=adapter,
        work=work,
        impossible=Submit(
            source=adapter.name, script=SCRIPT, script_name="x.sh", options=("--project=nowhere",)
        ),
        after=None,
        unknown="00000000-0000-4000-a000-000000000000",
        drive=lambda seconds: clock.pass_simulated(seconds * SPEED),
        now=adapter.now,
    )


def real_slurm(lab: SlurmLab) -> Harness:
    """The lab, as its administrator. Its time cannot be driven, so it is waited for."""
    adapter = SlurmAdapter("lab", conf=str(lab.root / "etc/slurm.conf"))

    def work(name: str, *more: str) -> Submit:
        options = ("--gres=gpu:1", "--time=20", f"--job-name={name}", "--output=/dev/null", *more)
        return Submit(source=adapter.name, script=SCRIPT, script_name="-", options=options)

    return Harness(
        adapter=adapter,
        work=work,
        impossible=Submit(
            source=adapter.name, script=SCRIPT, script_name="-", options=("--partition=nowhere",)
        ),
        after=lambda native: work("after", f"--dependency=afterok:{native}"),
        queue_change=("short", (("state", "inactive"),)),
        unknown="99999999",
        drive=lambda seconds: time.sleep(min(seconds, 0.5)),
        now=lambda: datetime.now(UTC).replace(microsecond=0),
    )


@pytest.fixture
def on_kai(kube: KubeLab) -> Iterator[Harness]:
    """The adapter of a real Kubernetes with KAI, as its administrator; its time is waited for."""
    config = KubernetesConfig(
        name="kai", kubeconfig=kube.kubeconfig(), scheduler_url=kube.scheduler_url
    )

    def work(name: str, *more: str, namespace: str = "team-a") -> Submit:
        options = (f"--name={name}", "--project=team-a", f"--namespace={namespace}", *more)
        options = (*options, "--image=lab/none", "--gpu-devices-request=1")
        return Submit(source="kai", script=SCRIPT, script_name="train.sh", options=options)

    with closing(KaiAdapter(config)) as adapter:
        yield Harness(
            adapter=adapter,
            work=work,
            impossible=work("never", namespace="nowhere"),
            after=lambda _: work("after", "--node-pools=nowhere", "--priority=train"),
            unknown="00000000-0000-4000-a000-000000000000",
            drive=lambda seconds: time.sleep(min(seconds, 0.5)),
            now=lambda: datetime.now(UTC).replace(microsecond=0),
            change=("qos", "build"),
        )


@pytest.fixture
def on_fake_runai() -> Iterator[Harness]:
    """The adapter of Run:ai on a fake control plane, whose time is driven."""
    start = datetime.now(UTC)
    with FakeRunai(clock=lambda: start) as fake, closing(adapter_of(fake)) as adapter:
        yield fake_runai(fake, adapter)


@pytest.fixture(
    params=[
        *("sim-slurm", "sim-runai", "fake-runai"),
        pytest.param("slurm", marks=pytest.mark.slurm),
        pytest.param("kai", marks=pytest.mark.kubernetes),
    ]
)
def harness(request: pytest.FixtureRequest) -> Harness:
    """Each adapter in turn."""
    if request.param in ("fake-runai", "kai"):
        found: Harness = request.getfixturevalue(f"on_{request.param.replace('-', '_')}")
        return found
    if request.param == "slurm":
        return real_slurm(request.getfixturevalue("lab"))
    return simulated_slurm() if request.param == "sim-slurm" else simulated_runai()


class TestContract(Contract):
    """Every test of the contract, on every adapter."""
