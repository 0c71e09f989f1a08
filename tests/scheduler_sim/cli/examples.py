"""The examples of docs/scheduler-sim.md: `python -m tests.scheduler_sim.cli.examples` runs them.

What stands below a line `$ scheduler-sim …` in a console block is replaced by what it prints now,
and so are the options at the end of the page.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from scheduler_sim.cli import main
from scheduler_sim.cli.app import COMMANDS, scheduler_sim
from tests.scheduler_sim.cli.data import DATA

PAGE = DATA.parent / "docs" / "scheduler-sim.md"
PROMPT = "$ scheduler-sim "
OPTIONS = "## Options\n"
_BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
_TIMED = ("placements per s", "CPU, s", "runs_per_s", "cpu_s")


def blocks(page: str) -> list[str]:
    """The console blocks of a page."""
    return _BLOCK.findall(page)


def run_block(block: str) -> str:
    """The block with what its commands print now; run where it is needed, in `ready_folder`."""
    return "".join(
        f"{line}\n{printed(shlex.split(line.removeprefix(PROMPT)))}"
        for line in block.splitlines()
        if line.startswith(PROMPT)
    )


def printed(args: list[str]) -> str:
    """What a command prints on standard output."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(io.StringIO()) as said,
    ):
        code = main(args)
    assert code == 0, f"{args}: {said.getvalue()}"
    return raw.getvalue().decode()


@contextlib.contextmanager
def ready_folder() -> Iterator[None]:
    """A folder with `data/` in which examples may write, on a terminal of 80 columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path("data").symlink_to(DATA)
            yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def timeless(text: str) -> list[str]:
    """The words of an output without how long it took, which differs from run to run."""
    lines = []
    timed_columns = False
    for line in text.splitlines():
        if line.startswith("{"):
            line = json.dumps(_without_times(json.loads(line)))
        if line.startswith(_TIMED):
            continue
        words = re.sub(r"[\d.]+ s CPU", "s CPU", line).split()
        if words[-2:] == ["CPU", "s"]:
            timed_columns = True
        elif timed_columns and words:
            words = words[:-2]
        else:
            timed_columns = False
        lines.append(" ".join(words))
    return lines


def options() -> str:
    """Every option of every command, as tables."""
    parts = []
    for name, words in COMMANDS.items():
        context = click.Context(scheduler_sim, info_name="scheduler-sim")
        command = scheduler_sim.get_command(context, name)
        assert command is not None
        parts += [f"\n### scheduler-sim {name}\n", words, "\n| option | does |\n|---|---|"]
        for option in command.params:
            assert isinstance(option, click.Option)
            value = "" if option.is_flag else f" {option.metavar or 'FILE'}"
            default = option.default if isinstance(option.default, str | int) else None
            shown = f" Default: `{default}`." if option.show_default and default != "" else ""
            needed = " Needed." if option.required else ""
            parts.append(f"| `{', '.join(option.opts)}{value}` | {option.help}{needed}{shown} |")
    return "\n".join(parts) + "\n"


def page_now(page: str) -> str:
    """The page with every example run again, and its options."""
    with ready_folder():
        made = _BLOCK.sub(lambda found: run_block(found[0]), page)
    return made[: made.index(OPTIONS)] + OPTIONS + options()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        timed = ("cpu_s", "placements_per_s", "runs_per_s")
        return {k: _without_times(v) for k, v in value.items() if k not in timed}
    return [_without_times(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    PAGE.write_text(page_now(PAGE.read_text("utf-8")), "utf-8")
