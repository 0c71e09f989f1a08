"""What `foundry doctor` tells of a tracking server.

That /health answers proves nothing: the server sends it to every host name and without a login.
So something is asked for that needs both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from foundry_tui.estate.text import safe
from foundry_tui.tracking import answers, refusals
from foundry_tui.tracking.credentials import INSECURE_TLS, LOOKED_FOR, SERVER_CERT
from foundry_tui.tracking.exchange import Answer
from foundry_tui.tracking.ports import Finding, TrackerDenied, TrackingError
from foundry_tui.tracking.wire import LOOPBACK, Request

if TYPE_CHECKING:
    from foundry_tui.tracking.mlflow.call import Call

CLOCK_TOLERANCE_S = 60.0
"""Seconds that the server's clock may differ: the times of runs come from both."""

_VERSION = re.compile(rb"\s*(\d[\w.+-]{0,40})\s*")


def findings(url: str, call: Call, now: datetime) -> tuple[Finding, ...]:
    """The lines about one server. Never raises."""
    request = Request(
        "POST", "/api/2.0/mlflow/experiments/search", None, {"max_results": 1}, again=True
    )
    try:
        answer = call.raw(request)
        refusals.read(answer, answers.Experiments, call.asked, call.wire.host)
    except TrackingError as error:
        state = "denied" if isinstance(error, TrackerDenied) else "broken"
        return (_finding("mlflow", state, f"{url}: {error.answer}", error.hint or None),)
    found = _finding("mlflow", "found", f"MLflow {_version(call)} at {url}")
    return (found, *_login(url, call, answer), *_clock(answer, now))


def _finding(what: str, state: str, found: str, mend: str | None = None) -> Finding:
    return Finding(what=what, state=state, found=safe(found, max_cells=500), mend=mend)


def _version(call: Call) -> str:
    try:
        answer = call.raw(Request("GET", "/version", again=True))
    except TrackingError:
        return "of unknown version"
    match = _VERSION.fullmatch(answer.body) if answer.status == 200 else None
    return match[1].decode("ascii", "replace") if match else "of unknown version"


def _login(url: str, call: Call, answer: Answer) -> Iterator[Finding]:
    login = answer.login
    if login.origin is None:
        yield _finding("login", "none", f"none was asked for; looked for {LOOKED_FOR}")
    elif url.startswith("http:") and call.wire.host not in LOOPBACK:
        told = f"from {login.origin}; it crosses the network unencrypted"
        yield _finding("login", "open", told, "use an https:// address")
    else:
        yield _finding("login", "found", f"from {login.origin}")
    if login.tls.insecure and url.startswith("https:"):
        mend = f"name the authority's file in ${SERVER_CERT} instead"
        yield _finding("certificate", "unchecked", f"as ${INSECURE_TLS} says", mend)


def _clock(answer: Answer, now: datetime) -> Iterator[Finding]:
    try:
        ahead_s = (parsedate_to_datetime(answer.date) - now).total_seconds()
    except (ValueError, TypeError):
        return
    if abs(ahead_s) > CLOCK_TOLERANCE_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        told = f"the server's is {abs(ahead_s):.0f} s {side} this host's"
        yield _finding("clock", "differs", told, "set both by NTP")
