"""What the control plane says when it does not do what was asked.

Two shapes are known: `{code, message, details, complianceIssues}` of the API, and `{error,
error_description}` (RFC 6749) of the token's address. Proxies before it answer in plain text or
with a web page.
"""

from __future__ import annotations

import json
from typing import Any

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from foundry_tui.schedulers.runai.exchange import Answer

MAX_CELLS = 400


class Refused(SchedulerError):
    """The control plane refuses the request itself: not found, in conflict, or not valid."""

    def __init__(self, asked: str, answer: str, hint: str = "", *, status: int) -> None:
        super().__init__(asked, answer, hint)
        self.status = status


class NoAnswer(Unavailable):
    """The request was sent and no answer came: whether it was done is not known."""


def said(answer: Answer) -> SafeText:
    """Status and message of an answer that is no success, in one line."""
    found = _object(answer.body)
    words: list[str] = []
    for name in ("message", "error", "error_description", "details"):
        text = found.get(name)
        if isinstance(text, str) and text and text not in words:
            words.append(text)
    issues = found.get("complianceIssues")
    for issue in issues if isinstance(issues, list) else ():
        if isinstance(issue, dict):
            words.append(f"{issue.get('field', 'a field')}: {issue.get('details', 'not allowed')}")
    if not words:
        words.append(_plain(answer))
    return safe(f"{answer.status} {'; '.join(w for w in words if w)}".strip(), max_cells=MAX_CELLS)


def failure(asked: str, answer: Answer) -> SchedulerError:
    """The exception for an answer that is no success."""
    words = said(answer)
    if answer.status == 401:
        return Denied(asked, words, "the login is no longer taken: log in anew")
    if answer.status == 403:
        return Denied(asked, words, "no access rule of yours allows it: ask for a role and a scope")
    if answer.status == 429:
        wait = answer.retry_after if answer.retry_after.isascii() else ""
        return Unavailable(asked, words, f"it wants a pause{f' of {wait} s' if wait else ''}")
    if answer.status >= 500:
        return Unavailable(asked, words, "the control plane has a trouble of its own")
    if 300 <= answer.status < 400:
        place = safe(answer.location, max_cells=100)
        return Unavailable(
            asked, f"{answer.status} it sends elsewhere ({place})", "look at its `url`"
        )
    return Refused(asked, words, status=answer.status)


def _plain(answer: Answer) -> str:
    text = answer.body[:2000].decode("utf-8", "replace").strip()
    if "html" in answer.kind or text[:1] == "<":
        return "a web page instead of an answer of the API"
    return text.splitlines()[0] if text else "without a word"


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
