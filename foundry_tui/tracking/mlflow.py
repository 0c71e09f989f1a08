"""An MLflow tracking server over its REST interface; the package `mlflow` is never imported.

That import takes 2 to 3 seconds and 165 MB. The interface is that of
https://mlflow.org/docs/latest/api_reference/rest-api.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import safe
from foundry_tui.tracking import answers
from foundry_tui.tracking.answers import NoEndpoint, Refused
from foundry_tui.tracking.credentials import Credentials
from foundry_tui.tracking.exchange import Answer
from foundry_tui.tracking.order import by_step, newest_first
from foundry_tui.tracking.ports import (
    Finding,
    Point,
    TrackedRun,
    TrackerDown,
    TrackingError,
    TrackStatus,
)
from foundry_tui.tracking.wire import Request, Wire

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

API = "/api/2.0/mlflow"

TAGS_PER_REQUEST = 100
"""The server refuses more in one log-batch."""

POINTS_MOST = 2500
"""The server refuses a larger max_results of get-history-bulk-interval."""

POINTS_PER_PAGE = 25_000
RUNS_PER_PAGE = 200
EXPERIMENTS_PER_PAGE = 1000
EXPERIMENTS_PER_SEARCH = 200
"""Experiments that one search names: databases limit the variables of a statement."""

INTERVALS = (
    f"{API}/metrics/get-history-bulk-interval",
    "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
)
"""Where a sampled history is had; older servers have it in the second place alone, or nowhere."""


class Mlflow:
    """One MLflow server as a `Tracker`. Safe to use from several threads.

    Args:
        name: what the user calls it.
        url: its address; a fragment, as browsers show it, is dropped.
        credentials: asked before each request, so that a renewed file is seen.
        clock: the time here, compared with the server's.
        timeout_s: seconds that one call may take in all; creating a run has twice as many.
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self.url = _address(url)
        self.timeout_s = timeout_s
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
        asked = f"a run in the experiment {safe(experiment, max_cells=80)} at {self.url}"
        experiment_id = self._experiment(self._call(asked), experiment)
        call = self._call(asked)
        body = {
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": _ms(started_at),
            "tags": _pairs(tags),
        }
        try:
            made = call.post("runs/create", answers.OneRun, body).run
            self._status(call, made.info.run_id, TrackStatus.SCHEDULED, None)
        except TrackerDown as error:
            hint = "the run may have been made all the same: it is found by its tags"
            raise TrackerDown(asked, error.answer, hint) from None
        made.info.status = TrackStatus.SCHEDULED
        return made.noun()

    def find(self, tag: str, value: str) -> tuple[TrackedRun, ...]:
        """See the port. No experiment named would mean none, so all of them are listed first."""
        call = self._call(f"the runs with the tag {safe(tag, max_cells=80)} at {self.url}")
        quote_mark = '"' if "'" in value else "'"
        if quote_mark in value or "`" in tag:
            raise TrackingError(call.asked, "the server's filter cannot express these quotes")
        search = {
            "filter": f"tags.`{tag}` = {quote_mark}{value}{quote_mark}",
            "max_results": RUNS_PER_PAGE,
        }
        experiments = self._experiments(call)
        found = []
        for start in range(0, len(experiments), EXPERIMENTS_PER_SEARCH):
            search["experiment_ids"] = experiments[start : start + EXPERIMENTS_PER_SEARCH]
            token = ""
            while True:
                body = {**search, "page_token": token} if token else search
                page = call.post("runs/search", answers.Runs, body, again=True)
                found += [run.noun() for run in page.runs]
                if not (token := page.next_page_token):
                    break
        # Some databases compare without regard to case.
        return newest_first(run for run in found if run.tags.get(tag) == value)

    def get(self, run_id: str) -> TrackedRun | None:
        """See the port. A run in the server's trash is none."""
        call = self._call(f"the run {safe(run_id, max_cells=80)} at {self.url}")
        try:
            run = call.get("runs/get", answers.OneRun, {"run_id": run_id}).run
        except Refused as error:
            if error.code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run.noun() if run.info.lifecycle_stage == "active" else None

    def update(
        self,
        run_id: str,
        *,
        status: TrackStatus | None = None,
        ended_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """See the port."""
        call = self._call(f"a change of the run {safe(run_id, max_cells=80)} at {self.url}")
        pairs = _pairs(tags or {})
        for start in range(0, len(pairs), TAGS_PER_REQUEST):
            body = {"run_id": run_id, "tags": pairs[start : start + TAGS_PER_REQUEST]}
            call.post("runs/log-batch", object, body, again=True)
        if status is not None or ended_at is not None:
            self._status(call, run_id, status, ended_at)

    def history(self, run_id: str, metric: str, *, most: int = 320) -> tuple[Point, ...]:
        """See the port. Sampled by the server where it can: whole, 100,000 points take 12 s."""
        call = self._call(
            f"the metric {safe(metric, max_cells=80)} of the run "
            f"{safe(run_id, max_cells=80)} at {self.url}"
        )
        few = str(max(1, min(most, POINTS_MOST)))
        params = {"run_ids": run_id, "metric_key": metric, "max_results": few}
        for path in INTERVALS:
            try:
                page = call.ask(Request("GET", path, params, again=True), answers.Metrics)
            except NoEndpoint:
                continue
            return by_step((m.point() for m in page.metrics), most)
        return by_step(self._whole_history(call, run_id, metric), most)

    def page(self, run: TrackedRun) -> str:
        """The address of the run in the server's web pages."""
        experiment, own = quote(run.experiment_id, safe=""), quote(run.run_id, safe="")
        return f"{self.url}/#/experiments/{experiment}/runs/{own}"

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()

    def _call(self, asked: str) -> Call:
        return Call(self._wire, asked, Deadline.after(self.timeout_s))

    def _experiment(self, call: Call, name: str) -> str:
        """The id of the experiment, which is made when absent; another can make it meanwhile."""
        found = self._named(call, name)
        if found is None:
            try:
                body = {"name": name}
                return call.post(
                    "experiments/create", answers.Created, body, again=True
                ).experiment_id
            except Refused as error:
                if error.code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._named(call, name)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            restore = f"mlflow experiments restore -x {found.experiment_id}"
            hint = f"restore it ({restore}) or take another name"
            raise TrackingError(call.asked, "the experiment is deleted", hint)
        return found.experiment_id

    def _named(self, call: Call, name: str) -> answers.Experiment | None:
        params = {"experiment_name": name}
        try:
            return call.get("experiments/get-by-name", answers.OneExperiment, params).experiment
        except Refused as error:
            if error.code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _experiments(self, call: Call) -> list[str]:
        found: list[str] = []
        body: dict[str, Any] = {"max_results": EXPERIMENTS_PER_PAGE}
        while True:
            page = call.post("experiments/search", answers.Experiments, body, again=True)
            found += [experiment.experiment_id for experiment in page.experiments]
            if not page.next_page_token:
                return found
            body["page_token"] = page.next_page_token

    def _status(
        self, call: Call, run_id: str, status: TrackStatus | None, ended_at: datetime | None
    ) -> None:
        body: dict[str, Any] = {"run_id": run_id}
        if status is not None:
            body["status"] = status.value
        if ended_at is not None:
            body["end_time"] = _ms(ended_at)
        call.post("runs/update", object, body, again=True)

    def _whole_history(self, call: Call, run_id: str, metric: str) -> list[Point]:
        """For servers that cannot sample; the oldest ignore max_results and send everything."""
        params = {"run_id": run_id, "metric_key": metric, "max_results": str(POINTS_PER_PAGE)}
        points: list[Point] = []
        while True:
            page = call.get("metrics/get-history", answers.Metrics, params)
            points += [metric.point() for metric in page.metrics]
            if not page.next_page_token:
                return points
            params["page_token"] = page.next_page_token


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the port: what is asked for, and until when; it may take several requests."""

    wire: Wire
    asked: str
    deadline: Deadline

    def get(self, endpoint: str, shape: type[T], params: Mapping[str, str]) -> T:
        """Read something; repeated where that can help."""
        return self.ask(Request("GET", f"{API}/{endpoint}", params, again=True), shape)

    def post(
        self, endpoint: str, shape: type[T], body: Mapping[str, Any], *, again: bool = False
    ) -> T:
        """Send something; `again` when sending it twice does no harm."""
        return self.ask(Request("POST", f"{API}/{endpoint}", None, body, again), shape)

    def ask(self, request: Request, shape: type[T]) -> T:
        """The answer in its shape. Raises as `answers.read` and `Wire.send` do."""
        return answers.read(self.raw(request), shape, self.asked, self.wire.host)

    def raw(self, request: Request) -> Answer:
        """The answer, whatever it is."""
        return self.wire.send(request, self.asked, self.deadline)


def _address(url: str) -> str:
    """The address below which the interface lies."""
    asked = f"the tracking server {safe(url.rpartition('@')[2], max_cells=200)}"
    try:
        parts = urlsplit(url.strip())
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise TrackingError(asked, "is no address of a server", "use http://host:port or https://")
    if "@" in parts.netloc:
        hint = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        raise TrackingError(asked, "the address holds a user name or password", hint)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
