"""Nodes before and after a plan: one glyph per GPU, what is unknown is not free."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.acts import Requeue
from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.run import Placement
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.presenters.plannodes import Touched, node_lines, touched
from foundry_tui.presenters.toned import Line
from tests.presenters.estate import NOW


def gpu(index: int, *milli: int, node: str = "a01", source: str = "lab") -> Gpu:
    share = Share.FRACTION
    tenants = tuple(Tenant(f"lab/{n}", m, share) for n, m in enumerate(milli))
    return Gpu(node=node, index=index, source=source, tenants=tenants)


GPUS = (
    gpu(0, 1000),
    gpu(1, 250),
    gpu(2),
    replace(gpu(3), tenants=None),
    gpu(4),
    gpu(0, node="a01", source="other"),
    gpu(0, node="a02"),
)


def snapshot() -> Snapshot:
    return Snapshot(generated_at=NOW, sources=(), nodes=(), gpus=GPUS, queues=(), runs=())


def move(number: int, *gpus: int, action: str = "start") -> Move:
    return Move(
        id=f"m{number}",
        target=Target("run", f"lab/{number}"),
        action=action,
        placement=(Placement("a01", gpus),),
    )


def text(lines: list[Line]) -> list[str]:
    return ["".join(part for part, _ in line) for line in lines]


def test_before_and_after_gpu_by_gpu() -> None:
    assert touched(snapshot(), (move(7, 2), move(8, 1))) == (
        Touched("a01", "█2·?·", "█++?·", ("7", "8")),
    )


def test_who_makes_room_gives_up_gpus_also_those_that_nobody_takes() -> None:
    stop = Requeue(source="lab", runs=("lab/0",), hold=True)
    room = replace(move(7, 0, action="make_room"), displaces=("lab/0",), steps=(stop,))
    found = touched(snapshot(), (room,))
    assert found == (Touched("a01", "█2·?·", "+-·?·", ("7",), ("0",)),)
    first, *_ = text(node_lines(found, 40))
    assert first == " a01  █2·?· → +-·?·  7 for 0"
    again = replace(move(0, 4, action="restart"), steps=(stop,))
    (one,) = touched(snapshot(), (room, again))
    assert (one.after, one.comes, one.goes) == ("+-·?+", ("7", "0"), ("0",))


def test_what_starts_nothing_changes_no_node() -> None:
    assert touched(snapshot(), (move(7, 0, action="review_idle"),)) == ()


def test_one_node_has_its_meaning_beside_it_where_there_is_room() -> None:
    found = touched(snapshot(), (move(7, 2),))
    wide = text(node_lines(found, 100))
    assert wide == [
        " a01  █2·?· → █2+?·  7   █ held  · free  + taken by the plan  ? not known  1-9 tenths held"
    ]
    narrow = text(node_lines(found, 40))
    assert narrow[0] == " a01  █2·?· → █2+?·  7"
    assert len(narrow) == 3
    assert all(len(line) <= 40 for line in narrow)


def test_ascii_draws_with_ascii_alone() -> None:
    found = touched(snapshot(), (move(7, 2),))
    shown = "\n".join(text(node_lines(found, 100, ascii_only=True)))
    assert shown.isascii()
    assert "#2.?. > #2+?." in shown


def test_a_node_that_is_gone_from_the_reading_is_unknown() -> None:
    gone = replace(move(7, 0), placement=(Placement("a99", (0,)),))
    (found,) = touched(snapshot(), (gone,))
    assert (found.before, found.after) == ("", "")
    assert text(node_lines((found,), 60))[0].startswith(" a99  ? → ?")


def test_no_node_no_line() -> None:
    assert node_lines((), 60) == []
