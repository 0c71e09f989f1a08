"""The tree of accounts and Slurm's own sums, as `sacctmgr` and `sreport` 22.05.8 print them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

import pytest

from foundry_tui.estate.usage import Account, Window
from foundry_tui.process import MAX_BYTES
from foundry_tui.schedulers.slurm.accounting.books import read_accounts, read_own_totals, tracked
from foundry_tui.schedulers.slurm.commands import Commands
from tests.schedulers.slurm.accounting.sacctrows import T0, at

ASSOC = b"""\
||1||root
root||1|root|root
||30|root|bio
|cpu=64,gres/gpu=16|70|root|ml
lab_alice||parent||ml
|gres/gpu:h100=8|parent|ml|vision
|gres/gpu=none||root|a|b
broken
"""
SREPORT = b"""\
|gres/gpu|7602|root
|gres/gpu|60|bio
lab_bob|gres/gpu|60|bio
|gres/gpu|7542|ml
lab_alice|gres/gpu|7000|ml
lab_bob|gres/gpu|490|ml
|gres/gpu|10|vision
lab_eve|gres/gpu|10|vision
lab_eve|gres/shard|99|vision
lab_eve|gres/gpu||vision
"""


@dataclasses.dataclass(frozen=True)
class Printed(Commands):
    """Commands whose answers are known."""

    answers: dict[str, bytes] = dataclasses.field(default_factory=dict)
    asked: list[tuple[str, ...]] = dataclasses.field(default_factory=list)

    def read(
        self,
        name: str,
        *args: str,
        timeout_s: float | None = None,
        env: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> bytes:
        """The answer to one command."""
        self.asked.append((name, *args))
        return self.answers[name]


@pytest.fixture
def commands() -> Printed:
    return Printed(answers={"sacctmgr": ASSOC, "sreport": SREPORT})


def test_r12_accounts_with_their_parents_and_quotas(commands: Printed) -> None:
    assert read_accounts(commands, "lab") == (
        Account(name="a|b", parent="root"),
        Account(name="bio", parent="root", shares=30),
        Account(name="ml", parent="root", quota_gpu_milli=16_000, shares=70),
        Account(name="root", shares=1),
        Account(name="vision", parent="ml"),
    )
    assert "cluster=lab" in commands.asked[0]


def test_r12_own_totals_are_those_of_users_and_count_no_child_twice(commands: Printed) -> None:
    start = at(T0) + timedelta(minutes=20)
    totals = read_own_totals(commands, "lab", Window(start, start + timedelta(hours=3)), at(T0 * 2))
    assert totals is not None
    assert totals.window == Window(at(T0 + 3600), at(T0 + 3 * 3600))
    assert totals.gpu_s == {"bio": 60, "ml": 7490, "vision": 10}
    assert sum(totals.gpu_s.values()) == 7602 - 42
    assert any(note.startswith("ml: 42 GPU-seconds of no user") for note in totals.notes)
    assert not any(note.startswith(("bio:", "vision:", "root:")) for note in totals.notes)
    assert totals.by.startswith("sreport -t Seconds -T gres/gpu cluster AccountUtilizationByUser")
    assert "start=2026-11-21T01:00:00" in commands.asked[0]
    assert "end=2026-11-21T03:00:00" in commands.asked[0]


def test_own_totals_end_with_the_last_hour_that_is_over(commands: Printed) -> None:
    window = Window(at(T0), at(T0) + timedelta(days=1))
    totals = read_own_totals(commands, "lab", window, at(T0 + 2 * 3600 + 59))
    assert totals is not None
    assert totals.window == Window(at(T0), at(T0 + 2 * 3600))


@pytest.mark.parametrize(
    ("start", "end", "now"),
    [(0, 0, 9000), (10, 3599, 9000), (10, 7199, 9000), (0, 7200, 3599), (7200, 9999, 3600)],
)
def test_there_are_no_own_totals_without_a_whole_hour(
    commands: Printed, start: int, end: int, now: int
) -> None:
    window = Window(at(T0 + start), at(T0 + end))
    assert read_own_totals(commands, "lab", window, at(T0 + now)) is None
    assert commands.asked == []


def test_what_slurmdbd_tracks() -> None:
    commands = Printed(answers={"sacctmgr": b"cpu|\nfs|disk\ngres|gpu\ngres|gpu:h100\n"})
    assert tracked(commands) == {"cpu", "fs/disk", "gres/gpu", "gres/gpu:h100"}
