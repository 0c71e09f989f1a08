"""The page: what the agent knows as Prometheus text, in the names of dcgm-exporter and ours.

A value that could not be read is absent, never 0. The values are those of one window; who works on
a GPU stands in series of its own (`foundry_gpu_job_info`), to be joined by `UUID` and `GPU_I_ID`,
because job labels on every series multiply them.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import Metric as Family
from prometheus_client import generate_latest

from foundry_tui import __version__
from foundry_tui.agent.serving.names import BY_KEY, METRICS
from foundry_tui.agent.serving.windows import WINDOW_S, Place, Window, place
from foundry_tui.agent.shapes import GpuRound, Instance, ProcessUse, Round

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LABEL_MAX = 256
"""Characters of a label value at most."""

Labels = dict[str, str]


@dataclass
class Known:
    """What the agent knows when it is asked.

    `problem` is why there is nothing fresh (`unresponsive`, `crashed`, `nvml`), in words in
    `reason`. `age_s` is None before the first round. `errors` counts by call and code.
    """

    latest: Round | None = None
    window: Window | None = None
    age_s: float | None = None
    problem: str | None = None
    reason: str = ""
    errors: Counter[tuple[str, int]] = field(default_factory=Counter)


class _Page:
    """The families of one page; `generate_latest` asks for them by `collect`."""

    def __init__(self, names: frozenset[str] | None) -> None:
        self._names = names
        self._families: dict[str, Family] = {}
        self.counters: list[str] = []

    def add(self, name: str, words: str, labels: Labels, value: float) -> None:
        if self._names is not None and name not in self._names:
            return
        if name not in self._families:
            self._families[name] = Family(name, words, "gauge")
        self._families[name].add_sample(name, labels, value)

    def collect(self) -> Iterator[Family]:
        yield from self._families.values()

    def text(self) -> bytes:
        """The text. The escaping is prometheus_client's.

        Its writer adds `_total` to the name of every counter, and the names are those of
        dcgm-exporter, which have none: so it writes them as gauges, and their type is put right
        here. No other line can end so: a label value cannot hold a line break.
        """
        text = generate_latest(self)
        for name in self.counters:
            kind = f"# TYPE {name} ".encode()
            text = text.replace(kind + b"gauge\n", kind + b"counter\n")
        return text


def render(
    known: Known, *, host: str, jobs: bool, now: float, names: frozenset[str] | None = None
) -> bytes:
    """The page at unix time `now` of the host called `host`; runs and users only with `jobs`.

    With `names` it has the metrics of these names alone.
    """
    page = _Page(names)
    page.counters = [m.name for m in METRICS if m.type == "counter"]
    _agent(page, known, now, jobs=jobs)
    if known.latest is not None:
        base = _labels(Hostname=host)
        driver = _labels(DCGM_FI_DRIVER_VERSION=known.latest.driver)
        for gpu in known.latest.gpus:
            key = {**_labels(gpu=gpu.device.index, UUID=gpu.device.uuid), **base}
            _gpu(page, gpu, known, key, driver)
        if jobs and known.window is not None:
            _jobs(page, known.latest.gpus, known.window.processes or [], base)
    return page.text()


def _agent(page: _Page, known: Known, now: float, *, jobs: bool) -> None:
    """The agent itself: whether the driver answers, how old the values are, what its clock says."""
    build = _labels(version=__version__, python=platform.python_version())
    page.add("foundry_agent_build_info", "The version of the agent.", build, 1)
    page.add("foundry_agent_time_seconds", "The clock of this host (unix time).", {}, now)
    page.add(
        "foundry_agent_up",
        "Whether the driver answered the last reading in time.",
        {},
        0 if known.problem else 1,
    )
    if known.problem:
        page.add(
            "foundry_agent_problem_info",
            "Why there is nothing fresh.",
            _labels(problem=known.problem, reason=known.reason),
            1,
        )
    if known.age_s is not None:
        page.add(
            "foundry_agent_scrape_age_seconds",
            "Seconds since the driver was last read.",
            {},
            round(known.age_s, 3),
        )
    if known.latest is not None:
        page.add(
            "foundry_agent_collect_seconds",
            "Seconds that the last reading took in the driver.",
            {},
            known.latest.took_s,
        )
    if known.window is not None:
        _window(page, known.window, now, jobs=jobs)
    name = "foundry_agent_collect_errors_total"
    page.counters.append(name)
    for (call, code), count in sorted(known.errors.items()):
        page.add(name, "Calls that failed.", _labels(call=call, code=code), count)


def _window(page: _Page, window: Window, now: float, *, jobs: bool) -> None:
    """Which window the values are of. In the first minute it is told while it still fills."""
    full = window.end <= now
    page.add(
        "foundry_agent_window_end_timestamp_seconds",
        "End of the window that the values are of (unix time); while it fills, the last reading.",
        {},
        window.end if full else window.last_at,
    )
    page.add(
        "foundry_agent_window_seconds",
        "Length of the window that the values are of.",
        {},
        WINDOW_S if full else round(window.last_at - window.first_at, 3),
    )
    page.add(
        "foundry_agent_processes_known",
        "Whether runs are told: with 1, a GPU without foundry_gpu_job_info has no process.",
        {},
        1 if jobs and window.processes is not None else 0,
    )


def _gpu(page: _Page, gpu: GpuRound, known: Known, key: Labels, driver: Labels) -> None:
    device = gpu.device
    bus = _labels(pci_bus_id=device.pci_bus_id)
    model = _labels(device=f"nvidia{device.index}", modelName=device.model)
    mig = None if device.mig is None else int(device.mig)
    page.add(
        "foundry_gpu_info",
        "The keys by which a GPU is known; minor is the N of /dev/nvidiaN.",
        {**key, **bus, **model, **_labels(minor=device.minor, mig=mig)},
        1,
    )
    if not known.problem:
        up = 1 if gpu.failure is None else 0
        page.add("foundry_gpu_up", "Whether the GPU could be read.", key, up)
    for xid, seen_at in gpu.xids.items():
        page.add(
            "foundry_gpu_xid_timestamp_seconds",
            "When an XID error was last seen (unix time), by its code.",
            {**key, "xid": xid},
            seen_at,
        )
    if gpu.failure is not None:
        page.add(
            "foundry_gpu_failure_info",
            "Why a GPU cannot be read.",
            {**key, **_labels(reason=gpu.failure)},
            1,
        )
        return
    window = known.window
    if window is None:
        return
    whole = {**key, **bus, **model, **driver}
    if device.mem_total_bytes is not None:
        total = BY_KEY["fb_total"]
        page.add(total.name, total.words, whole, device.mem_total_bytes * total.factor)
    _values(page, window, place(gpu), whole)
    for one in gpu.instances:
        cut = _instance(one)
        page.add(
            "foundry_gpu_instance_info",
            "A MIG instance and its own UUID.",
            {**key, **cut, **_labels(instance_uuid=one.uuid)},
            1,
        )
        _values(page, window, place(gpu, one.gi, one.profile), {**whole, **cut})


def _values(page: _Page, window: Window, at: Place, labels: Labels) -> None:
    stats = window.values.get(at, {})
    for metric in METRICS:
        stat = stats.get(metric.key)
        if stat is None:
            continue
        value = round(stat.value(metric.over) * metric.factor, metric.digits)
        page.add(metric.name, metric.words, labels, value)
        if metric.peak:
            largest = round(stat.largest * metric.factor, metric.digits)
            page.add(metric.peak, f"Largest sample of {metric.name}.", labels, largest)
    if at in window.samples:
        page.add(
            "foundry_gpu_window_samples",
            "How often the GPU was read in the window.",
            labels,
            window.samples[at],
        )


def _jobs(page: _Page, gpus: list[GpuRound], uses: list[ProcessUse], base: Labels) -> None:
    """The runs on the GPUs: one series per run and GPU, and the sum over its processes."""
    index = {gpu.device.uuid: gpu.device.index for gpu in gpus}
    runs: dict[tuple[str, int, str], list[ProcessUse]] = {}
    for use in uses:
        if use.uuid in index:
            run = use.uuid, -1 if use.gi is None else use.gi, use.job or ""
            runs.setdefault(run, []).append(use)
    for (uuid, gi, job), group in sorted(runs.items()):
        key = {**_labels(gpu=index[uuid], UUID=uuid), **base}
        if gi >= 0:
            key.update(_labels(GPU_I_ID=gi))
        uids, hows = {use.uid for use in group}, {use.how for use in group}
        uid = uids.pop() if len(uids) == 1 else None
        how = hows.pop() if len(hows) == 1 else None
        key.update(_labels(jobid=job or None, uid=uid, how=how))
        page.add(
            "foundry_gpu_job_info",
            "A run on a GPU, and how it was found out; without jobid: processes of no known run.",
            key,
            1,
        )
        page.add("foundry_gpu_processes", "Processes of a run on a GPU.", key, len(group))
        used = [use.sm_util for use in group if use.sm_util is not None]
        if used:
            page.add(
                "foundry_gpu_process_sm_util",
                "SM utilization of the processes of a run together (in %).",
                key,
                round(sum(used), 3),
            )
        held = [use.mem_bytes for use in group if use.mem_bytes is not None]
        if held:
            page.add(
                "foundry_gpu_process_memory_bytes",
                "GPU memory of the processes of a run together.",
                key,
                sum(held),
            )


def _instance(instance: Instance) -> Labels:
    return _labels(GPU_I_PROFILE=instance.profile, GPU_I_ID=instance.gi)


def _labels(**given: str | int | None) -> Labels:
    """Labels of what is known. Bytes that are not UTF-8 are made visible; long values are cut."""
    return {
        name: str(value).encode("utf-8", "backslashreplace").decode()[:LABEL_MAX]
        for name, value in given.items()
        if value not in (None, "")
    }
