"""The columns of the usage reports, and what is to be known of them beside their names."""

from __future__ import annotations

from foundry_tui.reports.columns import Column, Kind

_WHEN = (
    Column("period_start_utc", Kind.TIME, "begin of the period; the row holds start <= t < end"),
    Column("period_end_utc", Kind.TIME, "end of the period; a change of price ends one too"),
    Column("cluster", Kind.TEXT, "name of the source in the configuration"),
    Column("scheduler", Kind.TEXT, "slurm, runai or kai"),
)
_ACCOUNT = (
    Column("account", Kind.TEXT, "account as the run had it; for Run:ai the project"),
    Column("parent_account", Kind.TEXT, "the account above it; no row adds up its children"),
)
_WHAT = (
    Column("partition", Kind.TEXT, "partition; for Run:ai the node pool"),
    Column("qos", Kind.TEXT, "quality of service; for Run:ai the priority class"),
    Column("gpu_type", Kind.TEXT, "model or MIG profile; empty where the scheduler names none"),
    Column("gpu_weight", Kind.RATIO, "worth of one GPU as billed: 1, or 0.143 for a MIG seventh"),
    Column("jobs_count", Kind.COUNT, "different runs; the tries of one run count once"),
)
_USERS = (Column("users_count", Kind.COUNT, "different users that are known"),)
_MEASURES = (
    Column("gpu_allocated_hours", Kind.HOURS, "held, as billed: active + idle + unknown"),
    Column("gpu_weighted_hours", Kind.HOURS, "held, by worth"),
    Column("gpu_active_hours", Kind.HOURS, "held and seen at work"),
    Column("gpu_idle_hours", Kind.HOURS, "held and seen without work"),
    Column("gpu_unknown_hours", Kind.HOURS, "held while nobody looked: neither active nor idle"),
    Column("gpu_busy_equiv_hours", Kind.HOURS, "utilisation x time seen: an hour at 50 % is 0.5"),
    Column("gpu_util_pct", Kind.PCT, "busy_equiv of active + idle; empty below 5 % of coverage"),
    Column("telemetry_coverage_pct", Kind.PCT, "active + idle of allocated"),
    Column("gpu_mem_peak_pct", Kind.PCT, "most memory that one device held, of what it has"),
    Column("energy_kwh", Kind.ENERGY, "energy where the power is known"),
    Column("energy_coverage_pct", Kind.PCT, "time in which the power is known, of allocated"),
    Column("unit_price", Kind.MONEY, "price of a GPU-hour from the table of prices"),
    Column("currency", Kind.TEXT, "currency of the price, in three letters"),
    Column("cost_allocated", Kind.MONEY, "price x held: by worth for `*`, as billed for a type"),
    Column("cost_idle", Kind.MONEY, "the part of the cost that was seen idle"),
    Column("quota_gpu_hours", Kind.HOURS, "quota of the account x period: once for all its rows"),
    Column("quota_used_pct", Kind.PCT, "held by the account and those below it, of that quota"),
)
_OF_USER = (
    Column("failed_gpu_hours", Kind.HOURS, "held by tries that failed, by node or memory too"),
    Column("cancelled_gpu_hours", Kind.HOURS, "held by tries that were cancelled"),
    Column("timeout_gpu_hours", Kind.HOURS, "held by tries that ran into their time limit"),
    Column("requeue_lost_gpu_hours", Kind.HOURS, "held by tries that were requeued or preempted"),
    Column("wait_p50_s", Kind.COUNT, "wait from eligible to start of tries started here, median"),
    Column("wait_p90_s", Kind.COUNT, "the same, 90th percentile by nearest rank"),
    Column("wait_p99_s", Kind.COUNT, "the same, 99th percentile by nearest rank"),
    Column("time_limit_used_pct", Kind.PCT, "work of tries ended here, of their time limits"),
)

BY_ACCOUNT = (*_WHEN, *_ACCOUNT, *_WHAT, *_USERS, *_MEASURES)
"""One row for each period, cluster, account, partition, QOS and type of GPU."""

USER = Column("user", Kind.TEXT, "user as the run had it")

BY_USER = (*_WHEN, USER, *_ACCOUNT, *_WHAT, *_MEASURES, *_OF_USER)
"""The same for each user within that."""

DEFINITIONS = (
    "a run is charged to the account on its own record; no row of an account holds its children's",
    "rows of one account repeat its quota, and quota_used_pct is of all that the account and the"
    " accounts below it held in the period, as far as the report looked at it: do not add them up",
    "a price of `*` is per GPU-hour by worth, the price of a named type per GPU-hour as billed",
    "a change of price within a period parts the rows whose price it changes; cost is rounded to"
    " two places row by row, half to even",
    "active, idle and unknown hours are rounded so that they add up to the allocated hours",
    "percentiles are by nearest rank: the value at place ceil(p / 100 x n); a try counts where it"
    " started, one without a known wait does not; what still waits is counted apart",
    "time_limit_used_pct is elapsed without suspended time of limit, of tries that ended in the"
    " period and had a limit",
)
"""What the sidecar says of these columns."""
