"""Pod templates bound to nodes and set free again: other wishes stay as they are."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.schedulers.kai.templates import pin, pinned

NODES = st.lists(st.sampled_from(["n1", "n2", "n3"]), unique=True, max_size=3).map(tuple)
EXPRESSION = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["zone", "kubernetes.io/hostname"]),
        "operator": st.just("NotIn"),
        "values": st.just(["x"]),
    }
)
TERM = st.fixed_dictionaries({"matchExpressions": st.lists(EXPRESSION, min_size=1, max_size=2)})
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def template(selector: dict[str, str], terms: list[Any], pods: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"nodeSelector": selector} if selector else {}
    affinity: dict[str, Any] = {"podAffinity": {"any": "thing"}} if pods else {}
    if terms:
        affinity["nodeAffinity"] = {REQUIRED: {"nodeSelectorTerms": terms}}
    return {"spec": {**spec, **({"affinity": affinity} if affinity else {})}}


@given(
    selector=st.dictionaries(st.just("pool"), st.just("fast"), max_size=1),
    terms=st.lists(TERM, max_size=2),
    pods=st.booleans(),
    first=NODES,
    second=NODES,
)
def test_a_template_is_bound_again_and_again_and_is_itself_when_it_is_free(
    selector: dict[str, str],
    terms: list[Any],
    pods: bool,
    first: tuple[str, ...],
    second: tuple[str, ...],
) -> None:
    before = template(selector, terms, pods)
    bound = copy.deepcopy(before)
    for nodes in (first, second):
        pin(bound, nodes)
        assert pinned(bound) == nodes
    pin(bound, ())
    assert bound == before
    assert pinned(bound) == ()
