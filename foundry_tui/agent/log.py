"""What the agent says of itself: lines on standard error, which systemd puts into the journal."""

from __future__ import annotations

import contextlib
import sys


def narrate(words: str) -> None:
    """One line. The agent goes on where nobody takes it: a full disk, a terminal that is gone."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"foundry agent: {words}\n")
        sys.stderr.flush()
