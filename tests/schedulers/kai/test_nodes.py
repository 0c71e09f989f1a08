"""Nodes drained and moved among pools: inverses of what was changed alone, guards, whose reason."""

from __future__ import annotations

from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.actrecords import act_of, act_record
from foundry_tui.estate.acts import Act, ChangeNode, MoveNode, Preview, Receipt, ReceiptStatus
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai import actor
from foundry_tui.schedulers.kai.receipts import read_back
from tests.schedulers.kai.stub import StubCluster, answer

POOL = "run.ai/pool"
CONFIG = KubernetesConfig(name="lab", node_pool_label=POOL)


def node(name: str, pool: str | None = None, **notes: str) -> tuple[str, dict[str, Any]]:
    labels = {POOL: pool} if pool else {}
    meta: dict[str, Any] = {"name": name, "uid": f"uid-{name}", "labels": labels}
    drained = {"unschedulable": True} if notes else {}
    if notes:
        meta["annotations"] = {f"foundry/{k.replace('_', '-')}": v for k, v in notes.items()}
    return f"/api/v1/nodes/{name}", {"metadata": meta, "spec": drained}


def seen(cluster: StubCluster, act: Act) -> Preview:
    return actor.preview(cluster, CONFIG, act, (), "t")  # type: ignore[arg-type]


def done(cluster: StubCluster, preview: Preview) -> tuple[Receipt, ...]:
    sent = actor.perform(cluster, preview, "t")  # type: ignore[arg-type]
    return read_back(cluster, preview, sent)  # type: ignore[arg-type]


def move(pool: str | None, *nodes: str) -> MoveNode:
    return MoveNode(source="lab", nodes=nodes, pool=pool)


def label(cluster: StubCluster, name: str) -> str | None:
    found: str | None = cluster.things[f"/api/v1/nodes/{name}"]["metadata"]["labels"].get(POOL)
    return found


def test_nodes_of_one_pool_go_to_another_and_back() -> None:
    cluster = StubCluster(node("a"), node("b"), node("c", "fast"))
    preview = seen(cluster, move("fast", "a", "b", "c", "nope"))
    refusals = [item.refusal for item in preview.items]
    assert refusals == [None, None, "it is in pool fast already", "there is no node nope"]
    assert "no node is in pool" not in str(preview.items[0].warning)
    assert preview.inverse == move(None, "a", "b")
    assert [r.status for r in done(cluster, preview)] == [
        *[ReceiptStatus.DONE] * 2,
        *[ReceiptStatus.REFUSED] * 2,
    ]
    assert (label(cluster, "a"), label(cluster, "c")) == ("fast", "fast")
    assert preview.inverse is not None
    back = seen(cluster, preview.inverse)
    assert back.inverse == move("fast", "a", "b")
    done(cluster, back)
    assert label(cluster, "a") is None


def test_nodes_of_several_pools_cannot_be_taken_back_by_one_act() -> None:
    cluster = StubCluster(node("a", "x"), node("b", "y"))
    assert seen(cluster, move("z", "a", "b")).inverse is None
    assert seen(cluster, move("z", "a")).inverse == move("x", "a")
    assert "no node is in pool z yet" in str(seen(cluster, move("z", "a")).items[0].warning)


def test_what_somebody_else_changed_in_between_is_not_overwritten() -> None:
    for before in (None, "x"):
        cluster = StubCluster(node("a", before))
        preview = seen(cluster, move("fast", "a"))
        cluster.things["/api/v1/nodes/a"]["metadata"]["labels"][POOL] = "theirs"
        (receipt,) = done(cluster, preview)
        assert "changed since" in str(receipt.message)
        assert label(cluster, "a") == "theirs"


@pytest.mark.parametrize("pool", ["", "a b", "-x", "x" * 64, "a\n"])
def test_a_pool_is_a_value_of_a_label(pool: str) -> None:
    (item,) = seen(StubCluster(node("a")), move(pool, "a")).items
    assert str(item.refusal).startswith("pool: a value of a label")


def test_rights_are_told_for_each_node() -> None:
    cluster = StubCluster(node("a"))

    def trouble(method: str, _path: str, _dry: bool) -> None:
        if method == "PATCH":
            raise answer(403, 'User "bob" cannot patch resource "nodes"')

    cluster.trouble = trouble
    preview = seen(cluster, move("fast", "a"))
    assert "cannot patch" in str(preview.items[0].refusal)
    assert preview.inverse is None


def test_the_undo_of_a_resume_drains_again_for_the_old_reason() -> None:
    mine = node("a", drain_reason="fan", drained_by=user_name())
    theirs = node("b", drain_reason="fan", drained_by="eve")
    bare = ("/api/v1/nodes/c", {**node("c")[1], "spec": {"unschedulable": True}})
    cluster = StubCluster(mine, theirs, bare)

    def resume(*nodes: str) -> Preview:
        return seen(cluster, ChangeNode(source="lab", nodes=nodes, state="resume"))

    preview = resume("a", "b")
    assert [item.warning for item in preview.items] == [None, "eve drained it: fan"]
    assert preview.inverse == ChangeNode(
        source="lab", nodes=("a", "b"), state="drain", reason="fan"
    )
    preview = resume("c")
    assert "was not drained from here" in str(preview.items[0].warning)
    # Every inverse has to stand in a plan, which takes no drain without a reason.
    assert preview.inverse is not None
    assert act_of(act_record(preview.inverse)) == preview.inverse
    assert resume("a", "c").inverse is None  # two reasons
