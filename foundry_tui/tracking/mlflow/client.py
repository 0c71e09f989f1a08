"""One MLflow server as a `Tracker`: each call of the port with its words and its deadline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import (
    Artifact,
    DataInput,
    Experiment,
    Point,
    RunPage,
    TrackedRun,
    TrackStatus,
)
from foundry_tui.tracking import rules
from foundry_tui.tracking.credentials import Credentials
from foundry_tui.tracking.mlflow import artifacts, curves, experiments, runs, writing
from foundry_tui.tracking.mlflow.call import Call
from foundry_tui.tracking.ports import Finding, TrackingError
from foundry_tui.tracking.wire import Wire

if TYPE_CHECKING:
    import httpx


class Mlflow:
    """One MLflow server as a `Tracker`. Safe to use from several threads.

    Args:
        name: what the user calls it.
        url: its address; a fragment, as browsers show it, is dropped.
        credentials: asked before each request, so that a renewed file is seen.
        clock: the time here, compared with the server's.
        timeout_s: seconds that one call may take in all; creating a run has twice as many.
        transfer_s: the same for what may be large: an artifact, or several requests of a log.
        transport: stands in for the network in tests.

    Raises:
        TrackingError: the address is not one of a server, or holds credentials.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        credentials: Callable[[], Credentials],
        clock: Callable[[], datetime],
        timeout_s: float = 5.0,
        transfer_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self.url = _address(url)
        self.timeout_s = timeout_s
        self.transfer_s = max(timeout_s, transfer_s)
        self._clock = clock
        self._wire = Wire(self.url, credentials, transport)

    def probe(self) -> tuple[Finding, ...]:
        """Whether it answers, as whom, by which version, and how its clock goes."""
        from foundry_tui.tracking import probe

        return probe.findings(self.url, self._call(f"looking at {self.url}"), self._clock())

    def create(
        self, experiment: str, *, name: str, tags: Mapping[str, str], started_at: datetime
    ) -> TrackedRun:
        """See the port. The experiment and the run have `timeout_s` each."""
        asked = f"a run in the experiment {_shown(experiment)} at {self.url}"
        experiment_id = experiments.id_of(self._call(asked), experiment)
        return runs.create(self._call(asked), experiment_id, name, tags, started_at)

    def find(self, tag: str, value: str) -> tuple[TrackedRun, ...]:
        """See the port."""
        return runs.find(
            self._call(f"the runs with the tag {_shown(tag)} at {self.url}"), tag, value
        )

    def get(self, run_id: str) -> TrackedRun | None:
        """See the port. A run in the server's trash is none."""
        return runs.get(self._call(self._of(run_id)), run_id)

    def update(
        self,
        run_id: str,
        *,
        status: TrackStatus | None = None,
        ended_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """See the port."""
        call = self._call(f"a change of {self._of(run_id)}")
        writing.write(call, run_id, tags=tags)
        if status is not None or ended_at is not None:
            writing.status(call, run_id, status, ended_at)

    def history(self, run_id: str, metric: str, *, most: int = 320) -> tuple[Point, ...]:
        """See the port."""
        call = self._call(f"the metric {_shown(metric)} of {self._of(run_id)}")
        return curves.sampled(call, (run_id,), metric, most).get(run_id, ())

    def curves(
        self, run_ids: Sequence[str], metric: str, *, most: int = 320
    ) -> Mapping[str, tuple[Point, ...]]:
        """See the port. `transfer_s` for each twenty runs: a busy server takes 0.7 s for one."""
        asked = f"the metric {_shown(metric)} of {len(run_ids)} runs at {self.url}"
        within_s = self.transfer_s * max(1.0, len(run_ids) / 20)
        return curves.sampled(self._call(asked, within_s), run_ids, metric, most)

    def experiments(self) -> tuple[Experiment, ...]:
        """See the port."""
        return experiments.listed(self._call(f"the experiments at {self.url}"))

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """See the port."""
        call = self._call(f"a tag of the experiment {_shown(experiment_id)} at {self.url}")
        experiments.tag(call, experiment_id, key, value)

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        where: str = "",
        most: int = rules.RUNS_PER_PAGE,
        after: str | None = None,
    ) -> RunPage:
        """See the port."""
        rules.few_experiments(experiment_ids)
        told = f" where {_shown(where)}" if where else ""
        call = self._call(f"the runs of {len(experiment_ids)} experiments at {self.url}{told}")
        return runs.search(call, experiment_ids, where, most, after)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        at: datetime,
    ) -> None:
        """See the port."""
        call = self._call(f"a log to {self._of(run_id)}", self.transfer_s)
        rules.keys(call.asked, "parameter", params or {})
        rules.keys(call.asked, "metric", metrics or {})
        short = {key: rules.param(value) for key, value in (params or {}).items()}
        writing.write(call, run_id, params=short, metrics=metrics, at=at)

    def log_inputs(self, run_id: str, inputs: Sequence[DataInput]) -> None:
        """See the port."""
        call = self._call(f"the data of {self._of(run_id)}", self.transfer_s)
        rules.inputs(call.asked, inputs)
        writing.inputs(call, run_id, inputs)

    def artifacts(self, run: TrackedRun, folder: str = "") -> tuple[Artifact, ...]:
        """See the port."""
        call = self._call(f"the artifacts {_shown(folder)} of {self._of(run.run_id)}")
        return artifacts.listed(call, run, folder)

    def read_artifact(self, run: TrackedRun, path: str, *, most_bytes: int) -> bytes | None:
        """See the port."""
        call = self._call(f"the artifact {_shown(path)} of {self._of(run.run_id)}", self.transfer_s)
        return artifacts.read(call, run, path, most_bytes)

    def write_artifact(self, run: TrackedRun, path: str, data: bytes) -> None:
        """See the port."""
        call = self._call(f"the artifact {_shown(path)} of {self._of(run.run_id)}", self.transfer_s)
        artifacts.write(call, run, path, data)

    def page(self, run: TrackedRun) -> str:
        """The address of the run in the server's web pages."""
        experiment, own = quote(run.experiment_id, safe=""), quote(run.run_id, safe="")
        return f"{self.url}/#/experiments/{experiment}/runs/{own}"

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()

    def _call(self, asked: str, within_s: float | None = None) -> Call:
        return Call(self._wire, asked, Deadline.after(within_s or self.timeout_s))

    def _of(self, run_id: str) -> str:
        return f"the run {_shown(run_id)} at {self.url}"


def _shown(text: str) -> SafeText:
    return safe(text, max_cells=80)


def _address(url: str) -> str:
    """The address below which the interface lies."""
    asked = f"the tracking server {safe(url.rpartition('@')[2], max_cells=200)}"
    try:
        parts = urlsplit(url.strip())
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or any(letter.isspace() for letter in url.strip()):
        raise TrackingError(asked, "is no address of a server", "use http://host:port or https://")
    if "@" in parts.netloc:
        hint = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        raise TrackingError(asked, "the address holds a user name or password", hint)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
