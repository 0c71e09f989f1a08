"""GPU groups: who holds which device, what is told, what is chosen, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Gpu, Share, contradictions
from foundry_tui.estate.run import Placement
from foundry_tui.schedulers.kai import gpus
from foundry_tui.schedulers.kai.gpus import Devices, Floor, placements
from foundry_tui.schedulers.kai.seats import Holder
from foundry_tui.schedulers.kai.shares import groups, wish
from tests.schedulers.kai.things import as_node, as_pod, node, pod, reservation, shared

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Scene:
    """One node of GPUs and its pods; `look` shows the devices as the next reading would."""

    def __init__(self, count: int = 4, **labels: str) -> None:
        self.node = node("gpu00", count, 81920, **labels)
        self.pods: dict[str, dict[str, Any]] = {}
        self.reservations: list[dict[str, Any]] = []
        self.floor = Floor("lab")

    def add(self, *things: dict[str, Any]) -> None:
        self.pods.update({thing["metadata"]["name"]: thing for thing in things})

    def look(self) -> Devices:
        seen = [as_pod(p) for p in self.pods.values()]
        holders = [
            Holder(
                pod.metadata.uid,
                f"lab/{pod.metadata.name}",
                pod.spec.node_name or "",
                wish(pod),
                groups(pod, None),
                pod.metadata.creation_timestamp or "",
            )
            for pod in seen
        ]
        held_back = [as_pod(r) for r in self.reservations]
        return self.floor.devices([as_node(self.node)], holders, held_back, NOW)

    def held(self) -> dict[int, list[tuple[str, int]] | None]:
        """Index -> run and thousandths of each tenant; None where they are not known."""
        return {
            g.index: None if g.tenants is None else [(t.run[4:], t.milli) for t in g.tenants]
            for g in self.look().gpus
        }


def only(found: Devices, index: int) -> Gpu:
    return next(g for g in found.gpus if g.index == index)


def test_an_empty_node_has_its_gpus() -> None:
    found = Scene(2).look()
    assert [(g.node, g.index, g.tenants, g.how) for g in found.gpus] == [
        ("gpu00", 0, (), None),
        ("gpu00", 1, (), None),
    ]
    assert found.gpus[0].model == "NVIDIA-A100-SXM4-80GB"
    assert found.gpus[0].mem_total_bytes == 81920 << 20


def test_two_halves_of_one_group_are_on_one_gpu() -> None:
    scene = Scene()
    scene.reservations = [reservation("g", "gpu00", "2")]
    scene.add(shared("a", "gpu00", "0.5", "g"), shared("b", "gpu00", "0.5", "g"))
    assert scene.held() == {0: [], 1: [], 2: [("a", 500), ("b", 500)], 3: []}
    gpu = only(scene.look(), 2)
    assert {t.share for t in gpu.tenants or ()} == {Share.FRACTION}
    assert (gpu.uuid, gpu.how) == (None, None)
    assert scene.look().indices == {"uid-a": (2,), "uid-b": (2,)}


def test_a_pod_on_two_groups_holds_a_part_of_each() -> None:
    scene = Scene()
    scene.reservations = [reservation("g", "gpu00", "0"), reservation("h", "gpu00", "3")]
    scene.add(shared("two", "gpu00", "0.5", "g", "h"), shared("one", "gpu00", "0.3", "h"))
    assert scene.held() == {0: [("two", 500)], 1: [], 2: [], 3: [("two", 500), ("one", 300)]}
    assert scene.look().indices["uid-two"] == (0, 3)


def test_a_uuid_is_kept_and_its_index_chosen_once() -> None:
    scene = Scene()
    scene.reservations = [reservation("m", "gpu00", "GPU-m")]
    scene.add(shared("m", "gpu00", "0.5", "m"))
    before = only(scene.look(), 3)
    assert (before.uuid, before.runs, before.how) == ("GPU-m", ("lab/m",), gpus.BY_UUID)
    # Groups of smaller and of larger names come and go: the device stays where it is.
    scene.reservations += [reservation("a", "gpu00", "GPU-a"), reservation("z", "gpu00", "GPU-z")]
    scene.add(shared("a", "gpu00", "0.5", "a"), shared("z", "gpu00", "0.5", "z"))
    assert {g.uuid: g.index for g in scene.look().gpus if g.uuid}["GPU-m"] == 3
    del scene.reservations[1], scene.pods["a"]
    assert {g.uuid: g.index for g in scene.look().gpus if g.uuid} == {"GPU-m": 3, "GPU-z": 1}


def test_whole_gpus_are_shown_in_order_and_say_so() -> None:
    scene = Scene()
    scene.add(pod("first", "gpu00", gpus=2), pod("second", "gpu00", gpus=1))
    assert scene.held() == {
        0: [("first", 1000)],
        1: [("first", 1000)],
        2: [("second", 1000)],
        3: [],
    }
    found = scene.look()
    assert [g.how for g in found.gpus] == [gpus.IN_ORDER] * 3 + [None]
    assert found.indices == {"uid-first": (0, 1), "uid-second": (2,)}


def test_what_stands_on_a_device_by_order_alone_is_called_guessed() -> None:
    scene = Scene()
    scene.reservations = [reservation("g", "gpu00", "2"), reservation("m", "gpu00", "GPU-m")]
    scene.add(shared("a", "gpu00", "0.5", "g"), shared("b", "gpu00", "0.5", "m"))
    scene.add(pod("whole", "gpu00", gpus=1))
    seen = {g.runs: (g.index, g.guessed) for g in scene.look().gpus}
    assert seen == {
        ("lab/whole",): (0, True),
        (): (1, False),
        ("lab/a",): (2, False),
        ("lab/b",): (3, True),
    }


def test_whole_gpus_stay_where_they_were() -> None:
    scene = Scene()
    scene.add(pod("a", "gpu00", gpus=1), pod("b", "gpu00", gpus=2))
    scene.look()
    del scene.pods["a"]
    scene.add(pod("c", "gpu00", gpus=1))
    assert scene.held() == {0: [("c", 1000)], 1: [("b", 1000)], 2: [("b", 1000)], 3: []}


def test_a_new_group_does_not_push_whole_gpus_away() -> None:
    scene = Scene()
    scene.add(pod("a", "gpu00", gpus=3))
    scene.look()
    scene.reservations = [reservation("g", "gpu00", "GPU-g")]
    scene.add(shared("s", "gpu00", "0.5", "g"))
    assert scene.held() == {**{i: [("a", 1000)] for i in range(3)}, 3: [("s", 500)]}


def test_a_told_index_wins_over_what_was_chosen() -> None:
    scene = Scene()
    scene.add(pod("a", "gpu00", gpus=1))
    scene.look()
    scene.reservations = [reservation("g", "gpu00", "0")]
    scene.add(shared("s", "gpu00", "0.5", "g"))
    assert scene.held() == {0: [("s", 500)], 1: [("a", 1000)], 2: [], 3: []}


@pytest.mark.parametrize("told", [None, "", "99", "-1", "²", "1" * 400, "GPU-x\x1b[31m"])
def test_a_reservation_that_tells_no_index_still_holds_a_gpu(told: str | None) -> None:
    scene = Scene()
    scene.reservations = [reservation("g", "gpu00", told)]
    scene.add(shared("s", "gpu00", "0.5", "g"))
    assert scene.held() == {0: [], 1: [], 2: [], 3: [("s", 500)]}
    assert all(c.isprintable() for g in scene.look().gpus for c in g.uuid or "")


def test_sharers_whose_reservation_is_gone_still_share_one_gpu() -> None:
    scene = Scene()
    scene.add(shared("a", "gpu00", "0.5", "g"), shared("b", "gpu00", "0.2", "g"))
    assert scene.held()[3] == [("a", 500), ("b", 200)]
    assert only(scene.look(), 3).how == gpus.UNTOLD


def test_a_reservation_without_its_group_makes_a_gpu_unknown_and_not_free() -> None:
    scene = Scene(2)
    scene.reservations = [reservation(None, "gpu00", "GPU-1")]
    assert scene.held() == {0: [], 1: None}
    assert only(scene.look(), 1).how == gpus.NO_NAME


def test_a_sharer_without_labels_makes_the_group_unknown() -> None:
    scene = Scene(3)
    scene.reservations = [reservation("g", "gpu00", "1")]
    scene.add(pod("s", "gpu00", notes={"gpu-fraction": "0.5"}), pod("w", "gpu00", gpus=1))
    assert scene.held() == {0: [("w", 1000)], 1: None, 2: []}
    assert only(scene.look(), 1).how == gpus.NO_GROUP
    assert scene.look().indices["uid-s"] is None


def test_without_any_reservation_such_a_sharer_may_be_anywhere() -> None:
    scene = Scene(3)
    scene.add(pod("s", "gpu00", notes={"gpu-fraction": "0.5"}), pod("w", "gpu00", gpus=1))
    assert scene.held() == {0: [("w", 1000)], 1: None, 2: None}


def test_a_share_that_makes_no_sense_is_not_added_up() -> None:
    scene = Scene(2)
    scene.reservations = [reservation("g", "gpu00", "0")]
    scene.add(shared("a", "gpu00", "0.5", "g"), shared("b", "gpu00", "NaN", "g"))
    assert scene.held() == {0: None, 1: []}
    assert only(scene.look(), 0).how == gpus.NO_AMOUNT


def test_mig_instances_are_shown_and_their_users_are_not_known() -> None:
    scene = Scene(2)
    scene.node["status"]["allocatable"]["nvidia.com/mig-1g.10gb"] = "14"
    found = scene.look()
    assert [len(g.slices) for g in found.gpus] == [7, 7]
    assert found.gpus[0].slices[0].profile == "1g.10gb"
    used = pod("m", "gpu00")
    used["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-1g.10gb": "1"}
    scene.add(used)
    assert scene.held() == {0: None, 1: None}
    assert scene.look().indices == {"uid-m": None}


def test_more_pods_than_gpus_are_not_known_and_no_crash() -> None:
    scene = Scene(1)
    scene.add(pod("a", "gpu00", gpus=1), pod("b", "gpu00", gpus=1))
    assert scene.held() == {0: [("a", 1000)]}
    assert scene.look().indices["uid-b"] is None


@pytest.mark.parametrize("label", ["-1", "many", "²", ""])
def test_a_count_that_makes_no_sense_is_that_of_the_capacity(label: str) -> None:
    assert len(Scene(5, **{"nvidia.com/gpu.count": label}).look().gpus) == 5


def test_a_node_that_did_not_change_is_not_made_anew() -> None:
    scene = Scene()
    scene.add(pod("a", "gpu00", gpus=1))
    one, two = as_node(scene.node), as_node(node("gpu01"))
    holder = Holder("uid-a", "lab/a", "gpu00", wish(as_pod(scene.pods["a"])), (), "")
    before = scene.floor.devices([one, two], [holder], [], NOW)
    after = scene.floor.devices([one, two], [], [], NOW)
    same = [a is b for a, b in zip(before.gpus, after.gpus, strict=True)]
    assert same == [False] * 4 + [True] * 8


def test_placements_put_the_pods_of_a_node_together() -> None:
    known = {"a": (0, 1), "b": (3,), "c": None}
    assert placements([("a", "n0"), ("b", "n0")], known) == (Placement("n0", (0, 1, 3)),)
    assert placements([("a", "n1"), ("x", "n0")], known) == (
        Placement("n0", ()),
        Placement("n1", (0, 1)),
    )
    assert placements([("a", "n0"), ("c", "n0")], known) == (Placement("n0", None),)


PARTS = {"whole": 1000, "half": 500, "quarter": 250}
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["whole", "half", "quarter", "go"]),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
    max_size=25,
)


def shares(scene: Scene) -> dict[str, int]:
    """Group -> thousandths that its sharers ask for."""
    sums: dict[str, int] = {}
    for one in scene.pods.values():
        if (told := one["metadata"]["labels"].get("runai-gpu-group")) is not None:
            milli = PARTS[one["metadata"]["name"].split("-")[0]]
            sums[told] = sums.get(told, 0) + milli
    return sums


def fits(scene: Scene) -> bool:
    """Whether KAI would have placed these pods on four GPUs."""
    sums = shares(scene)
    wholes = sum(name.startswith("whole") for name in scene.pods)
    return wholes + len(sums) <= 4 and all(total <= 1000 for total in sums.values())


@given(MOVES)
def test_what_fits_is_never_contradictory_and_never_moves(
    moves: list[tuple[str, int, int]],
) -> None:
    scene = Scene(4)
    before: Mapping[str, tuple[int, ...] | None] = {}
    for what, number, at in moves:
        name = f"{what}-{number}"
        kept = dict(scene.pods)
        if what == "go":
            scene.pods = {n: p for n, p in kept.items() if not n.endswith(f"-{number}")}
        elif what == "whole":
            scene.add(pod(name, "gpu00", gpus=1))
        else:
            scene.add(shared(name, "gpu00", f"0.{PARTS[what]}", f"g{at}"))
        if not fits(scene):
            scene.pods = kept
        scene.reservations = [reservation(g, "gpu00", f"GPU-{g}") for g in sorted(shares(scene))]
        found = scene.look()
        assert contradictions(found.gpus) == ()
        held = sum(g.milli_allocated or 0 for g in found.gpus)
        assert held == sum(PARTS[n.split("-")[0]] for n in scene.pods)
        stays = found.indices.keys() & before.keys() - {f"uid-{name}"}
        assert {uid: found.indices[uid] for uid in stays} == {uid: before[uid] for uid in stays}
        before = found.indices
