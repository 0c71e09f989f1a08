"""The command line of `sbatch`, taken apart: its options, the script, the script's arguments."""

from __future__ import annotations

from foundry_tui.schedulers.slurm.directives import SHORT, VALUED, DirectiveError, full_name


def split_arguments(
    argv: tuple[str, ...], also_valued: frozenset[str] = frozenset()
) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Options, script and arguments of the script, as `sbatch` itself would split them.

    `also_valued` are further options that take the next word as their value.

    Raises:
        DirectiveError: the last option lacks its value.
    """
    words = list(argv)
    options: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            words.insert(0, word)
            break
        options.append(word)
        if word in also_valued or _wants_value(word):
            if not words:
                raise DirectiveError(f"option {word} lacks its value")
            options.append(words.pop(0))
    script = words.pop(0) if words else None
    return tuple(options), script, tuple(words)


def _wants_value(word: str) -> bool:
    """Whether the value of an option stands in the next word."""
    if word.startswith("--"):
        return "=" not in word and full_name(word[2:]) in VALUED
    for place, letter in enumerate(word[1:], start=1):
        if SHORT.get(letter) in VALUED:
            return place == len(word) - 1
    return False
