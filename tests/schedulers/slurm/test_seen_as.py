"""The job ids by which a node knows the processes of a run."""

from __future__ import annotations

from datetime import UTC, datetime

from foundry_tui.schedulers.slurm.jobs import to_runs
from foundry_tui.schedulers.slurm.rows import JobRow, JobTable

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def test_a_running_task_of_an_array_is_known_by_the_job_id_behind_it() -> None:
    rows = (
        JobRow(job_id="107", array_job_id="103", array_task="3", state="RUNNING"),
        JobRow(job_id="103", array_job_id="103", array_task="4-9", state="PENDING"),
        JobRow(job_id="110", state="RUNNING"),
    )
    runs = to_runs(JobTable(rows), "s", NOW, {})
    assert [(r.native_id, r.seen_as) for r in runs] == [
        ("103_3", ("107",)),
        ("103_[4-9]", ()),
        ("110", ()),
    ]
