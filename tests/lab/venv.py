"""Virtual environments of their own for what is too much for Foundry's.

They are kept in the user's cache, by version, and made there once; two test runs at a time are
safe.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.components import required

INSTALL_TIMEOUT_S = 1800
COMPLETE = ".complete"
"""File in the environment that stands there when the package is installed; names the extras."""


@dataclass(frozen=True, slots=True)
class Venv:
    """One package, at one version, with what it needs.

    `extras` are further requirements, each of one version too; an environment that was made
    without them gets them.
    """

    package: str
    version: str
    size: str
    extras: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where it is, or would be, installed."""
        cache = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
        return base / "foundry-lab" / f"{self.package}-{self.version}"

    @property
    def python(self) -> Path:
        """The Python that can import it."""
        return self.folder / "bin" / "python"

    def missing(self) -> str | None:
        """Why it is not there; None when it is. Installed here where `FOUNDRY_REQUIRE` says."""
        if self._whole():
            return None
        if self.package not in required():
            return (
                f"{self.folder} is not installed; FOUNDRY_REQUIRE={self.package} installs it "
                f"({self.size})"
            )
        try:
            self._install()
        except (OSError, subprocess.SubprocessError) as error:
            output = getattr(error, "output", None) or b""
            told = output.decode(errors="replace")[-2000:]
            return f"{self.package} {self.version} could not be installed: {error}\n{told}"
        return None

    def _install(self) -> None:
        """Make the environment; a second test run waits for the first one and finds it made."""
        folder = self.folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._whole():
                return
            wanted = (f"{self.package}=={self.version}", *self.extras)
            pip = [str(self.python), "-m", "pip", "--quiet", "--no-input"]
            commands = [[*pip, "install", "--disable-pip-version-check", *wanted]]
            if not (folder / COMPLETE).exists():
                shutil.rmtree(folder, ignore_errors=True)
                commands.insert(0, [sys.executable, "-m", "venv", str(folder)])
            for command in commands:
                subprocess.run(
                    command,
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=INSTALL_TIMEOUT_S,
                )
            (folder / COMPLETE).write_text("\n".join(self.extras))

    def _whole(self) -> bool:
        """Whether all of it is installed; the package itself is, where there is the file."""
        try:
            had = (self.folder / COMPLETE).read_text().split()
        except OSError:
            return False
        return set(self.extras) <= set(had)
