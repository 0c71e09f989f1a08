"""A new job spec with what it needs, written for the site as it is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foundry_tui.actions.draft import sources
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.site import Site
from foundry_tui.actions.tracker import backend
from foundry_tui.estate.queue import Queue
from foundry_tui.jobs.starting import SPEC, TEMPLATES, Fit, files

__all__ = ["PATIENCE_S", "TEMPLATES", "Started", "begin"]

PATIENCE_S = 3.0
"""How long the sources may take to tell their queues; without them the spec has a comment."""

MAX_TOLD = 12
"""How many queues to choose from are named in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The files that were written, the specs among them, and the sources to choose from."""

    files: tuple[str, ...]
    specs: tuple[str, ...]
    sources: tuple[str, ...]


def begin(site: Site, template: str, output: str | None, *, force: bool = False) -> Started:
    """Write the files of a template: `output` is the spec, or a folder for all.

    Nothing is written if one of them is there already, unless by `force`.

    Raises:
        WrongUse: `output` does not fit the template.
        ActionError: a file is there already, or cannot be written.
    """
    made = files(template, _fit(site))
    specs = [name for name, _ in made if name.endswith(".yaml")]
    folder, renamed = _place(output, specs)
    named = [(folder / renamed.get(name, name), text) for name, text in made]
    there = [str(place) for place, _ in named if place.exists() or place.is_symlink()]
    if there and not force:
        raise ActionError(
            f"nothing was written: {', '.join(there)}: there already; -o FOLDER/ writes into "
            "another folder, --force writes over what is there"
        )
    written: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, text in named:
            with place.open("w" if force else "x", encoding="utf-8") as file:
                file.write(text)
            written.append(str(place))
    except OSError as error:
        done = f"; written before it: {', '.join(written)}" if written else ""
        raise ActionError(f"{error.filename} cannot be written: {error.strerror}{done}") from error
    return Started(
        files=tuple(written),
        specs=tuple(str(p) for p, _ in named if p.suffix == ".yaml"),
        sources=() if site.unasked or site.saved is not None else sources(site),
    )


def _place(output: str | None, specs: list[str]) -> tuple[Path, dict[str, str]]:
    """The folder, and the name that is wanted for the spec."""
    if output is None:
        return Path(), {}
    place = Path(output).expanduser()
    if output.endswith("/") or place.is_dir():
        return place, {}
    if len(specs) > 1:
        raise WrongUse(f"-o {output}: this template has several specs; name a folder: {output}/")
    if place.suffix not in (".yaml", ".yml"):
        raise WrongUse(f"-o {output}: the name of a spec ends in .yaml; a folder ends in /")
    return place.parent, {SPEC: place.name}


def _fit(site: Site) -> Fit:
    """What is known of queues and accounts, where there is a single source to go to."""
    names = () if site.unasked or site.saved is not None else sources(site)
    if not names:
        return Fit()
    contained = None
    kinds = {backend(site, name) for name in names}
    if "slurm" not in kinds:
        contained = True
    elif kinds == {"slurm"}:
        contained = False
    snapshot = site.snapshot(PATIENCE_S, measured=False)
    leaves = _leaves([q for q in snapshot.queues if q.source in names and q.state == "up"])
    told = tuple(dict.fromkeys(q.name for q in leaves if _fits(q.name)))[:MAX_TOLD]
    if len(names) > 1:
        return Fit(queues=told, contained=contained)
    queue = next((q for q in leaves if q.default), leaves[0] if len(leaves) == 1 else None)
    if queue is None or not _fits(queue.name):
        return Fit(queues=told, contained=contained)
    accounts = tuple(name for name in queue.accounts or () if _fits(name))[:MAX_TOLD]
    return Fit(queue=queue.name, accounts=accounts, contained=contained)


def _leaves(queues: list[Queue]) -> list[Queue]:
    """Queues that runs go to: no other queue is below them."""
    parents = {(q.source, q.parent) for q in queues}
    return [q for q in queues if (q.source, q.name) not in parents]


def _fits(name: str) -> bool:
    """Whether a name can stand in a line of the file: it comes from the scheduler."""
    return name.isprintable() and not any(c.isspace() for c in name)
