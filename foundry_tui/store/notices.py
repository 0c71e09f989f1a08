"""Who was told of what, so that nobody is told of the same finding twice in a period."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from foundry_tui.config.owned import OTHERS_WRITE, open_own, replace_own

MOST_BYTES = 16 << 20


class NoticesError(Exception):
    """What was told cannot be read or kept; without that nobody is told."""


class Told:
    """The file `notices.json` of a folder: key of a finding -> when its owner was told."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "notices.json"

    def load(self) -> Mapping[str, datetime]:
        """What was told so far; empty when nothing was.

        Raises:
            NoticesError: the file is not this user's own, or holds something else.
        """
        try:
            with os.fdopen(open_own(self.file, OTHERS_WRITE), "rb") as file:
                data = json.loads(file.read(MOST_BYTES))
            return {str(key): datetime.fromisoformat(at) for key, at in data.items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise NoticesError(f"{self.file}: {error.strerror or error}") from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise NoticesError(
                f"{self.file} holds no notices: move it aside, then everybody is told anew"
            ) from error

    def remember(self, keys: Iterable[str], now: datetime, keep: timedelta) -> None:
        """Note that these were told now; what is older than `keep` is forgotten.

        Raises:
            NoticesError: the file cannot be written.
        """
        kept = {key: at for key, at in self.load().items() if now - at < keep}
        kept |= dict.fromkeys(keys, now)
        told = {key: at.isoformat() for key, at in sorted(kept.items())}
        try:
            replace_own(self.file, json.dumps(told, indent=0).encode(), sync=True)
        except OSError as error:
            raise NoticesError(f"{self.file}: {error.strerror or error}") from error
