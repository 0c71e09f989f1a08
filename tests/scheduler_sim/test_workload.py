"""Arrivals are the same for the same seed, and the trace reader names what it cannot read."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from scheduler_sim.cluster import Request
from scheduler_sim.jobs import JobSpec
from scheduler_sim.workload import TRACE_FIELDS, Arrivals, Person, Template, read_trace

TEMPLATE = Template(name="train", request=Request(gpus=2), mean_s=3600, weight=1, queues=("gpu",))
PEOPLE = (Person("ada", "ml", 3), Person("bo", "bio"))
TRACE = Path(__file__).parents[2] / "data" / "trace.csv"


def arrivals(seed: int, load: float = 1.0, template: Template = TEMPLATE) -> Arrivals:
    return Arrivals((template,), PEOPLE, total_milli=64_000, load=load, start_s=0, seed=seed)


def test_a_seed_means_the_same_runs() -> None:
    first, again, other = (list(islice(arrivals(s), 50)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_arrivals_come_in_order_and_at_the_rate_of_the_load() -> None:
    found = list(islice(arrivals(3, load=0.5), 4000))
    times = [at_s for at_s, _ in found]
    assert times == sorted(times)
    # A run holds 2 GPUs for an hour on average, and half of 64 GPUs are to be kept busy.
    assert times[-1] / len(times) == pytest.approx(2 * 3600 / (0.5 * 64), rel=0.06)
    mean_s = sum(job.duration_s for _, job in found) / len(found)
    assert mean_s == pytest.approx(3600, rel=0.1)


def test_people_submit_as_often_as_their_weights_say() -> None:
    users = [job.user for _, job in islice(arrivals(5), 2000)]
    assert users.count("ada") / len(users) == pytest.approx(0.75, abs=0.04)


def test_time_limits_are_half_hours_and_no_longer_than_people_ask_for() -> None:
    template = Template(
        name="t",
        request=Request(gpus=1),
        mean_s=7200,
        weight=1,
        queues=("gpu",),
        longest_limit_s=4 * 3600,
    )
    limits = {job.limit_s for _, job in islice(arrivals(1, template=template), 200)}
    assert limits <= {1800 * n for n in range(1, 9)}
    assert max(limit for limit in limits if limit) == 4 * 3600


def test_runs_without_limits_ask_for_none() -> None:
    template = Template(
        name="t", request=Request(gpus=1), mean_s=60, weight=1, longest_limit_s=None
    )
    jobs = [job for _, job in islice(arrivals(1, template=template), 20)]
    assert {job.limit_s for job in jobs} == {None}
    assert {job.queue for job in jobs} == {"ml", "bio"}


def test_a_stream_without_gpus_or_people_is_refused() -> None:
    empty = Template(name="cpu", request=Request(), mean_s=60, weight=1)
    with pytest.raises(ValueError, match=r"^templates: none"):
        arrivals(1, template=empty)
    with pytest.raises(ValueError, match="at least one of each"):
        Arrivals((TEMPLATE,), (), total_milli=1, load=1, start_s=0, seed=1)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"duration_s": 0}, "duration_s"), ({"nodes": 0}, "nodes"), ({"limit_s": 0}, "limit_s")],
)
def test_a_run_that_makes_no_sense_is_refused(values: dict[str, int], field: str) -> None:
    fields = {"duration_s": 1, **values}
    with pytest.raises(ValueError, match=f"^{field}: "):
        JobSpec(
            name="x",
            user="ada",
            account="ml",
            queue="gpu",
            request=Request(),
            **fields,  # type: ignore[arg-type]
        )


HEAD = ",".join(TRACE_FIELDS)


def test_the_trace_of_the_project_is_read() -> None:
    trace = read_trace(TRACE.read_text().splitlines())
    assert len(trace) == 100
    assert [a.submit_s for a in trace] == sorted(a.submit_s for a in trace)
    assert {a.request.gpu_milli for a in trace} == {250, 1000}
    assert sum(a.request.gpus for a in trace) > 100


def test_rows_are_put_in_order_of_arrival() -> None:
    trace = read_trace([HEAD, "b,1000,10,0,0,7,60", "a,2000,20,1,500,3,30"])
    assert [a.name for a in trace] == ["a", "b"]
    assert trace[0].request == Request(1, 500, 2000, 20)
    assert trace[1].request == Request(0, 1000, 1000, 10)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the header has no column name"),
        (["name,cpu_milli"], "no column memory_mib, num_gpu"),
        ([HEAD, "a,1,1,1,1000,x,1"], "trace line 2: submit_s: no whole number: 'x'"),
        ([HEAD, "a,1,1,1,1000,1"], "trace line 2: duration_s: no whole number: None"),
        ([HEAD, "a,1,1,1,1000,1,nan"], "trace line 2: duration_s: no whole number: 'nan'"),
        ([HEAD, "a,-1,1,1,1000,1,1"], "trace line 2: cpu_milli: below 0: -1"),
        ([HEAD, "a,1,1,1,1001,1,1"], "trace line 2: gpu_milli: a share is 1..1000"),
        ([HEAD, "a,1,1,1,0,1,1"], "trace line 2: gpu_milli: a share is 1..1000"),
    ],
)
def test_a_bad_trace_names_line_and_column(lines: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_trace(lines)
