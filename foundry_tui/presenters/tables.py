"""The tables of nodes, GPUs, queues and runs: columns, cells, and the page around them.

Rows stand in the order in which they are given. Text is made safe here once more, because a
table must never let a name reach the terminal that some other door forgot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue, tree
from foundry_tui.estate.run import HOLDING, Placement, Request, Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.waste import IDLE_AFTER_S, gpu_hours_idle, idle_s, is_idle
from foundry_tui.presenters import units
from foundry_tui.presenters.health import fault_word, fault_words
from foundry_tui.presenters.heat import heat, legend
from foundry_tui.presenters.page import Listing, finish, footer, nothing
from foundry_tui.presenters.sharebars import told
from foundry_tui.presenters.table import Column, draw

Cells = tuple[SafeText, ...]
"""One row, one text per column."""

NODE_COLUMNS = (
    Column("NODE", min_width=8, stretch=True),
    Column("STATE", state=True),
    Column("GPUS"),
    Column("ALLOC", "right"),
    Column("UTIL", "right", priority=1),
    Column("IDLE", "right", priority=2),
    Column("MODEL", min_width=5, priority=4, stretch=True),
    Column("CPU", "right", priority=5),
    Column("MEM", "right", priority=6),
    Column("QUEUES", min_width=8, priority=7, stretch=True),
    Column("REASON", min_width=24, priority=3, stretch=True),
    Column("SOURCE", priority=8),
)

GPU_COLUMNS = (
    Column("NODE", min_width=8, stretch=True),
    Column("GPU", "right"),
    Column("MODEL", min_width=5, priority=6, stretch=True),
    Column("UTIL", "right"),
    Column("MAX", "right", priority=10),
    Column("MEM", "right", priority=5),
    Column("ALLOC", "right"),
    Column("OWNER", min_width=6, stretch=True),
    Column("RUNS", min_width=8, priority=1, stretch=True),
    Column("IDLE", "right", priority=2),
    Column("GPU-H", "right", priority=3),
    Column("FAULT", min_width=6, priority=1, stretch=True),
    Column("WATT", "right", priority=8),
    Column("TEMP", "right", priority=11),
    Column("SM", "right", priority=12),
    Column("READ", "right", priority=9),
    Column("HOW", min_width=8, priority=7, stretch=True),
    Column("BY", priority=13),
    Column("SOURCE", priority=14),
)

UNUSED = frozenset({"MAX", "IDLE", "GPU-H", "FAULT", "SM"})
"""Columns that are left out where no row has anything in them."""

QUEUE_COLUMNS = (
    Column("QUEUE", min_width=10, stretch=True),
    Column("KIND", priority=6),
    Column("STATE", priority=5),
    Column("RUN", "right"),
    Column("WAIT", "right"),
    Column("USED", "right"),
    Column("QUOTA", "right", priority=2),
    Column("LIMIT", "right", priority=4),
    Column("TOTAL", "right", priority=2),
    Column("ASKED", "right", priority=1),
    Column("OLDEST", "right", priority=1),
    Column("SHARE", "right", priority=7),
    Column("SOURCE", priority=3),
)

RUN_COLUMNS = (
    Column("RUN"),
    Column("NAME", min_width=8, stretch=True),
    Column("USER", min_width=6, stretch=True),
    Column("QUEUE", min_width=5, priority=1, stretch=True),
    Column("STATE", state=True),
    Column("GPUS", "right"),
    Column("TIME", "right"),
    Column("WHERE OR WHY", min_width=12, stretch=True),
    Column("UTIL", "right", priority=2),
    Column("SUBMITTED", priority=3),
    Column("ACCOUNT", min_width=7, priority=5, stretch=True),
    Column("QOS", priority=6),
    Column("PRIORITY", "right", priority=4),
    Column("SOURCE", priority=7),
)


def nodes_table(nodes: Sequence[Node], gpus: Iterable[Gpu], listing: Listing) -> str:
    """Nodes with one glyph per GPU; `gpus` may hold GPUs of other nodes too."""
    by_node: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in gpus:
        by_node.setdefault((gpu.source, gpu.node), []).append(gpu)
    rows = [
        node_cells(n, by_node.get((n.source, n.name), ()), listing.now, listing.idle_after_s)
        for n in nodes
    ]
    return _whole("node", NODE_COLUMNS, rows, listing, legend(row[2] for row in rows))


def gpus_table(gpus: Sequence[Gpu], runs: Iterable[Run], listing: Listing) -> str:
    """GPUs with the runs that hold them and whose they are."""
    owners = {run.id: run.user for run in runs}
    now, after_s = listing.now, listing.idle_after_s
    rows = [gpu_cells(g, tuple(owners.get(run) for run in g.runs), now, after_s) for g in gpus]
    return _whole("GPU", GPU_COLUMNS, rows, listing)


def queues_table(
    queues: Sequence[Queue], listing: Listing, every: Sequence[Queue] | None = None
) -> str:
    """Queues as a tree, each below its parent; GPU amounts are in GPUs.

    Those that share a cluster by quota have a bar and a sentence of their own below the table.
    `every` are the queues before the filter: who lends to whom is told by all of them.
    """
    ordered, style = tree(queues), listing.style
    rows = [queue_cells(queue, depth) for queue, depth in ordered]
    below = told(ordered, queues if every is None else every, style.width, ascii_only=style.ascii)
    return _whole("queue", QUEUE_COLUMNS, rows, listing, more=below)


def runs_table(runs: Sequence[Run], listing: Listing) -> str:
    """Runs; the time is how long a run waited, runs or ran, as its state says."""
    rows = [run_cells(run, listing.now) for run in runs]
    tasks = sum(run.count for run in runs)
    many = f"{len(runs)} rows stand for {tasks} runs" if tasks > len(runs) else ""
    return _whole("run", RUN_COLUMNS, rows, listing, many)


def _whole(
    noun: str,
    columns: tuple[Column, ...],
    rows: list[Cells],
    listing: Listing,
    extra: str = "",
    more: Sequence[str] = (),
) -> str:
    if not rows:
        return finish([*nothing(noun, listing), *footer(listing)], listing.style)
    used = [
        n
        for n, column in enumerate(columns)
        if not (column.title == "SOURCE" and len({row[n] for row in rows}) < 2)
        and not (column.title in UNUSED and {row[n] for row in rows} <= {"", units.UNKNOWN})
    ]
    columns, rows = tuple(columns[n] for n in used), [tuple(row[n] for n in used) for row in rows]
    drawn = draw(columns, rows, listing.style)
    below = footer(listing, hidden=drawn.hidden, extra=extra)
    blocks = [block for block in (drawn.lines, more, below) if block]
    return finish([*blocks[0], *(n for b in blocks[1:] for n in ("", *b))], listing.style)


def node_cells(
    node: Node, gpus: Iterable[Gpu], now: datetime, idle_after_s: float = IDLE_AFTER_S
) -> Cells:
    """The cells of a node, in the order of `NODE_COLUMNS`; why it ails stands with the reason."""
    here = tuple(gpus)
    allocated = units.gpus(node.gpu_milli_allocated)
    idle = sum(is_idle(gpu, now, idle_after_s) for gpu in here)
    return (
        safe(node.name),
        SafeText(node.state.value),
        heat(here, node.gpu_count, placeable=node.placeable),
        SafeText(f"{allocated}/{node.gpu_count}" if node.gpu_count else "0"),
        units.percent(node.gpu_util_pct) if node.gpu_count else SafeText(""),
        SafeText(str(idle) if idle else ""),
        text(node.gpu_model) if node.gpu_count else SafeText(""),
        _of(units.gpus(node.cpu_milli_allocated), units.gpus(node.cpu_milli)),
        _of(units.size(node.memory_bytes_allocated), units.size(node.memory_bytes)),
        safe(",".join(node.queues)),
        safe("; ".join([*([node.reason] if node.reason else []), *ailing(here)])),
        safe(node.source),
    )


def ailing(gpus: Iterable[Gpu]) -> list[str]:
    """What is wrong with the GPUs of a node: `GPU 6 lost: the driver does not reach it`."""
    return [f"GPU {gpu.index} {fault_words(gpu.faults)}" for gpu in gpus if gpu.faults]


def gpu_cells(
    gpu: Gpu, owners: Sequence[str | None], now: datetime, idle_after_s: float = IDLE_AFTER_S
) -> Cells:
    """The cells of a GPU, in the order of `GPU_COLUMNS`; `owners` are the users of its runs."""
    unknown = gpu.tenants is None
    users = dict.fromkeys(user or "?" for user in owners)
    native = [run.removeprefix(f"{gpu.source}/") for run in gpu.runs]
    idle = is_idle(gpu, now, idle_after_s)
    return (
        safe(gpu.node),
        SafeText(str(gpu.index)),
        text(gpu.model),
        units.percent(gpu.util_pct),
        units.percent(gpu.util_max_pct),
        _of(units.size(gpu.mem_used_bytes), units.size(gpu.mem_total_bytes)),
        units.gpus(gpu.milli_allocated),
        units.UNKNOWN if unknown else safe(",".join(users)),
        units.UNKNOWN if unknown else safe(",".join(native)),
        units.duration(idle_s(gpu, now)) if idle else SafeText(""),
        units.gpu_hours(gpu_hours_idle(gpu, now)) if idle else SafeText(""),
        fault_word(gpu),
        units.whole(gpu.power_w),
        units.whole(gpu.temp_c),
        units.percent(gpu.sm_active_pct),
        units.age(units.since_s(gpu.read_at, now)),
        safe(gpu.how or ""),
        safe(gpu.measured_by or ""),
        safe(gpu.source),
    )


def queue_cells(queue: Queue, depth: int) -> Cells:
    """The cells of a queue, in the order of `QUEUE_COLUMNS`, `depth` levels below the root."""
    return (
        safe("  " * depth + queue.name),
        safe(queue.kind),
        safe(queue.state),
        units.number(queue.running),
        units.number(queue.waiting),
        units.gpus(queue.allocated_gpu_milli),
        units.gpus(queue.quota_gpu_milli),
        units.gpus(queue.limit_gpu_milli),
        units.gpus(queue.total_gpu_milli),
        units.gpus(queue.requested_gpu_milli),
        units.duration(queue.oldest_wait_s) if queue.waiting != 0 else SafeText(""),
        units.gpus(queue.fair_share_gpu_milli),
        safe(queue.source),
    )


def run_cells(run: Run, now: datetime) -> Cells:
    """The cells of a run, in the order of `RUN_COLUMNS`.

    The id is the scheduler's own, which every command takes and which fits a narrow terminal.
    """
    return (
        safe(run.native_id),
        safe(run.name),
        text(run.user),
        text(run.queue),
        SafeText("held" if run.held else run.state.value),
        run_gpus(run),
        units.duration(spent_s(run, now)),
        where_or_why(run),
        units.percent(run.gpu_util_pct) if run.state in HOLDING else SafeText(""),
        units.when(run.submitted_at),
        text(run.account),
        text(run.qos),
        units.number(run.priority),
        safe(run.source),
    )


def short_id(native_id: str) -> SafeText:
    """An id for a sentence: of a uuid the part that every command takes for the whole."""
    return safe(native_id[:8] if len(native_id) == 36 and "-" in native_id else native_id)


def run_gpus(run: Run) -> SafeText:
    """GPUs asked for, with the number of tasks where there are several: `4`, `2 x40`."""
    each = gpus_each(run.request)
    return SafeText(f"{each} x{run.count}") if run.count > 1 else each


def gpus_each(request: Request) -> SafeText:
    """GPUs of one task: `4`, `0.25`; `<=2` where two devices' share is unknown."""
    if request.gpu_milli is None:
        return SafeText(f"<={request.gpu_count}") if request.gpu_count else units.UNKNOWN
    return units.gpus(request.gpu_milli)


