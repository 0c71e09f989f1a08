"""The artifacts of a run, where the server itself serves them (`mlflow-artifacts:`).

Any other place (a bucket, a folder of the server's host) needs keys or a file system of its own.
"""

from __future__ import annotations

from urllib.parse import quote

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Artifact, TrackedRun
from foundry_tui.tracking import answers, refusals, rules
from foundry_tui.tracking.mlflow.call import Call
from foundry_tui.tracking.ports import TrackingError
from foundry_tui.tracking.wire import Request, TooLarge

AT = "/api/2.0/mlflow-artifacts/artifacts"


def listed(call: Call, run: TrackedRun, folder: str) -> tuple[Artifact, ...]:
    """What lies in the folder; nothing where there is none."""
    rules.artifact_root(call.asked, run)
    params = {"run_id": run.run_id}
    if folder:
        params["path"] = rules.artifact_path(call.asked, folder)
    found: list[Artifact] = []
    while True:
        page = call.get("artifacts/list", answers.Files, params)
        found += [file.noun() for file in page.files]
        if not page.next_page_token:
            return tuple(found)
        params["page_token"] = page.next_page_token


def read(call: Call, run: TrackedRun, path: str, most_bytes: int) -> bytes | None:
    """The file; None where there is none. Reading stops as soon as it is too large."""
    request = Request("GET", _address(call, run, path), again=True, most_bytes=most_bytes)
    try:
        answer = call.raw(request)
    except TooLarge:
        fetch = f"mlflow artifacts download -r {run.run_id} -a {safe(path, max_cells=200)}"
        problem = f"it is larger than {most_bytes:,} bytes"
        raise TrackingError(call.asked, problem, f"fetch it with: {fetch}") from None
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise refusals.refusal(answer, call.asked, call.wire.host)
    return answer.body


def write(call: Call, run: TrackedRun, path: str, data: bytes) -> None:
    """Put the file there; one that is there is replaced."""
    rules.artifact_data(call.asked, data)
    answer = call.raw(Request("PUT", _address(call, run, path), again=True, data=data))
    if answer.status != 200 or answer.body:  # a login page is no success
        refusals.read(answer, object, call.asked, call.wire.host)


def _address(call: Call, run: TrackedRun, path: str) -> str:
    whole = f"{rules.artifact_root(call.asked, run)}/{rules.artifact_path(call.asked, path)}"
    return f"{AT}/{quote(whole.lstrip('/'), safe='/')}"
