"""The program ends when the user leaves, whoever hangs."""

from __future__ import annotations

import time
from pathlib import Path

from tests.stories.seated import Seat

HUNG = """#!/bin/sh
case "$1" in -V|--version) echo "slurm 22.05.8"; exit 0;; esac
exec sleep 60
"""


def test_commands_that_hang_keep_neither_the_keys_nor_the_prompt_waiting(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    for name in ("squeue", "scontrol", "sinfo", "sacct", "sacctmgr", "scancel", "sbatch", "sprio"):
        (folder / name).write_text(HUNG)
        (folder / name).chmod(0o755)
    config = tmp_path / "config.toml"
    config.write_text(f'[slurm.lab]\nbin = "{folder}"\ntimeout_s = 30\n')
    config.chmod(0o600)
    with Seat(tmp_path, "--config", str(config)) as seat:
        seat.until(lambda: "reading" in seat.text, "the first screen")
        seat.press("2")
        seat.key_s()
        began = time.monotonic()
        seat.press("q")
        assert seat.exit_code() == 0
        assert time.monotonic() - began < 10, "far less than the commands would be waited for"
