"""One more try, openly, for what failed beside the others.

`make test` runs its parts side by side, so that a machine with two cores is full. What failed there
and holds alone was in want of time; what fails again is broken. Each part leaves a folder:
`status` (of pytest), `args` (what it was called with) and pytest's cache with what failed.

    python -m tests.again FOLDER...
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

MOST = 12
"""More failures than this are no bad luck."""

PASSED, FAILED = 0, 1
"""Statuses of pytest with which all its tests were run."""

Run = Callable[[Path, Sequence[str]], int]


def status_of(part: Path) -> int | None:
    """How pytest ended in a part; None where it did not come to its end."""
    try:
        return int((part / "status").read_text())
    except (OSError, ValueError):
        return None


def failed_of(part: Path) -> list[str]:
    """The tests of a part that failed, as pytest's cache has them."""
    try:
        return sorted(json.loads((part / "v/cache/lastfailed").read_text()))
    except (OSError, ValueError):
        return []


def refusal(parts: Sequence[Path]) -> str:
    """Why nothing is asked again; empty where it may be."""
    for part in parts:
        status = status_of(part)
        if status is None:
            return f"{part.name} did not come to its end"
        if status not in (PASSED, FAILED):
            return f"{part.name} broke: pytest ended with {status}"
        if status == FAILED and not failed_of(part):
            return f"{part.name} failed, and no test of it is known to have"
    count = sum(len(failed_of(part)) for part in parts)
    return f"{count} tests failed, more than {MOST}" if count > MOST else ""


def asked_again(part: Path, args: Sequence[str]) -> int:
    """Run what failed in a part, and nothing else; the status of pytest."""
    again = ["--last-failed", "--last-failed-no-failures", "none"]
    argv = [sys.executable, "-m", "pytest", "-o", f"cache_dir={part}", *again, *args]
    return subprocess.run(argv, check=False).returncode


def main(parts: Sequence[Path], run: Run = asked_again) -> int:
    """0 when all that failed in these parts holds alone, 1 when not."""
    if why := refusal(parts):
        _say(f"{why}; nothing is asked again")
        return 1
    held = True
    for part in (part for part in parts if status_of(part) == FAILED):
        for test in failed_of(part):
            _say(f"failed beside the others, asked again alone: {test}")
        status = run(part, shlex.split((part / "args").read_text()))
        # what passed leaves the cache; what was not found again stays there
        if status != PASSED or failed_of(part):
            held = False
            _say(f"{part.name}: failed again")
    return 0 if held else 1


def _say(words: str) -> None:
    print(f"make test: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main([Path(word).absolute() for word in sys.argv[1:]]))
