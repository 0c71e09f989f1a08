"""The scripts of the largest groups of a census: read where they can be had, and translated."""

from __future__ import annotations

from collections.abc import Callable

from foundry_tui.actions.migrate.recorded import recorded
from foundry_tui.actions.site import Site
from foundry_tui.migration.census import Reading, interactive, reading, unread
from foundry_tui.migration.nouns import Tables
from foundry_tui.migration.tally import Group, Tally
from foundry_tui.migration.translate import translate
from foundry_tui.reports.made import Progress
from foundry_tui.schedulers.ports import SchedulerError, ScriptReader

Go = Callable[[Progress], None]


def readings(
    site: Site,
    tally: Tally,
    tables: Tables,
    target: str,
    most: int,
    notes: list[str],
    go: Go,
) -> dict[Group, Reading]:
    """The largest groups, at most `most` of them, by what their script says for a `target`.

    What could not be read at all is told in `notes`.
    """
    largest = sorted(
        tally.latest, key=lambda g: (-tally.groups[g].gpu_s, -tally.groups[g].runs, str(g))
    )
    found: dict[Group, Reading] = {}
    down: dict[str, str] = {}
    forgetful: dict[str, str] = {}
    for number, group in enumerate(largest[:most]):
        words = f"script {number + 1} of {min(most, len(largest))}"
        go(Progress(0.9 + 0.1 * number / most, words))
        if group.source in down:
            found[group] = unread(down[group.source])
            continue
        try:
            found[group] = _reading(site, group, tally, tables, target, forgetful)
        except SchedulerError as error:
            down[group.source] = f"{group.source} did not answer"
            notes.append(f"{group.source}: its scripts were not read: {error}")
            found[group] = unread(down[group.source])
    return found


def _reading(
    site: Site, group: Group, tally: Tally, tables: Tables, target: str, forgetful: dict[str, str]
) -> Reading:
    """What the newest script of a group says.

    `forgetful` are sources that keep no script of runs that are over, by why: they are not asked
    for one again.
    """
    scheduler = site.schedulers[group.source]
    if not isinstance(scheduler, ScriptReader):
        return unread(f"{group.source} tells no scripts")
    latest = tally.latest[group]
    own = recorded(site, latest.token, tables, target)
    if own is not None:
        return own
    why = "no run of it is known"
    for raw_id, ended in ((latest.live, False), (latest.ended, False), (latest.ended, True)):
        if raw_id is None:
            continue
        if ended and group.source in forgetful:
            return unread(forgetful[group.source])
        answer = scheduler.batch_script(raw_id, ended=ended)
        if answer.data is not None:
            return reading(translate(f"{group.name or 'job'}.sh", answer.data, tables, target))
        if answer.interactive:
            return interactive()
        why = str(answer.reason or why)
        if not answer.kept:
            forgetful[group.source] = why
    return unread(why)
