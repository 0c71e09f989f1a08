"""The command `keys`: the key map of the screens, as it is here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from foundry_tui.actions.keymap import Bound, configured
from foundry_tui.actions.onscreen import key_text
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.presenters import records
from foundry_tui.presenters.page import Style, finish, wrap


def table(bound: Sequence[Bound], width: int) -> list[str]:
    """Key, id and what it does; a key of the configuration is starred."""
    rows = [("Key", "Id", "Does")]
    for one in bound:
        star = "*" if one.changed else ""
        changes = "Changes the estate. " if one.action.risk == "change" else ""
        keys = " ".join(key_text(key) for key in one.keys)
        rows.append((keys + star, one.action.id, changes + one.action.help))
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = []
    for key, name, does in rows:
        head = f"{key:<{wide[0]}}  {name:<{wide[1]}}  "
        lines += wrap(does, width, first=head, rest=" " * len(head))
    return lines


def record(bound: Bound) -> dict[str, object]:
    """One action as a JSON object; `keys` are in the words of `[keys]`."""
    action = bound.action
    return {
        "id": action.id,
        "keys": [key_text(key) for key in bound.keys],
        "changed": bound.changed,
        "title": action.title,
        "help": action.help,
        "scope": action.scope,
        "risk": action.risk,
        "role": action.role,
    }


@command("keys")
def keys(context: Context) -> int:
    bound = configured(context.config)
    if context.as_json:
        rows = [record(one) for one in bound]
        output.emit(records.envelope("keys", rows, sources=(), now=datetime.now(UTC)))
        return 0
    style = Style(width=output.width(), ascii=context.ascii_only)
    on_screen = [one for one in bound if one.keys]
    lines = table(on_screen, style.width)
    if any(one.changed for one in on_screen):
        lines += ["", "* changed by [keys] of the configuration"]
    output.emit(finish(lines, style))
    return 0
