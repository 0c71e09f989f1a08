"""What a pod asks for: limits, annotations, and annotations that make no sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.schedulers.kai.shares import Wish, groups, placed, wish
from tests.schedulers.kai.things import as_bind, as_pod, bind, pod, shared

GIB = 1 << 30


def asked(**notes: str) -> Wish:
    return wish(as_pod(pod("p", notes={k.replace("_", "-"): v for k, v in notes.items()})))


def test_whole_gpus_stand_in_the_limits() -> None:
    found = wish(as_pod(pod("p", gpus=3)))
    assert (found.devices, found.milli, found.total_milli, found.fraction) == (3, 1000, 3000, False)
    assert (found.cpu_milli, found.memory) == (500, GIB)


def test_limits_of_all_containers_are_added() -> None:
    thing = pod("p", gpus=2)
    thing["spec"]["containers"].append({"resources": {"limits": {"nvidia.com/gpu": 1}}})
    thing["spec"]["containers"].append({})
    assert wish(as_pod(thing)).devices == 3


def test_mig_instances_are_named() -> None:
    thing = pod("p")
    thing["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-1g.10gb": "2"}
    found = wish(as_pod(thing))
    assert (found.devices, found.mig_profile) == (2, "1g.10gb")


@pytest.mark.parametrize(
    ("fraction", "milli"), [("0.5", 500), ("0.25", 250), (".3", 300), ("1", 1000), ("0.0001", 1)]
)
def test_a_portion_is_in_thousandths(fraction: str, milli: int) -> None:
    found = asked(gpu_fraction=fraction)
    assert (found.devices, found.milli, found.wrong) == (1, milli, None)


def test_portions_of_several_devices() -> None:
    found = asked(gpu_fraction="0.5", gpu_fraction_num_devices="2")
    assert (found.devices, found.milli, found.total_milli) == (2, 500, 1000)


@pytest.mark.parametrize(
    "text",
    ["-1", "NaN", "17", "1e309", "½", "0", "", "0.5 ", "١", "1Gi", "500m", "0x1", "9" * 5000],
)
def test_a_portion_that_makes_no_sense_is_unknown(text: str) -> None:
    found = asked(gpu_fraction=text)
    assert (found.devices, found.milli, found.total_milli) == (1, None, None)
    assert found.wrong is not None
    assert found.wrong.startswith("gpu-fraction is")


@pytest.mark.parametrize("text", ["0", "-2", "65", "two", "½", "9" * 5000, ""])
def test_a_number_of_devices_that_makes_no_sense_is_unknown(text: str) -> None:
    found = asked(gpu_fraction="0.5", gpu_fraction_num_devices=text)
    if text == "":
        assert (found.devices, found.milli) == (1, 500)
        return
    assert (found.milli, found.wrong is not None) == (None, True)


def test_memory_becomes_a_portion_on_the_node() -> None:
    found = asked(gpu_memory="20000")
    assert (found.devices, found.milli, found.memory_bytes) == (1, None, 20000 << 20)
    # As KAI accounts it: 20000 of 143771 MiB is 0.1391, and 0.14 is taken.
    assert placed(found, 143771 << 20).milli == 140
    assert placed(found, 80000 << 20).milli == 250
    assert placed(found, None).milli is None
    assert placed(asked(gpu_memory="999999"), 80000 << 20).milli == 1000
    assert placed(asked(gpu_fraction="0.5"), 80000 << 20).milli == 500


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "2Gi", "NaN", "٣", "9" * 5000])
def test_memory_that_makes_no_sense_is_unknown(text: str) -> None:
    found = asked(gpu_memory=text)
    assert (found.milli, found.memory_bytes) == (None, None)
    assert found.wrong is not None


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=10))
def test_no_annotation_breaks_it(fraction: str, memory: str, devices: str) -> None:
    for notes in (
        {"gpu-fraction": fraction, "gpu-fraction-num-devices": devices},
        {"gpu-memory": memory, "gpu-fraction-num-devices": devices},
    ):
        found = wish(as_pod(pod("p", notes=notes)))
        assert found.devices >= 1
        assert found.milli is None or 1 <= found.milli <= 1000


def test_groups_are_those_of_the_labels() -> None:
    assert groups(as_pod(shared("p", "gpu00", "0.5", "g1")), None) == ("g1",)
    assert groups(as_pod(shared("p", "gpu00", "0.5", "g2", "g1")), None) == ("g1", "g2")


def test_a_pod_that_is_being_bound_has_the_groups_chosen_for_it() -> None:
    chosen = as_bind(bind("p", "g1"))
    assert groups(as_pod(pod("p")), chosen) == ("g1",)
    assert groups(as_pod(shared("p", "gpu00", "0.5", "g2")), chosen) == ("g2",)
    assert groups(as_pod(pod("p")), None) == ()
