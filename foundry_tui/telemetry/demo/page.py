"""Pages of nodes that do not exist, as `foundry agent` writes them, for benchmarks and for trying.

What a node does follows from its number and the minute alone, so that two readers agree and a run
can be repeated: training that keeps its GPUs busy, interactive work in bursts, GPUs that a run
holds and does not use, free ones, a GPU that has grown hot and one that had an XID error.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry_tui.agent.serving.names import METRICS

WINDOW_S = 60
GPUS = 8
MODEL = "NVIDIA H100 80GB HBM3"
_TOTAL_MIB = 81_920
_FREE_W, _MOST_W = 72.0, 690.0
_LOADED = 29_000_000
"""The minute (of unix time) in which the driver was loaded."""
_ROUNDS = 6
"""How often a GPU is read in a window."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What goes on on one GPU: the job (None: nobody's), its user, and how busy it is (0 to 1)."""

    job: int | None
    uid: int
    busy: float


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric: its values by the text of their labels."""

    name: str
    words: str
    rows: Sequence[tuple[str, float | str]]
    type: str = "gauge"

    def text(self) -> str:
        """Its lines."""
        lines = [f"# HELP {self.name} {self.words}", f"# TYPE {self.name} {self.type}"]
        for labels, value in self.rows:
            lines.append(f"{self.name}{{{labels}}} {value}" if labels else f"{self.name} {value}")
        return "\n".join(lines) + "\n"


class DemoNode:
    """One node of `GPUS` GPUs; `number` decides what it does."""

    def __init__(self, number: int, name: str) -> None:
        self.number, self.name = number, name
        self._written: tuple[int, frozenset[str] | None, bytes] = (-1, None, b"")

    def page(self, now: float, names: frozenset[str] | None = None) -> bytes:
        """The page at unix time `now`: the values of the last whole minute.

        With `names` it has the metrics of these names alone.
        """
        minute = int(now // WINDOW_S)
        if self._written[:2] != (minute, names):
            told = [one for one in self._families(minute) if names is None or one.name in names]
            self._written = minute, names, "".join(one.text() for one in told).encode()
        clock = (
            _Family("foundry_agent_time_seconds", "The clock.", [("", f"{now:.3f}")]),
            _Family("foundry_agent_scrape_age_seconds", "Age.", [("", f"{now % 10:.3f}")]),
        )
        told = [one for one in clock if names is None or one.name in names]
        return "".join(one.text() for one in told).encode() + self._written[2]

    def _families(self, minute: int) -> Iterator[_Family]:
        keys = [
            f'Hostname="{self.name}",UUID="{_uuid(self.number, gpu)}",gpu="{gpu}"'
            for gpu in range(GPUS)
        ]
        model = [
            f'device="nvidia{gpu}",modelName="{MODEL}",'
            f'pci_bus_id="00000000:{16 * gpu + 24:02X}:00.0"'
            for gpu in range(GPUS)
        ]
        whole = [
            f'DCGM_FI_DRIVER_VERSION="580.95.05",{key},{device}'
            for key, device in zip(keys, model, strict=True)
        ]
        works = [_work(self.number, gpu, minute) for gpu in range(GPUS)]
        values = [_values(self.number, gpu, work, minute) for gpu, work in enumerate(works)]
        version = 'python="3.11.7",version="demo"'
        end = float(minute * WINDOW_S)
        yield _Family("foundry_agent_build_info", "The version.", [(version, 1.0)])
        yield _Family("foundry_agent_up", "Whether the driver answers.", [("", 1.0)])
        yield _Family("foundry_agent_collect_seconds", "How long it took.", [("", 0.004)])
        yield _Family("foundry_agent_window_end_timestamp_seconds", "Its end.", [("", end)])
        yield _Family("foundry_agent_window_seconds", "Its length.", [("", float(WINDOW_S))])
        yield _Family("foundry_agent_processes_known", "Whether runs are told.", [("", 1.0)])
        infos = [(f'{key},{model[gpu]},mig="0",minor="{gpu}"', 1.0) for gpu, key in enumerate(keys)]
        yield _Family("foundry_gpu_info", "The keys by which a GPU is known.", infos)
        yield _Family("foundry_gpu_up", "Whether it could be read.", [(key, 1.0) for key in keys])
        for metric in METRICS:
            told = [one[metric.key] for one in values]
            rows = list(zip(whole, told, strict=True))
            yield _Family(metric.name, metric.words, rows, metric.type)
            if metric.peak:
                largest = [(key, _largest(metric.key, value)) for key, value in rows]
                yield _Family(metric.peak, f"Largest sample of {metric.name}.", largest)
        samples = [(key, float(_ROUNDS)) for key in whole]
        yield _Family("foundry_gpu_window_samples", "How often it was read.", samples)
        held = [
            (f'{key},how="cgroup",jobid="{work.job}",uid="{work.uid}"', one["gpu_util"])
            for key, work, one in zip(keys, works, values, strict=True)
            if work.job is not None
        ]
        if held:
            each = [(key, 1.0) for key, _ in held]
            yield _Family("foundry_gpu_job_info", "A run on a GPU.", each)
            yield _Family("foundry_gpu_processes", "Processes of a run on a GPU.", each)
            yield _Family("foundry_gpu_process_sm_util", "SM utilization of a run.", held)


def _uuid(number: int, gpu: int) -> str:
    return f"GPU-{zlib.crc32(b'%d' % number):08x}-0000-4000-8000-{number:08d}{gpu:04d}"


def _work(number: int, gpu: int, minute: int) -> _Work:
    """A job holds 8, 4 or 2 neighbours for some hours; every kind of use has its share of nodes."""
    width = (8, 8, 4, 2)[number % 4]
    slot = gpu // width
    hours = 2 + number % 7
    turn = (minute // 60 + number) // hours
    kind = _chance(number, slot, turn)
    if kind < 0.12:
        return _Work(None, 0, 0.0)
    job, uid = 100_000 + number * 40 + turn % 40, 1000 + int(kind * 200)
    if kind < 0.24:
        return _Work(job, uid, 0.0)
    if kind < 0.45:
        burst = _chance(number, gpu, minute)
        return _Work(job, uid, burst if burst > 0.5 else 0.05)
    beat = 0.04 * math.sin(minute / 5 + gpu)
    return _Work(job, uid, min(1.0, 0.9 + beat - 0.1 * _chance(number, gpu, minute)))


def _values(number: int, gpu: int, work: _Work, minute: int) -> dict[str, float]:
    """Values by the keys of `agent.names`, in the units of the names there."""
    busy = work.busy
    used = 4.0 if work.job is None else round(_TOTAL_MIB * (0.15 + 0.75 * _chance(number, gpu)))
    power = round(_FREE_W + (_MOST_W - _FREE_W) * busy, 1)
    hot = _chance(number, gpu, 1) > 0.995 and busy > 0.5
    return {
        "gpu_util": round(100 * busy, 1),
        "mem_copy_util": round(45 * busy, 1),
        "fb_used": float(used),
        "fb_total": float(_TOTAL_MIB),
        "fb_free": float(_TOTAL_MIB - used - 600),
        "fb_reserved": 600.0,
        "power": power,
        "energy": float((minute - _LOADED) * 350 * 60_000),
        "gpu_temp": 90.0 if hot else round(31 + 40 * busy, 1),
        "mem_temp": round(38 + 45 * busy, 1),
        "sm_clock": 1200.0 if hot else 1980.0 if busy else 345.0,
        "mem_clock": 2619.0,
        "throttle": 64.0 if hot else 0.0 if busy else 1.0,
        "xid": 79.0 if _chance(number, gpu, 2) > 0.9995 else 0.0,
        "ecc_sbe": 0.0,
        "ecc_dbe": 0.0,
        "rows_correctable": 0.0,
        "rows_uncorrectable": 0.0,
        "row_pending": 0.0,
        "row_failure": 0.0,
        "gr_engine": round(busy, 6),
        "sm_active": round(0.9 * busy, 6),
        "sm_occupancy": round(0.35 * busy, 6),
        "tensor": round(0.5 * busy, 6),
        "dram": round(0.4 * busy, 6),
    }


def _largest(key: str, mean: float) -> float:
    """The largest of the samples that a mean is of."""
    if key in ("gr_engine", "sm_active"):
        return min(1.0, round(mean * 1.05, 6))
    return min(100.0, round(mean * 1.05, 1)) if key == "gpu_util" else mean


def _chance(*of: int) -> float:
    """A number of 0 to 1 that only the arguments decide."""
    return zlib.crc32(repr(of).encode()) / 0xFFFFFFFF
