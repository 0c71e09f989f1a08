"""The contract of levers on queues, on every adapter that has them: told, done, proven, undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.actrecords import act_of, act_record
from foundry_tui.estate.acts import ChangeQueue, MoveNode, Preview, Receipt, ReceiptStatus, Resubmit
from foundry_tui.estate.queue import Queue
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.runai.fake import FakeRunai
from foundry_tui.schedulers.simulated import build
from tests.lab.kube.cluster import KubeLab
from tests.schedulers.harness import Adapter
from tests.schedulers.runai.harness import adapter_of
from tests.schedulers.simulated.conftest import Clock


@dataclass(frozen=True)
class Hall:
    """An adapter, a queue of it that this user may change, and one that there is not.

    `quotas` are what the queue deserves, in thousandths, before and with 2 GPUs in `where`.
    """

    adapter: Adapter
    queue: str
    quotas: tuple[int, int]
    where: tuple[tuple[str, str], ...] = ()

    def to(self, gpus: str) -> ChangeQueue:
        fields = (("quota_gpus", gpus), *self.where)
        return ChangeQueue(source=self.adapter.name, queue=self.queue, fields=fields)

    def seen(self) -> Queue:
        return next(q for q in self.adapter.snapshot().queues if q.name == self.queue)

    def send(self, preview: Preview) -> Receipt:
        (receipt,) = self.adapter.read_back(preview, self.adapter.perform(preview, ""))
        return receipt


@pytest.fixture
def on_kai(kube: KubeLab) -> Iterator[Hall]:
    with closing(KaiAdapter(KubernetesConfig(name="kai", kubeconfig=kube.kubeconfig()))) as found:
        yield Hall(found, "team-a", (4000, 2000))


@pytest.fixture
def on_fake() -> Iterator[Hall]:
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with FakeRunai(clock=lambda: start) as fake, closing(adapter_of(fake)) as found:
        # Twelve on one pool and two on the other.
        yield Hall(found, "vision", (14_000, 4000), (("node_pool", "a100"),))


@pytest.fixture
def on_simulated() -> Hall:
    return Hall(build(None, Clock())[1], "vision", (12_000, 2000))


@pytest.fixture(
    params=["simulated", "fake", pytest.param("kai", marks=pytest.mark.kubernetes)],
)
def hall(request: pytest.FixtureRequest) -> Hall:
    found: Hall = request.getfixturevalue(f"on_{request.param}")
    return found


def test_a_quota_is_told_done_proven_and_undone(hall: Hall) -> None:
    before, changed = hall.quotas
    preview = hall.adapter.preview(hall.to("2"), (), "")
    (item,) = preview.items
    assert item.refusal is None
    assert item.command[0] == "PATCH"
    assert "quota_gpus" in str(item.before)
    # Nothing is changed by a preview, and what takes it back can stand in a plan.
    assert hall.seen().quota_gpu_milli == before
    inverse = preview.inverse
    assert inverse is not None
    assert act_of(act_record(inverse)) == inverse
    receipt = hall.send(preview)
    assert (receipt.status, receipt.target) == (ReceiptStatus.DONE, hall.queue)
    assert hall.seen().quota_gpu_milli == changed
    # A preview from before says what is there now, and overwrites nothing.
    stale = hall.send(preview)
    assert stale.status is ReceiptStatus.REFUSED
    assert "changed since" in str(stale.message)
    back = hall.adapter.preview(inverse, (), "")
    assert hall.send(back).status is ReceiptStatus.DONE
    assert hall.seen().quota_gpu_milli == before


def test_none_of_a_resource_is_another_thing_than_no_limit(hall: Hall) -> None:
    assert hall.send(hall.adapter.preview(hall.to("0"), (), "")).status is ReceiptStatus.DONE
    others = hall.quotas[1] - 2000
    assert hall.seen().quota_gpu_milli == others


def test_what_there_is_not_or_cannot_be_is_refused(hall: Hall) -> None:
    ghost = replace(hall.to("2"), queue="nowhere")
    preview = hall.adapter.preview(ghost, (), "")
    assert "there is no" in str(preview.items[0].refusal)
    assert preview.inverse is None
    assert hall.send(preview).status is ReceiptStatus.REFUSED
    strange = replace(hall.to("2"), fields=(("no_such_field", "1"),))
    with pytest.raises(ValueError, match="no_such_field"):
        hall.adapter.preview(strange, (), "")


def test_rights_tell_whether_queues_may_be_changed(hall: Hall) -> None:
    assert hall.adapter.rights().may_queues is True


@pytest.mark.parametrize("act", [MoveNode, Resubmit])
def test_what_is_not_supported_has_a_reason(hall: Hall, act: type[MoveNode | Resubmit]) -> None:
    reason = hall.adapter.supports(act)
    made = (
        MoveNode(source=hall.adapter.name, nodes=("n",), pool="x")
        if act is MoveNode
        else Resubmit(source=hall.adapter.name, runs=("r",), fields=(("gpu_milli", "500"),))
    )
    if reason is not None:
        with pytest.raises(ValueError, match=reason[:20]):
            hall.adapter.preview(made, (), "t")
    else:
        (item,) = hall.adapter.preview(made, (), "t").items
        assert item.refusal
