"""Templates of job specs: the files of one, fitted to the site for which they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from foundry_tui.jobs.writing import word

TEMPLATES: Mapping[str, str] = {
    "single": "one node, a program that needs nothing but Python",
    "ddp": "data-parallel PyTorch with torchrun",
    "deepspeed": "DeepSpeed with ZeRO",
    "fsdp": "fully sharded PyTorch (FSDP) with torchrun",
    "pipeline": "four runs, each behind the one before it; Slurm only",
}
"""Name of a template -> what it is."""

SPEC = "foundry.yaml"

_FOLDER = Path(__file__).with_name("templates")
_ENDING = ".in"
_INCLUDE = "# include: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What is known of the site: `queue` to use, else `queues` to choose from, and the accounts.

    `contained` says whether programs run in images there; None where it is not known.
    """

    queue: str | None = None
    queues: tuple[str, ...] = ()
    account: str | None = None
    accounts: tuple[str, ...] = field(default=())
    contained: bool | None = None


def files(template: str, fit: Fit) -> tuple[tuple[str, str], ...]:
    """Name and text of each file of a template, the specs first.

    Raises:
        KeyError: there is no such template.
    """
    if template not in TEMPLATES:
        raise KeyError(template)
    places = sorted((_FOLDER / template).iterdir(), key=lambda p: (".yaml" not in p.name, p.name))
    return tuple(
        (place.name.removesuffix(_ENDING), _made(place.read_text("utf-8"), fit))
        for place in places
        if place.name.endswith(_ENDING)
    )


def _made(text: str, fit: Fit) -> str:
    return "".join(f"{_line(line, fit)}\n" for line in text.splitlines())


def _line(line: str, fit: Fit) -> str:
    """A line as it is, or what a mark at its beginning stands for."""
    if line.startswith(_INCLUDE):
        place = _FOLDER / "common" / f"{line.removeprefix(_INCLUDE)}{_ENDING}"
        return place.read_text("utf-8").rstrip("\n")
    if line == "@queue":
        return _choice("queue", fit.queue, fit.queues)
    if line == "@account":
        return _choice("account", fit.account, fit.accounts)
    if line.startswith("@image "):
        image = line.removeprefix("@image ")
        return f"# image: {image}" if fit.contained is False else f"image: {image}"
    return line


def _choice(key: str, chosen: str | None, known: tuple[str, ...]) -> str:
    if chosen is not None:
        return f"{key}: {word(chosen)}"
    told = f"  # one of {', '.join(known)}" if known else ""
    return f"# {key}: NAME{told}"
