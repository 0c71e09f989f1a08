"""The collector process: the only one that touches the driver. One line per round on its pipe.

It is started by the serving process and ends with it: the end of its standard input is the end of
whoever started it, even while a call into the driver hangs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time

from foundry_tui.agent.wire import encode

PROCESSES_S = 60
"""Processes are listed in the last round before each multiple of this: a list can take 5 ms."""


def collect(interval_s: float, rounds: int | None) -> None:
    """Print rounds, at whole multiples of `interval_s`; `rounds` of them, or for ever.

    Raises:
        OSError: nobody reads any more.
    """
    # the library may print: what is the pipe's must come from here alone
    pipe = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import pynvml

    from foundry_tui.agent.nvml.driver import Code
    from foundry_tui.agent.nvml.reader import Reader

    _give_back()
    reader = Reader(pynvml)
    done = 0
    while True:
        now = time.time()
        last_of_minute = now // PROCESSES_S < (now + interval_s) // PROCESSES_S
        processes = done == 0 or last_of_minute
        if rounds is not None:  # one list: a second would have no sample of what each one does
            processes = done == rounds - 1
        round_ = reader.read(now, processes=processes)
        _write(pipe, encode(round_))
        done += 1
        if done == rounds or round_.failure_code == Code.LIB_RM_VERSION_MISMATCH:
            reader.close()  # only a new process can load the library that fits
            return
        now = time.time()
        time.sleep(interval_s - now % interval_s)


def _give_back() -> None:
    """Give back the memory in which the bindings were compiled; only glibc has a call for it.

    In an archive nothing is compiled beforehand: without this the process keeps 11 MB more.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _write(pipe: int, line: bytes) -> None:
    while line:
        line = line[os.write(pipe, line) :]


def _end_with_parent() -> None:
    """End this process when its standard input ends. Not `sys.exit`: a call may never return."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def main(argv: list[str]) -> int:
    """`INTERVAL_S [ROUNDS]`. What goes wrong is one line on standard error and exit code 1."""
    try:
        collect(float(argv[0]), int(argv[1]) if argv[1:] else None)
    except BrokenPipeError:
        return 0
    except Exception as error:
        sys.stderr.write(f"foundry agent: the collector failed: {error!r}\n")
        return 1
    return 0
