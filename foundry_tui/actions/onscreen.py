"""Abilities that only the screens have: moving, choosing, finding. With the same table as the rest.

Footer, help, command line of the screens, key map and documentation are made from `EVERY`.
"""

from __future__ import annotations

import unicodedata
from contextlib import suppress

from foundry_tui.actions.table import ACTIONS, Action


def _key(id: str, title: str, help: str, *keys: str, scope: str = "screen") -> Action:
    return Action(id=id, title=title, help=help, keys=keys, scope=scope)


ON_SCREEN: tuple[Action, ...] = (
    _key("open", "Open", "What the cursor is on, in full.", "enter"),
    _key("back", "Back", "To where you came from; filter and cursor are kept.", "escape"),
    _key("previous", "Previous place", "To the place before this one.", "minus"),
    _key("filter", "Filter", "Show only what matches; the list follows as you type.", "slash"),
    _key("command", "Command", "Run an action or go to a run, node, user or view.", "colon"),
    _key("sort", "Sort", "By the column whose letter comes next; again turns it round.", "s"),
    _key("mark", "Mark", "Mark this row for the next act.", "space"),
    _key("range", "Mark a range", "Mark the rows from the last mark to here.", "v"),
    _key("mark_all", "Mark all", "Mark every row that is shown, or none.", "asterisk"),
    _key("columns", "Columns", "Choose which columns are shown.", "f"),
    _key("views", "Saved views", "Keep filter, order and columns under a name.", "V"),
    _key("copy", "Copy", "Id, name, command or row, to the terminal's clipboard.", "y"),
    _key("export", "Export", "Write what is shown to a CSV file.", "e"),
    _key("pause", "Pause", "Hold the screen still; the data behind it goes on.", "p"),
    _key("refresh", "Refresh", "Read the sources again as soon as they may be asked.", "r"),
    _key("zoom", "Zoom", "This panel alone, or all again.", "z"),
    _key("next_panel", "Next panel", "Move the cursor to the next panel.", "tab"),
    _key("log", "Command log", "Every command sent, and its answer.", "L"),
    _key(
        "page", "MLflow page", "Open the run's MLflow page, or show its address.", "o", scope="run"
    ),
    _key("metric", "Metric", "Show another metric's curve.", "m", scope="run"),
    _key("errors", "Error file", "The run's error file, or its output again.", "x", scope="run"),
    _key("window", "Window", "Another window of time, of a report or of a GPU's curves.", "W"),
    _key("kind", "Other report", "The next of the reports.", "R"),
    _key("ask", "Ask for", "Which report, window, periods, whose, prices, names.", "a"),
    _key("write", "Write", "The report's CSV file and the record of its sources.", "O"),
    _key(
        "earlier",
        "Earlier",
        "Five minutes back in time: nodes, queues and runs as they stood then.",
        "left_square_bracket",
    ),
    _key("later", "Later", "Five minutes on, up to now.", "right_square_bracket"),
    _key("hour_earlier", "An hour earlier", "An hour back in time.", "left_curly_bracket"),
    _key("hour_later", "An hour later", "An hour on, up to now.", "right_curly_bracket"),
    _key("edit", "Edit", "The batch script in your editor.", "E", scope="run"),
    _key("shell", "Shell", "A shell inside the running run.", "S", scope="run"),
    _key("tradeoffs", "Trade-offs", "Gain against number of moves, of the plan shown.", "t"),
    _key("pin", "Pin", "The run that the others are measured against; again lets it go.", "P"),
    _key("group", "Group seeds", "Runs that differ in their seed alone, as mean and sd.", "plus"),
    _key(
        "every", "All rows", "The rows that are alike too, or only those that differ.", "full_stop"
    ),
    _key(
        "dry_run",
        "Dry run",
        "Every step of the marked moves: the exact command, and what stands in the way.",
        "d",
    ),
    _key(
        "board",
        "Migration",
        "Per account: what has moved, what is left, and what blocks it.",
        "Z",
    ),
    _key("transpose", "Transpose", "Runs as rows, or as columns.", "X"),
    _key("rank", "Rank", "Runs by their last, best or smoothed value, or as marked.", "K"),
    _key("smooth", "Smooth", "Curves as a moving average, or as they were logged.", "tilde"),
    _key("log_y", "Log scale", "Curves on a logarithmic scale, or a plain one.", "Y"),
    _key("x_axis", "Steps or time", "Curves over steps, or over the time since the start.", "C"),
    _key("tour", "Tour", "Five steps, five keys.", "0"),
    _key("theme", "Theme", "The next theme: the terminal's own colours first.", "T"),
    _key("help", "Help", "What works here, with its keys.", "question_mark"),
    _key("quit", "Quit", "Leave; asks only while something is held.", "q"),
)
"""`keys` are in Textual's words; the key map of the configuration may change them by id."""

EVERY: tuple[Action, ...] = (*ACTIONS, *ON_SCREEN)
"""Every ability of the program, each id once."""

SHOWN = {
    "enter": "enter",
    "escape": "esc",
    "minus": "-",
    "slash": "/",
    "colon": ":",
    "space": "space",
    "asterisk": "*",
    "question_mark": "?",
    "tab": "tab",
    "plus": "+",
}
"""Key -> how it is written for a reader; other keys are written as they are."""


def key_text(key: str) -> str:
    """A key as a reader knows it."""
    if len(key) > 1 and key not in SHOWN:
        with suppress(KeyError):
            sign = unicodedata.lookup(key.replace("_", " "))
            return sign if sign.isprintable() else key
    return SHOWN.get(key, key)
