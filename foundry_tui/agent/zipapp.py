"""The agent as one file for compute nodes: `python -m foundry_tui.agent.zipapp -o FILE`.

It holds the agent, prometheus_client and nvidia-ml-py as they are installed here, with their
licences, and runs with the system's Python 3.9 or newer and nothing else.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import zipapp
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import foundry_tui
from foundry_tui.agent.serving.access import Unusable

BUNDLED = {"prometheus_client": "prometheus_client", "nvidia-ml-py": "pynvml.py"}
"""Distribution -> the folder or file of it that is taken along."""

OURS = "foundry-tui"
PAPERS = ("LICENSE", "NOTICE", "COPYING", "METADATA")
"""Beginnings of the names of files that say under which terms a distribution is given on."""

START = "foundry_tui.agent.__main__:main"


def build(target: Path) -> None:
    """Write the archive.

    Raises:
        Unusable: this is the archive itself, or a distribution is not installed here.
        OSError: the file cannot be written.
    """
    package = Path(foundry_tui.__file__).parent
    if not package.is_dir():
        raise Unusable("--build-zipapp: this is the archive already; copy it")
    with tempfile.TemporaryDirectory(prefix="foundry-agent-") as folder:
        root = Path(folder)
        shutil.copytree(
            package / "agent",
            root / "foundry_tui" / "agent",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        shutil.copy(package / "__init__.py", root / "foundry_tui")
        for name in (*BUNDLED, OURS):
            try:
                found = distribution(name)
            except PackageNotFoundError as error:
                raise Unusable(f"{name} is not installed here; pip install {name}") from error
            _copy(found, root, BUNDLED.get(name))
        zipapp.create_archive(root, target, "/usr/bin/env python3", START, compressed=True)
    target.chmod(0o755)


def _copy(found: Distribution, root: Path, code: str | None) -> None:
    """What is in `code` of a distribution, and its papers in `licences/NAME`."""
    name = found.metadata["Name"]
    for file in found.files or ():
        source, into = Path(str(found.locate_file(file))), None
        if file.parts[0] == code and file.suffix == ".py":
            into = root / file
        elif file.name.startswith(PAPERS):
            into = root / "licences" / name / file.name
        if into is not None and source.is_file():
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, into)


def main(argv: list[str]) -> int:
    """Write the archive that `-o` names; the exit code."""
    asked = argparse.ArgumentParser(prog="python -m foundry_tui.agent.zipapp")
    asked.add_argument("-o", "--output", type=Path, default=Path("foundry-agent.pyz"))
    target = asked.parse_args(argv).output
    try:
        build(target)
    except (OSError, Unusable) as error:
        sys.stderr.write(f"{target}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
