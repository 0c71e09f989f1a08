"""What a submit would send, to the letter: the command and its script, or the request."""

from __future__ import annotations

import json

from foundry_tui.estate.acts import Preview, Submit
from foundry_tui.estate.text import safe
from foundry_tui.presenters.changes import METHODS, command_text
from foundry_tui.presenters.page import Style


def rendered_text(preview: Preview, style: Style) -> str:
    """A command on one line, and below it the script that it is given; a request with its body.

    Characters that could drive the terminal are shown as stand-ins; `--json` has them as they are.
    """
    act = preview.act
    assert isinstance(act, Submit)
    blocks = []
    for item in preview.items:
        if item.command[:1] and item.command[0] in METHODS:
            words = (" ".join(item.command[:2]), *map(_body, item.command[2:]))
            blocks.append(_shown("\n".join(words)))
        else:
            script = act.script.decode("utf-8", "replace")
            blocks.append(f"{command_text(item.command, style)}\n\n{_shown(script)}")
    return "\n\n".join(blocks)


def _shown(text: str) -> str:
    """Line by line made safe, with the tabs that a script may be indented with."""
    return "\n".join(
        "\t".join(safe(part, max_cells=8 * len(part)) for part in line.split("\t"))
        for line in text.split("\n")
    )


def _body(text: str) -> str:
    """JSON on many lines; anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
