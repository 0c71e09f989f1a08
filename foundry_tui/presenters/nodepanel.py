"""A node and a GPU as panels: what they are, what they do, and who holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from foundry_tui.estate.gpu import Gpu, GpuSlice, Share
from foundry_tui.estate.node import Node
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, clip, pad, safe
from foundry_tui.estate.waste import gpu_hours_idle
from foundry_tui.presenters import heat, units
from foundry_tui.presenters.health import fault_word, fault_words, grave
from foundry_tui.presenters.tables import ailing, gpus_each, short_id, spent_s, text
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph

GLYPH_TONES = {"!": "warn", "?": "warn", "x": "bad", ".": "dim", "F": "bad"}
"""Glyph of a GPU -> its tone; a digit has the tone of its tens of per cent."""


NOBODY = "nobody says who holds it"
GUESSED = " (its scheduler counts GPUs and does not say which: this one by order alone)"

PORTION = "a share of a GPU's memory, not of its compute"
"""What a portion of a GPU is with Run:ai and KAI; Slurm's shards and MPS are told otherwise."""


def glyph_tone(glyph: str) -> str:
    """The tone of a GPU's glyph."""
    return f"heat{glyph}" if glyph.isdecimal() else GLYPH_TONES.get(glyph, "")


def node_facts(node: Node, gpus: Sequence[Gpu], now: datetime) -> list[tuple[str, str]]:
    """What is known of a node with these GPUs, each with its name."""
    count = SafeText(str(node.gpu_count))
    since = units.since_s(node.reason_since, now)
    why = f"{node.reason}{f', for {units.duration(since)}' if since else ''}" if node.reason else ""
    facts = [
        ("state", f"{node.state.value}{'' if node.placeable else ', takes no new run'}"),
        ("reason", why),
        ("faults", "; ".join(ailing(gpus))),
        ("GPUs", _of(units.gpus(node.gpu_milli_allocated), count) if node.gpu_count else "none"),
        ("model", node.gpu_model or ""),
        ("in use", _node_use(node)),
        ("CPUs", _of(units.gpus(node.cpu_milli_allocated), units.gpus(node.cpu_milli))),
        ("memory", _of(units.size(node.memory_bytes_allocated), units.size(node.memory_bytes))),
        ("queues", ", ".join(node.queues)),
        ("features", ", ".join(node.features)),
        ("source", f"{node.source}, read {units.age(units.since_s(node.read_at, now))} ago"),
    ]
    return [(name, value) for name, value in facts if value]


def _node_use(node: Node) -> str:
    """The mean of the node's GPUs, and of how many where it is not all."""
    if not node.gpu_count:
        return ""
    if node.gpu_util_pct is None:
        return "not measured"
    count = node.gpu_measured_count
    of = "" if count in (None, node.gpu_count) else f" of {count} that are measured"
    return f"{units.percent(node.gpu_util_pct)} on average{of}"


def _of(used: SafeText, total: SafeText) -> str:
    return "" if used == total == units.UNKNOWN else f"{used} of {total} allocated"


def gpu_facts(gpu: Gpu, now: datetime) -> list[tuple[str, str]]:
    """What is known of a GPU, each with its name; how it was measured and how long ago."""
    idle_s = units.since_s(gpu.idle_since, now)
    held, guessed = units.gpus(gpu.milli_allocated), GUESSED if gpu.guessed else ""
    lost = f"{units.gpu_hours(gpu_hours_idle(gpu, now))} GPU-hours lost"
    facts = [
        ("GPU", f"{gpu.index} of {gpu.node}"),
        ("minor", "" if gpu.minor is None else str(gpu.minor)),
        ("model", text(gpu.model)),
        ("uuid", text(gpu.uuid)),
        ("FAULT" if grave(gpu) else "fault", fault_words(gpu.faults)),
        ("in use", _use(gpu)),
        ("memory", f"{units.size(gpu.mem_used_bytes)} of {units.size(gpu.mem_total_bytes)}"),
        ("power", _measured(gpu.power_w, "W")),
        ("temperature", _measured(gpu.temp_c, "°C")),
        ("SM clock", "" if gpu.sm_clock_mhz is None else f"{gpu.sm_clock_mhz} MHz"),
        ("held", f"{held} of 1{guessed}" if gpu.tenants is not None else NOBODY),
        ("portion", PORTION if _portioned(gpu) else ""),
        ("idle", f"for {units.duration(idle_s)}, while it is held: {lost}" * (idle_s is not None)),
        ("measured", _measured_when(gpu, now)),
        ("source", gpu.source),
    ]
    facts += [(f"part {n}", _part(part)) for n, part in enumerate(gpu.slices)]
    return [(name, value) for name, value in facts if value]


def _use(gpu: Gpu) -> str:
    """The mean of the last window with its greatest value, and how much of the device worked."""
    peak = f", at most {units.percent(gpu.util_max_pct)}" if gpu.util_max_pct is not None else ""
    active = [
        f"{name} {units.percent(value)}"
        for name, value in (
            ("SM", gpu.sm_active_pct),
            ("tensor", gpu.tensor_active_pct),
            ("memory", gpu.dram_active_pct),
        )
        if value is not None
    ]
    more = f"; active: {', '.join(active)}" if active else ""
    return f"{units.percent(gpu.util_pct)}{peak}{more}"


