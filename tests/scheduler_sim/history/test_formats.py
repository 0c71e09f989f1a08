"""Each format by a hand-made sample: every number that a replay takes from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.history import History, HistoryError, read_history
from scheduler_sim.history.helios import UNBOUNDED
from scheduler_sim.queues.jobs import NO_LIMIT_S
from tests.scheduler_sim.history import samples
from tests.scheduler_sim.history.samples import written


def requests(history: History) -> list[Request]:
    return [history.jobs.kinds[kind] for kind in history.jobs.kind]


def users(history: History) -> list[str]:
    return [history.jobs.users[row] for row in history.jobs.user]


def accounts(history: History) -> list[str]:
    return [history.jobs.accounts[row] for row in history.jobs.account]


def test_openb_lasts_from_scheduled_to_deleted_and_rejects_what_never_started(
    tmp_path: Path,
) -> None:
    history = read_history(written(tmp_path, samples.OPENB))
    jobs = history.jobs
    assert jobs.names == ("pod-a", "pod-c", "pod-b")
    assert jobs.submit_s.tolist() == [0, 30, 60]
    # pod-b has no deletion: it lives to second 1000, the last that the file knows
    assert jobs.duration_s.tolist() == [290, 860, 840]
    assert requests(history) == [
        Request(1, 500, 4000, 8192),
        Request(0, 1000, 1000, 1024),
        Request(2, 1000, 8000, 16384, ("T4", "P100")),
    ]
    assert jobs.limit_s.tolist() == jobs.duration_s.tolist()
    assert history.nodes is None
    (reject,) = history.rejects.first
    assert (reject.line, reject.field) == (5, "scheduled_time")
    assert "never started" in reject.reason
    assert any("1 pods without a deletion live to second 1000" in note for note in history.notes)


def test_helios_shares_gpus_out_over_nodes_and_takes_the_day_with_most(tmp_path: Path) -> None:
    written(tmp_path, samples.HELIOS_GPUS, "cluster_gpu_number.csv")
    history = read_history(written(tmp_path, samples.HELIOS, "cluster_log.csv"))
    jobs = history.jobs
    assert jobs.names == ("11", "12")
    assert jobs.submit_s.tolist() == [0, 300]
    assert jobs.duration_s.tolist() == [3600, 60]
    assert jobs.nodes.tolist() == [1, 2]
    assert requests(history) == [
        Request(8, 1000, 32_000),
        Request(5, 1000, 2000),
    ]
    assert users(history) == ["u1", "u2"]
    assert accounts(history) == ["vcA", "vcB"]
    assert history.nodes is not None
    assert len(history.nodes) == 4  # 28 GPUs in nodes of 8
    assert history.nodes[0] == NodeSpec("helios-0000", 8, "", UNBOUNDED, UNBOUNDED)
    assert history.rejects.by_reason == (
        ("start_time: never started, so its duration is not known", 1),
    )
    assert any("1 amounts do not divide evenly" in note for note in history.notes)
    assert "2020-05-01 10:00:00" in history.notes[0]


def test_pai_takes_users_and_submissions_from_the_job_table(tmp_path: Path) -> None:
    written(tmp_path, samples.PAI_JOBS, "pai_job_table.csv")
    written(tmp_path, samples.PAI_MACHINES, "pai_machine_spec.csv")
    history = read_history(written(tmp_path, samples.PAI_TASKS, "pai_task_table.csv"))
    jobs = history.jobs
    assert jobs.names == ("job1/worker", "job1/ps", "job2/worker")
    assert jobs.submit_s.tolist() == [0, 0, 1050]
    assert jobs.duration_s.tolist() == [600, 600, 100]
    assert jobs.nodes.tolist() == [2, 1, 1]
    assert requests(history) == [
        Request(1, 500, 6000, 30_000, ("T4",)),
        Request(0, 1000, 4000, 8192),
        Request(2, 1000, 8000, 16_384, ("V100",)),
    ]
    assert users(history) == ["anna", "anna", "ben"]
    assert history.nodes == (
        NodeSpec("m1", 2, "T4", 96_000, 524_288),
        NodeSpec("m2", 8, "V100", 96_000, 524_288),
        NodeSpec("m3", 0, "CPU", 96_000, 524_288),
    )
    assert dict(history.rejects.by_reason) == {
        "start_time: never started, so its duration is not known": 1,
        "end_time: not ended yet, so its duration is not known": 1,
    }
    assert any("1 tasks asked for more than one GPU and a part" in note for note in history.notes)


def test_pai_alone_says_that_waits_are_unknown_and_takes_a_header(tmp_path: Path) -> None:
    header = (
        "job_name,task_name,inst_num,status,start_time,end_time,plan_cpu,plan_mem,plan_gpu,gpu_type"
    )
    history = read_history(written(tmp_path, f"{header}\n{samples.PAI_TASKS}"))
    assert history.format == "pai"
    assert history.jobs.submit_s.tolist() == [0, 0, 1000]
    assert users(history) == ["", "", ""]
    assert history.nodes is None
    assert any("waits are unknown" in note for note in history.notes)


def test_philly_adds_attempts_up_and_packs_gpus_by_the_machine_list(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, samples.PHILLY, "cluster_job_log"))
    jobs = history.jobs
    assert jobs.names == ("app_3", "app_1")
    assert jobs.submit_s.tolist() == [0, 3600]
    assert jobs.duration_s.tolist() == [180, 180]  # 60 + 120 s of two attempts
    assert jobs.nodes.tolist() == [1, 1]
    assert requests(history) == [Request(8), Request(8)]
    assert users(history) == ["vic", "uma"]
    assert accounts(history) == ["vc1", "vc1"]
    assert [(r.field, r.line > 1) for r in history.rejects.first] == [("attempts", True)]

    written(tmp_path, samples.PHILLY_MACHINES, "cluster_machine_list")
    history = read_history(tmp_path / "cluster_job_log")
    assert history.jobs.nodes.tolist() == [2, 2]
    assert requests(history) == [Request(4), Request(4)]
    assert history.nodes == (NodeSpec("m1", 2, "12GB", 0, 0), NodeSpec("m2", 4, "24GB", 0, 0))


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"submitted_time": None}, "submitted_time", "missing"),
        ({"submitted_time": "2017-09-01 13:00:00"}, "start_time", "before the start"),
        ({"attempts": "none"}, "attempts", "no list"),
        ({"attempts": [3]}, "attempts", "no JSON object"),
        ({"user": ["u"]}, "user", "no text"),
        ({"attempts": [{"start_time": "2017-09-01 12:01:00"}]}, "end_time", "not ended yet"),
        ({"attempts": [{"start_time": "None", "end_time": "None"}]}, "start_time", "missing"),
        (
            {
                "attempts": [
                    {
                        "start_time": "2017-09-01 12:01:00",
                        "end_time": "2017-09-01 12:00:30",
                        "detail": [{"gpus": ["gpu0"]}],
                    }
                ]
            },
            "end_time",
            "before the start",
        ),
        (
            {
                "attempts": [
                    {
                        "start_time": "2017-09-01 12:01:00",
                        "end_time": "2017-09-01 12:02:00",
                        "detail": [{"ip": "m1", "gpus": []}],
                    }
                ]
            },
            "detail",
            "names no GPU",
        ),
    ],
)
def test_philly_rejects_a_job_by_its_field(
    tmp_path: Path, changes: dict[str, object], field: str, reason: str
) -> None:
    text = json.dumps([samples.philly_job(), samples.philly_job(**changes)], indent=1)
    history = read_history(written(tmp_path, text))
    (reject,) = history.rejects.first
    assert (reject.field, reason in reject.reason) == (field, True)
    assert text.splitlines()[reject.line - 1].strip() == "{"
    assert len(history.jobs) == 1


def test_philly_reads_jobs_over_the_borders_of_what_it_buffers(tmp_path: Path) -> None:
    many = [samples.philly_job(jobid=f"app_{i:05d}") for i in range(1500)]
    history = read_history(written(tmp_path, json.dumps(many)))
    assert history.jobs.names == tuple(f"app_{i:05d}" for i in range(1500))


@pytest.mark.parametrize(
    "text",
    ["[{}", "[{},", "[1]", "[{} {}]", '[{"a": }]', "[" * 5000, "[{]", '[{"n": ' + "9" * 5000],
)
def test_philly_that_is_no_array_of_objects_is_an_error_with_its_line(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(HistoryError, match="history line 1: no JSON array of jobs"):
        read_history(written(tmp_path, text), "philly")


def test_swf_takes_processors_as_cores_of_the_nodes_in_its_header(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, samples.SWF, "log.swf"))
    jobs = history.jobs
    assert jobs.names == ("1", "2", "5")
    assert jobs.submit_s.tolist() == [0, 10, 40]
    assert jobs.duration_s.tolist() == [100, 60, 50]
    assert jobs.limit_s.tolist() == [200, NO_LIMIT_S, 40]
    assert jobs.nodes.tolist() == [1, 2, 2]
    assert requests(history) == [
        Request(cpu_milli=4000),
        Request(cpu_milli=4000),
        Request(cpu_milli=3000),
    ]
    assert users(history) == ["3", "4", "3"]
    assert history.nodes is not None
    assert [node.cpu_milli for node in history.nodes] == [4000] * 4
    assert dict(history.rejects.by_reason) == {
        "limit: a time limit of 0": 1,
        "run time: never started, so its duration is not known": 1,
    }
    assert any("1 runs lasted longer than their time limit" in note for note in history.notes)


def test_swf_leaves_out_parts_of_runs_that_have_a_line_of_their_own(tmp_path: Path) -> None:
    part = samples.SWF.replace("-1 1  4 1", "-1 3  4 1")
    history = read_history(written(tmp_path, part))
    assert "2" not in (history.jobs.names or ())
    assert any(r.field == "status" and r.line == 7 for r in history.rejects.first)


def test_swf_without_a_header_knows_no_nodes(tmp_path: Path) -> None:
    bare = "\n".join(line for line in samples.SWF.splitlines() if line[0] != ";")
    history = read_history(written(tmp_path, bare))
    assert history.format == "swf"
    assert history.nodes is None
    assert history.jobs.nodes.tolist() == [4, 8, 6]


def test_swf_header_that_cannot_be_true_is_an_error(tmp_path: Path) -> None:
    text = samples.SWF.replace("MaxNodes: 4", "MaxNodes: 99999999999")
    with pytest.raises(HistoryError, match="MaxNodes"):
        read_history(written(tmp_path, text))


def test_sacct_takes_what_a_run_had_and_binds_the_model_it_asked_for(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, samples.SACCT))
    jobs = history.jobs
    assert jobs.names == ("70", "71")
    assert jobs.submit_s.tolist() == [0, 60]
    assert jobs.duration_s.tolist() == [3600, 120]
    assert jobs.limit_s.tolist() == [7200, NO_LIMIT_S]
    assert jobs.nodes.tolist() == [2, 1]
    # run 70 had h100 and had not asked for it; run 71 held 4 CPUs and had asked for 3
    assert requests(history) == [
        Request(4, 1000, 4000, 32_768),
        Request(1, 1000, 4000, 1000, ("a100",)),
    ]
    assert users(history) == ["kim", "lee"]
    assert accounts(history) == ["ml", "bio"]
    assert jobs.priority.tolist() == [11300, 10]
    assert [(r.line, r.field) for r in history.rejects.first] == [(4, "Start"), (5, "End")]


def sacct_row(tmp_path: Path, **changes: str) -> History:
    """The first row of the sample with other cells, after the row as it is."""
    header, row, *_ = samples.SACCT.splitlines()
    cells = dict(zip(header.split("|"), row.split("|"), strict=True)) | changes
    return read_history(written(tmp_path, "\n".join((header, row, "|".join(cells.values())))))


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"JobIDRaw": "70.batch"}, "JobIDRaw", "dump with -X"),
        ({"JobIDRaw": ""}, "JobIDRaw", "missing"),
        ({"Submit": "soon"}, "Submit", "no date"),
        ({"Submit": "2026-02-03"}, "Submit", "no date"),
        ({"Submit": "1970-01-01T00:00:00"}, "Submit", "1990"),
        ({"Start": "2026-02-03T07:00:00"}, "Start", "before the start"),
        ({"End": "2026-02-03T08:00:01"}, "End", "before the start"),
        ({"ElapsedRaw": "-4"}, "ElapsedRaw", "negative"),
        ({"ElapsedRaw": "nan"}, "ElapsedRaw", "missing"),
        ({"ElapsedRaw": "inf"}, "ElapsedRaw", "no number"),
        ({"TimelimitRaw": "0"}, "limit", "time limit of 0"),
        ({"TimelimitRaw": "1.5"}, "TimelimitRaw", "no whole number"),
        ({"NNodes": "0"}, "NNodes", "at least 1"),
        ({"AllocTRES": "", "ReqTRES": ""}, "AllocTRES", "missing"),
        ({"AllocTRES": "cpu"}, "AllocTRES", "name=count"),
        ({"AllocTRES": "cpu=1,mem=4X"}, "AllocTRES mem", "no size"),
        ({"AllocTRES": "cpu=1,gres/gpu=two"}, "AllocTRES gres/gpu", "no number"),
        ({"AllocTRES": "cpu=1,gres/shard=2"}, "AllocTRES", "shard"),
        ({"AllocTRES": "cpu=1,gres/gpu:1g.10gb=1,gres/gpu=1"}, "AllocTRES", "MIG"),
        ({"AllocTRES": "node=1"}, "request", "asks for nothing"),
    ],
)
def test_sacct_rejects_a_row_by_its_field(
    tmp_path: Path, changes: dict[str, str], field: str, reason: str
) -> None:
    history = sacct_row(tmp_path, **changes)
    (reject,) = history.rejects.first
    assert (reject.line, reject.field) == (3, field)
    assert reason in reject.reason
    assert len(history.jobs) == 1


def test_sacct_without_what_is_needed_says_how_to_make_the_dump(tmp_path: Path) -> None:
    text = samples.SACCT.replace("ReqTRES|AllocTRES", "A|B")
    with pytest.raises(
        HistoryError, match="AllocTRES or ReqTRES; make the dump with: TZ=UTC sacct"
    ):
        read_history(written(tmp_path, text))


def test_sacct_counts_a_typed_gpu_once_and_sums_types(tmp_path: Path) -> None:
    history = sacct_row(
        tmp_path,
        NNodes="1",
        AllocTRES="cpu=2,gres/gpu:a100=1,gres/gpu:h100=2,mem=1K",
        ReqTRES="cpu=2,gres/gpu=3",
    )
    assert requests(history)[1] == Request(3, 1000, 2000, 1)


def test_sacct_reads_the_sample_dump_of_the_project(tmp_path: Path) -> None:
    sample = Path(__file__).parents[3] / "data/sacct-sample.csv"
    history = read_history(sample)
    assert history.format == "sacct"
    assert len(history.jobs) + history.rejects.count == 200
    assert any("gres/shard" in reason for reason, _ in history.rejects.by_reason)


@pytest.mark.parametrize(
    ("format", "name", "text", "count"),
    [
        ("philly", "cluster_machine_list", f"{samples.PHILLY_MACHINES}m1,8,24GB\n", 2),
        ("philly", "cluster_machine_list", f"{samples.PHILLY_MACHINES}m3,65,24GB\n", 2),
        ("pai", "pai_machine_spec.csv", f"{samples.PAI_MACHINES}m3,T4,96,512,2\n", 3),
        ("pai", "pai_machine_spec.csv", f"{samples.PAI_MACHINES}m4,T4,-1,512,2\n", 3),
        ("helios", "cluster_gpu_number.csv", f"{samples.HELIOS_GPUS}2020-05-03,1,1,many\n", 4),
    ],
)
def test_a_machine_that_cannot_be_is_a_reject_of_its_file(
    tmp_path: Path, format: str, name: str, text: str, count: int
) -> None:
    written(tmp_path, text, name)
    history = read_history(written(tmp_path, samples.EVERY[format]))
    assert history.nodes is not None
    assert len(history.nodes) == count
    assert [r.line for r in history.rejects.first if r.file == name] == [text.count("\n")]


@pytest.mark.parametrize("total", ["0", "99999999999"])
def test_helios_totals_that_cannot_be_are_an_error(tmp_path: Path, total: str) -> None:
    written(tmp_path, f"date,total\n2020-05-01,{total}\n", "cluster_gpu_number.csv")
    with pytest.raises(HistoryError, match=r"cluster_gpu_number\.csv: total"):
        read_history(written(tmp_path, samples.HELIOS))


def test_a_gang_and_a_node_that_no_cluster_has_are_rejects(tmp_path: Path) -> None:
    text = samples.OPENB + "p,1,1,65,1000,,LS,Failed,1,4,1\n"
    assert read_history(written(tmp_path, text)).rejects.first[-1].field == "gpus"
    text = samples.PAI_TASKS.replace("2.0,Term", "1048577.0,Term")
    assert read_history(written(tmp_path, text)).rejects.first[0].field == "nodes"
