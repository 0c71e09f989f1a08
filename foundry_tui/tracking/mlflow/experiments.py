"""The experiments of a server."""

from __future__ import annotations

from typing import Any

from foundry_tui.estate.tracked import Experiment
from foundry_tui.tracking import answers
from foundry_tui.tracking.mlflow.call import Call
from foundry_tui.tracking.ports import TrackingError
from foundry_tui.tracking.refusals import Refused

EXPERIMENTS_PER_PAGE = 1000


def listed(call: Call) -> tuple[Experiment, ...]:
    """All that are not in the trash, in the server's order."""
    found: list[Experiment] = []
    body: dict[str, Any] = {"max_results": EXPERIMENTS_PER_PAGE, "view_type": "ACTIVE_ONLY"}
    while True:
        page = call.post("experiments/search", answers.Experiments, body, again=True)
        found += [experiment.noun() for experiment in page.experiments]
        if not page.next_page_token:
            return tuple(found)
        body["page_token"] = page.next_page_token


def id_of(call: Call, name: str) -> str:
    """The id of the experiment, which is made when absent; another can make it meanwhile.

    Raises:
        TrackingError: it is in the trash.
    """
    found = _named(call, name)
    if found is None:
        try:
            body = {"name": name}
            return call.post("experiments/create", answers.Created, body, again=True).experiment_id
        except Refused as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = _named(call, name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        restore = f"mlflow experiments restore -x {found.experiment_id}"
        hint = f"restore it ({restore}) or take another name"
        raise TrackingError(call.asked, "the experiment is deleted", hint)
    return found.experiment_id


def tag(call: Call, experiment_id: str, key: str, value: str) -> None:
    """Set one tag."""
    body = {"experiment_id": experiment_id, "key": key, "value": value}
    call.post("experiments/set-experiment-tag", object, body, again=True)


def _named(call: Call, name: str) -> answers.Experiment | None:
    params = {"experiment_name": name}
    try:
        return call.get("experiments/get-by-name", answers.OneExperiment, params).experiment
    except Refused as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