def _measured_when(gpu: Gpu, now: datetime) -> str:
    """How long ago, by which source and how; the age first, as the end is cut."""
    age_s = units.since_s(gpu.read_at, now)
    if age_s is None:
        return gpu.how or "not measured"
    by = f" by {gpu.measured_by}" if gpu.measured_by else ""
    return f"{units.age(age_s)} ago{by}{f': {gpu.how}' if gpu.how else ''}"


def _part(part: GpuSlice) -> str:
    used = f", {units.percent(part.util_pct)} in use" if part.util_pct is not None else ""
    return f"{part.profile}: {part.run or 'free'}{used}"


def _portioned(gpu: Gpu) -> bool:
    return any(t.share is Share.FRACTION for t in gpu.tenants or ())


def portion_lines(gpus: Iterable[Gpu], width: int) -> list[Line]:
    """What the portions are, where one of these GPUs is held in portions."""
    if not any(_portioned(gpu) for gpu in gpus):
        return []
    return paragraph(f"A portion is {PORTION}.", width, tone="dim")


def _measured(value: float | None, unit: str) -> str:
    return units.UNKNOWN if value is None else f"{units.number(value)} {unit}"


def gpu_lines(
    gpus: Iterable[Gpu], owners: Mapping[str, Run], width: int, *, placeable: bool = True
) -> list[Line]:
    """One line per GPU: what it does, its memory, power and temperature, and who holds it."""
    lines: list[Line] = []
    for gpu in gpus:
        glyph = heat.glyph(gpu, placeable=placeable)
        told = (
            f"{pad(units.percent(gpu.util_pct), 5, 'right')} "
            f"{pad(_memory(gpu), 9, 'right')} {pad(_watts(gpu), 5, 'right')}  "
        )
        head: Line = [(f" {gpu.index:>2} ", "dim"), (glyph, glyph_tone(glyph)), (told, "")]
        ill = f"{fault_word(gpu)} · " if gpu.faults else ""
        left = max(0, width - 5 - len(told) - len(ill))
        tone = "bad" if grave(gpu) else "warn"
        lines.append([*head, (ill, tone), (clip(_holders(gpu, owners), left), "")])
    return lines


def _memory(gpu: Gpu) -> SafeText:
    if gpu.mem_used_bytes is None and gpu.mem_total_bytes is None:
        return units.UNKNOWN
    return SafeText(f"{units.size(gpu.mem_used_bytes)}/{units.size(gpu.mem_total_bytes)}")


def _watts(gpu: Gpu) -> SafeText:
    return units.UNKNOWN if gpu.power_w is None else SafeText(f"{gpu.power_w:.0f}W")


def _holders(gpu: Gpu, owners: Mapping[str, Run]) -> SafeText:
    if gpu.tenants is None:
        return SafeText(NOBODY)
    found = []
    for tenant in gpu.tenants:
        run = owners.get(tenant.run)
        who = f"{run.user or '?'}/{run.name}" if run else tenant.run
        found.append(who if tenant.milli >= 1000 else f"{who} {units.gpus(tenant.milli)}")
    return safe(", ".join(found) or "free")


def _counted(run: Run) -> str:
    each = gpus_each(run.request)
    return f"{each} GPU{'s' * (each != '1')}"


def node_line(node: Node, runs: Iterable[Run], now: datetime, width: int) -> Line:
    """Who is on a node, on one line: `a03: bob/ft-77 88123 2 GPUs 75% 6h12m`."""
    on = [
        f"{run.user or '?'}/{run.name} {short_id(run.native_id)} {_counted(run)} "
        f"{units.percent(run.gpu_util_pct)} {units.duration(spent_s(run, now))}"
        for run in runs
        if run.source == node.source and any(p.node == node.name for p in run.placement)
    ]
    state = "" if node.placeable else f"{node.state.value}: {node.reason or 'no reason told'} · "
    told = f"{state}{' · '.join(on) or 'no run is on it'}"
    head = clip(safe(f" {node.name}: "), 40)
    return [(head, "strong"), (clip(safe(told, max_cells=1024), max(1, width - len(head))), "")]


def node_lines(
    node: Node, gpus: Sequence[Gpu], runs: Sequence[Run], now: datetime, width: int
) -> list[Line]:
    """A node with its GPUs: the panel beside a list."""
    owners = {run.id: run for run in runs}
    lines: list[Line] = [[(f" {clip(safe(node.name), width - 1)}", "title")]]
    lines += pairs(node_facts(node, gpus, now), width)
    if gpus:
        lines += [[], heading("GPU      use    memory power  who")]
        lines += gpu_lines(gpus, owners, width, placeable=node.placeable)
        lines += portion_lines(gpus, width)
    elif node.gpu_count:
        lines += [[], [(f" {node.source} tells nothing of its single GPUs", "dim")]]
    return lines
