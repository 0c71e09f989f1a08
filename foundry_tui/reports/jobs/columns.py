"""The columns of the report `jobs`."""

from __future__ import annotations

from foundry_tui.reports.columns import Column, Kind

_TEXT, _COUNT, _TIME = Kind.TEXT, Kind.COUNT, Kind.TIME
_HOURS, _PCT = Kind.HOURS, Kind.PCT

COLUMNS = (
    Column("cluster", _TEXT, "name of the source in the configuration"),
    Column("job_id", _TEXT, "id as its scheduler shows it, `18_3` for a task of an array"),
    Column("job_id_raw", _TEXT, "id by which its scheduler tells jobs apart"),
    Column("sluid", _TEXT, "Slurm's own id of the try; empty, for no version read here tells it"),
    Column("run", _COUNT, "which try of the job this is, as far as the window shows them"),
    Column("array_job_id", _TEXT, "the array that it is a task of"),
    Column("array_task_id", _TEXT, "its task; `[4-9%2]` are tasks that wait together"),
    Column("het_offset", _COUNT, "its place in a heterogeneous job, each place a row of its own"),
    Column("user", _TEXT, "who ran it"),
    Column("account", _TEXT, "who is charged, as it was when the job ran"),
    Column("partition", _TEXT, "partition, queue or project"),
    Column("qos", _TEXT, "quality of service"),
    Column("reservation", _TEXT, "reservation that it ran in"),
    Column("job_name", _TEXT, "its name"),
    Column("state", _TEXT, "how the try ended, or what it is now"),
    Column("exit_code", _COUNT, "exit code of the batch script"),
    Column("submit_utc", _TIME, "when it was submitted; a requeue is a submission"),
    Column("eligible_utc", _TIME, "when it could first have started"),
    Column("start_utc", _TIME, "when the try started"),
    Column("end_utc", _TIME, "when the try ended; empty while it runs"),
    Column("window_start_utc", _TIME, "begin of the report, included"),
    Column("window_end_utc", _TIME, "end of the report, not included"),
    Column("elapsed_s", _COUNT, "seconds of work of the whole try, suspended time taken off"),
    Column("elapsed_in_window_s", _COUNT, "those within the window"),
    Column("suspended_s", _COUNT, "seconds in which it was suspended"),
    Column("wait_s", _COUNT, "seconds from being eligible to the start of this try"),
    Column("nodes_count", _COUNT, "nodes that it ran on"),
    Column("gpus_alloc", Kind.GPUS, "GPUs that it held, as billed; empty where that is not told"),
    Column("gpu_type", _TEXT, "models or MIG profiles of these, with semicolons between them"),
    Column("gpu_hours", _HOURS, "gpus_alloc x elapsed_s / 3600"),
    Column("gpu_hours_in_window", _HOURS, "gpus_alloc x elapsed_in_window_s / 3600"),
    Column("gpu_util_pct", _PCT, "mean utilisation of the time that was seen, if 5 % of it was"),
    Column("gpu_util_peak_pct_slurm", _PCT, "highest utilisation that Slurm saw: no mean"),
    Column("gpu_mem_peak_mib", _COUNT, "most memory that one of its GPUs held"),
    Column("gpu_active_hours", _HOURS, "GPU-hours within the window that were seen at work"),
    Column("gpu_idle_hours", _HOURS, "those that were seen idle"),
    Column("gpu_unknown_hours", _HOURS, "those that nobody saw: neither at work nor idle"),
    Column("gpu_busy_equiv_hours", _HOURS, "utilisation x time seen: an hour at 50 % is a half"),
    Column("energy_kwh", Kind.ENERGY, "energy in the time of which the power is known"),
    Column("telemetry_coverage_pct", _PCT, "how much of the allocated time was seen"),
    Column("attribution", _TEXT, "`whole`: alone on its GPUs; `joint`: others too; `none`: unseen"),
    Column("cost", Kind.MONEY, "what the hours within the window cost; empty without a price"),
    Column("currency", _TEXT, "currency of the cost"),
    Column("first_submit_utc", _TIME, "submission of its first try, if the window shows that one"),
)
