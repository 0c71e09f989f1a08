"""The configuration as frozen records; the one place where an option is named and documented.

The file, its template and the documentation are all made from the metadata of the fields here:

- `doc`: what the option does, in one line.
- `example`: the value that the template shows where there is no default.
- `least`, `most`: bounds of a number; a value outside is an error.
- `floor`: a lower number is raised to this one, with a warning.
- `named`: the option holds one table per source, `[option.NAME]`; the template's NAME.
- `apart`: these tables are no sources, so that their names may be those of sources.
- `choices`: the words that are allowed.
- `pairs`: the option is a table of names of the user's own; the template's example name.
- `url`: the text must be an http(s) URL without user name and password.
- `private`: error messages never repeat the value, because a secret may stand there by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from foundry_tui.config.sources import (
    KubernetesConfig,
    MlflowConfig,
    RunaiConfig,
    SlurmConfig,
    SourceConfig,
    TelemetryConfig,
    about,
)
from foundry_tui.config.triage import Notices, TriageConfig

REFRESH_FLOOR_S = 10.0
"""Seconds: no scheduler is polled more often, however many screens are open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often sources are read."""

    refresh_s: float = field(
        default=30.0,
        metadata=about("Seconds between two reads of runs and nodes.", floor=REFRESH_FLOOR_S),
    )
    slow_s: float = field(
        default=300.0,
        metadata=about(
            "Seconds between two reads of partitions, QOS, shares and accounting.",
            floor=REFRESH_FLOOR_S,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where a value becomes worth a remark."""

    idle_util_pct: float = field(
        default=1.0,
        metadata=about(
            "A GPU at or below this utilisation, in per cent, counts as idle.",
            least=0.0,
            most=100.0,
        ),
    )
    idle_after_s: float = field(
        default=1800.0,
        metadata=about("Seconds for which a GPU must be idle before it is shown so.", least=0.0),
    )
    slow_after_s: float = field(
        default=5.0,
        metadata=about("A source that answers later than this many seconds is slow.", least=0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Screens:
    """How the screens look and behave."""

    theme: str = field(
        default="terminal",
        metadata=about(
            "Colours: terminal takes the terminal's own 16, mono takes none; the two others are "
            "told apart by colour-blind eyes too.",
            choices=("terminal", "foundry-dark", "foundry-light", "mono"),
        ),
    )
    ascii: bool = field(
        default=False,
        metadata=about("Draw with ASCII only; as --ascii does, and TERM=linux by itself."),
    )
    mouse: bool = field(
        default=True,
        metadata=about("Take the mouse; false leaves it to the terminal, which then selects."),
    )
    hold_s: float = field(
        default=10.0,
        metadata=about(
            "Seconds for which a confirmed change is held before it is sent, so that the undo key "
            "takes it back; 0 sends at once.",
            least=0.0,
            most=60.0,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """The history of readings, and who collects it."""

    folder: Path | None = field(
        default=None,
        metadata=about(
            "Folder of the history, on a local disk; without it one in the cache_dir, or in "
            "/var/tmp/foundry-UID where that is in memory.",
            example="/var/tmp/foundry-history",
        ),
    )
    shared: Path | None = field(
        default=None,
        metadata=about(
            "Folder of a collector that serves all users of this host, where it is not in the "
            "usual place.",
            example="/var/lib/foundry",
        ),
    )
    service_user: str = field(
        default="foundry",
        metadata=about("The user that the shared collector runs as; data of others is ignored."),
    )
    raw_hours: float = field(
        default=48.0,
        metadata=about("Hours for which every minute is kept.", least=1.0, most=8760.0),
    )
    quarter_days: float = field(
        default=35.0,
        metadata=about("Days for which every quarter of an hour is kept.", least=1.0, most=3650.0),
    )
    hourly_days: float = field(
        default=400.0,
        metadata=about("Days for which every hour is kept.", least=1.0, most=36500.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """What reports need to know of the site."""

    folder: Path | None = field(
        default=None,
        metadata=about(
            "Folder that the screen offers for reports; without it `reports` where it was started.",
            example="~/reports",
        ),
    )
    prices: Path | None = field(
        default=None,
        metadata=about(
            "CSV file of prices per GPU-hour with the time each is valid (docs/reports.md).",
            example="/etc/foundry/prices.csv",
        ),
    )
    salt: Path | None = field(
        default=None,
        metadata=about(
            "File with the secret that pseudonyms are made with; without it one is made in the "
            "state_dir.",
            example="/etc/foundry/report-salt",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing:
    """What holds for every change, beside what the schedulers allow."""

    policy: Path | None = field(
        default=None,
        metadata=about(
            "File that says who may change what, and how much at once (docs/policy.md); without it "
            "/etc/foundry/policy.toml where that exists.",
            example="/etc/foundry/policy.toml",
        ),
    )
    syslog: bool = field(
        default=True,
        metadata=about("Tell the host's system log of every change, beside the journal."),
    )
    facility: str = field(
        default="authpriv",
        metadata=about(
            "Facility of these lines: authpriv is kept from ordinary users on most hosts.",
            choices=("authpriv", "user"),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrating:
    """What a migration from Slurm needs to know of the site."""

    tables: Path | None = field(
        default=None,
        metadata=about(
            "Mapping tables (partitions, accounts, QOS, modules, paths), a TOML file "
            "(docs/migrate.md).",
            example="/etc/foundry/migration.toml",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be configured. The defaults are what holds without a file."""

    read_only: bool = field(
        default=False, metadata=about("Never change anything; every act is refused.")
    )
    state_dir: Path | None = field(
        default=None,
        metadata=about(
            "Folder of the journal; without it $XDG_STATE_HOME/foundry.",
            example="~/.local/state/foundry",
        ),
    )
    cache_dir: Path | None = field(
        default=None,
        metadata=about(
            "Folder of the last good snapshots, on a local disk; "
            "without it $XDG_RUNTIME_DIR/foundry.",
            example="/var/tmp/foundry-cache",
        ),
    )
    intervals: Intervals = field(
        default_factory=Intervals, metadata=about("How often sources are read.")
    )
    thresholds: Thresholds = field(
        default_factory=Thresholds, metadata=about("Where a value becomes worth a remark.")
    )
    collector: Collecting = field(
        default_factory=Collecting,
        metadata=about("The history of GPU readings, and who collects it."),
    )
    reports: Reporting = field(
        default_factory=Reporting, metadata=about("What reports need to know of the site.")
    )
    changes: Changing = field(
        default_factory=Changing,
        metadata=about("What holds for every change, beside what the schedulers allow."),
    )
    migration: Migrating = field(
        default_factory=Migrating,
        metadata=about("What a migration from Slurm needs to know of the site."),
    )
    screens: Screens = field(
        default_factory=Screens, metadata=about("How the screens look and behave.")
    )
    notices: Notices = field(
        default_factory=Notices,
        metadata=about("How `foundry triage --notify --yes` tells the owners of findings."),
    )
    keys: tuple[tuple[str, str], ...] = field(
        default=(),
        metadata=about(
            "Keys of the screens, by the id of the action; `foundry keys` lists ids and keys.",
            pairs="help",
            example="f1",
        ),
    )
    triage: tuple[TriageConfig, ...] = field(
        default=(),
        metadata=about(
            "A rule of `foundry triage`; one table each. Without any the built-in six hold.",
            named="idle",
            apart=True,
        ),
    )
    slurm: tuple[SlurmConfig, ...] = field(
        default=(), metadata=about("A Slurm cluster; one table each.", named="alpha")
    )
    runai: tuple[RunaiConfig, ...] = field(
        default=(),
        metadata=about("A Run:ai tenant; one table each.", named="tenant"),
    )
    kubernetes: tuple[KubernetesConfig, ...] = field(
        default=(),
        metadata=about(
            "A Kubernetes cluster with KAI; one table each (extra `runai`).", named="kai"
        ),
    )
    telemetry: tuple[TelemetryConfig, ...] = field(
        default=(),
        metadata=about(
            "A source of GPU readings; one table each.",
            named="gpus",
        ),
    )
    mlflow: tuple[MlflowConfig, ...] = field(
        default=(),
        metadata=about(
            "An MLflow tracking server; the first is used, before $MLFLOW_TRACKING_URI.",
            named="lab",
        ),
    )

    @property
    def sources(self) -> tuple[SourceConfig, ...]:
        """Every configured source; their names differ, because a run's id is `source/native`."""
        return (*self.slurm, *self.runai, *self.kubernetes, *self.telemetry, *self.mlflow)
