"""A slurmdbd and a controller whose answers are known, behind the commands of an adapter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from foundry_tui.process import MAX_BYTES
from foundry_tui.schedulers.slurm.accounting.ledger import Ledger
from foundry_tui.schedulers.slurm.commands import Commands
from tests.schedulers.slurm.accounting.sacctrows import MARK, NODES, T0, row

DAY, HOUR = 86_400, 3_600
NOW = T0 + 30 * DAY
TRES = b"gres|gpu\ngres|gpu:h100\ncpu|\n"

Job = tuple[str, int, int | None, int | None]
"""Id, and the seconds at which it was eligible, started and ended."""


@dataclasses.dataclass(frozen=True)
class Books(Commands):
    """A slurmdbd that answers as sacct 22.05 does: what was eligible before E and not over by S."""

    jobs: Sequence[Job] = ()
    tres: bytes = TRES
    asked: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    fails: Callable[[int, int], Exception | None] = lambda start, end: None
    squeue: bytes | Exception = b""
    sinfo: bytes = b""
    steps: bytes = b""

    def read(
        self,
        name: str,
        *args: str,
        timeout_s: float | None = None,
        env: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> bytes:
        """The answer to one command."""
        self.asked.append((name, *args))
        if name == "sacct":
            return self._sacct(args)
        if name == "squeue" and isinstance(self.squeue, Exception):
            raise self.squeue
        answers = {"sacctmgr": self.tres, "squeue": self.squeue, "sinfo": self.sinfo}
        answer = answers[name]
        assert isinstance(answer, bytes)
        return answer

    def _sacct(self, args: tuple[str, ...]) -> bytes:
        start, end = (
            int(datetime.fromisoformat(args[args.index(o) + 1]).replace(tzinfo=UTC).timestamp())
            for o in ("-S", "-E")
        )
        error = self.fails(start, end)
        if error is not None:
            raise error
        mark = next(a for a in args if a.startswith("--delimiter=")).partition("=")[2].encode()
        if "-X" not in args:
            return self.steps.replace(MARK, mark)
        rows = [
            row(
                JobIDRaw="7",
                JobID=name,
                Submit=str(eligible if began is None else min(eligible, began)),
                State="RUNNING" if ended is None and began is not None else "COMPLETED",
                Eligible=str(eligible),
                Start="Unknown" if began is None else str(began),
                End="Unknown" if ended is None else str(ended),
            )
            for name, eligible, began, ended in self.jobs
            if eligible < end and (ended is None or ended >= start)
        ]
        return b"".join(rows).replace(MARK, mark)

    def spans(self) -> list[tuple[str, str]]:
        """The stretches that were asked for, in order."""
        return [
            (a[a.index("-S") + 1], a[a.index("-E") + 1])
            for a in self.asked
            if a[0] == "sacct" and "-X" in a
        ]


def ledger(books: Books, private: Callable[[], frozenset[str]] = frozenset) -> Ledger:
    return Ledger.opened(books, "lab", lambda: NODES, private)