def spent_s(run: Run, now: datetime) -> float | None:
    """Seconds that the run waited, runs or ran, as its state says."""
    if run.state is RunState.PENDING:
        return run.wait_s(now)
    if run.started_at is None:
        return None
    until = now if run.state in HOLDING else run.ended_at
    return None if until is None else max(0.0, (until - run.started_at).total_seconds())


def where_or_why(run: Run) -> SafeText:
    """Where a run is, why it waits, or how it ended."""
    if run.placement:
        return placement_text(run.placement)
    if run.state in HOLDING or run.state is RunState.PENDING:
        return text(run.reason)
    code = f"exit {run.exit_code}" if run.exit_code is not None else ""
    return safe(", ".join(part for part in (code, run.reason or "") if part))


def placement_text(parts: Sequence[Placement]) -> SafeText:
    """Nodes with their GPU indices: `h01:0-3 h02:0,2`; `h03:?` where the indices are unknown."""
    return safe(" ".join(_part(part) for part in parts))


def _part(part: Placement) -> str:
    if part.gpus is None:
        return f"{part.node}:?"
    spans: list[list[int]] = []
    for index in sorted(part.gpus):
        if spans and index == spans[-1][-1] + 1:
            spans[-1][1:] = [index]
        else:
            spans.append([index])
    held = ",".join("-".join(map(str, span)) for span in spans)
    return f"{part.node}:{held}" if held else part.node


def text(words: str | None) -> SafeText:
    """Text that may be unknown."""
    return units.UNKNOWN if words is None else safe(words)


def _of(used: SafeText, total: SafeText) -> SafeText:
    if used == total == units.UNKNOWN:
        return units.UNKNOWN
    return SafeText(f"{used}/{total}")
