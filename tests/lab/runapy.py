"""The official client of the Run:ai control plane, from a virtual environment of its own.

It takes seconds to import and asks again after an error, a create too: Foundry does not use it.
The tests hold the fake control plane to it.
"""

import json
import subprocess
from typing import Any

from tests.lab.venv import Venv

CLIENT = Venv("runapy", "1.224.0", "80 MB")

TIMEOUT_S = 120


def missing() -> str | None:
    """Why there is no client; None when there is."""
    return CLIENT.missing()


def run(script: str, *arguments: str) -> Any:
    """Run a script that can import `runai`; the JSON that it prints.

    Raises:
        AssertionError: it failed; with what it said.
    """
    ended = subprocess.run(
        [str(CLIENT.python), "-c", script, *arguments],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)
