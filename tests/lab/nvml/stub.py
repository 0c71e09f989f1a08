"""A host whose NVML is the C stub: the real bindings and the real child run against it."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.telemetry.nvml.source import LIBRARY, Nvml

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.c")))
DEADLINE_S = 30.0
"""Enough for a child on a busy machine; only the tests of a hang wait for a deadline."""


def compiler() -> str | None:
    """A C compiler of this machine, or None."""
    return shutil.which("cc") or shutil.which("gcc")


def build(library: Path, *defines: str) -> Path:
    """The stub as a shared library. Raises `AssertionError` with the compiler's words."""
    cc = compiler()
    assert cc is not None
    flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}")
    macros = [f"-D{name}" for name in defines]
    done = subprocess.run(
        [cc, *flags, *macros, *map(str, SOURCES), "-o", str(library), "-ldl", "-lm"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return library


@dataclass(frozen=True, slots=True)
class StubHost:
    """A folder with the library and what it shall say: `host.h` has the words."""

    folder: Path

    def says(self, *lines: str | bytes) -> None:
        """Set up the host, or change it while somebody reads; calls are counted from here on."""
        raw = [line.encode() if isinstance(line, str) else line for line in lines]
        raw.append(f"calls {self._log}".encode())
        new = self.folder / "nvml_stub.new"
        new.write_bytes(b"\n".join(raw) + b"\n")
        new.replace(self.folder / "nvml_stub.txt")
        self._log.unlink(missing_ok=True)

    def nvml(self, timeout_s: float = DEADLINE_S) -> Nvml:
        """The source on this host; a driver that the machine really has is not looked at."""
        return Nvml(
            node="n1",
            timeout_s=timeout_s,
            driver_signs=(),
            library_folders=(),
            environ={"LD_LIBRARY_PATH": str(self.folder)},
        )

    def calls(self) -> Counter[str]:
        """How often each function of the library was called."""
        return Counter(line.split()[1] for line in self._lines())

    def pids(self) -> set[int]:
        """The processes that called the library."""
        return {int(line.split()[0]) for line in self._lines()}

    @property
    def _log(self) -> Path:
        return self.folder / "calls.txt"

    def _lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []
