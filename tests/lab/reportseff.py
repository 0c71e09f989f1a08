"""reportseff, which also reads `sacct`: from a virtual environment of its own.

It is the reports' independent reader of the same accounting. It prints what it was asked for in
text; of a job id that `sacct` shows more than once it keeps one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from tests.lab.venv import Venv

PROGRAM = Venv("reportseff", "2.10.3", "27 MB")

TIMEOUT_S = 60
MARK = "\x1f"


def missing() -> str | None:
    """Why there is no reportseff; None when there is."""
    return PROGRAM.missing()


def jobs(env: Mapping[str, str], columns: Sequence[str], *words: str) -> dict[str, dict[str, str]]:
    """Job id -> its columns (`JobID` is added), as reportseff has them of a lab.

    `words` are further options, such as those of the window.

    Raises:
        AssertionError: it failed; with what it said.
    """
    wanted = ("JobID", *columns)
    program = str(PROGRAM.folder / "bin" / "reportseff")
    asked = ["--no-color", "--parsable", f"--delimiter={MARK}", f"--format={','.join(wanted)}"]
    ended = subprocess.run(
        [program, *asked, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    head, *rows = ended.stdout.decode().splitlines()
    assert head.split(MARK) == list(wanted), head
    cells = [row.split(MARK) for row in rows]
    return {row[0]: dict(zip(wanted, row, strict=True)) for row in cells}
