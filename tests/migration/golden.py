"""The expected classes of the corpus: `python -m tests.migration.golden` writes them anew.

What it writes is read and judged before it is committed: a line for each finding, `LINE CLASS
NAME`, with `!` behind what stops a submit.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from foundry_tui.migration.mapping import read
from foundry_tui.migration.nouns import ORDER, TARGETS, Tables, Translation
from foundry_tui.migration.translate import translate

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.toml"
SCRIPTS = tuple(sorted((HERE / "corpus").glob("*.sh")))


@cache
def tables() -> Tables:
    """The mapping tables of the corpus."""
    place = HERE / "tables.toml"
    return read(place.name, place.read_bytes())


@cache
def translated(name: str, target: str) -> Translation:
    """A script of the corpus."""
    return translate(name, (HERE / "corpus" / name).read_bytes(), tables(), target)


def lines(made: Translation) -> list[str]:
    """The findings of a translation, short."""
    return [
        f"{f.line or '-'} {f.klass.value} {f.name}{' !' if f.blocks else ''}" for f in made.findings
    ]


def summary() -> dict[str, dict[str, int]]:
    """Target -> how many scripts of the corpus have which worst class, and have manifests."""
    found = {}
    for target in TARGETS:
        made = [translated(path.name, target) for path in SCRIPTS]
        counts = {klass.value: sum(one.worst is klass for one in made) for klass in ORDER}
        found[target] = counts | {"with manifests": sum(bool(one.manifests) for one in made)}
    return found


def expected() -> Mapping[str, Mapping[str, object]]:
    """What the file says."""
    return tomllib.loads(EXPECTED.read_text("utf-8"))


def text() -> str:
    """The file as it would be now."""
    made = ["# Made by `python -m tests.migration.golden`; read before it is committed.", ""]
    for target, counts in summary().items():
        made.append(f"[summary.{target}]")
        made += [f'"{klass}" = {count}' for klass, count in counts.items()]
        made.append("")
    for path in SCRIPTS:
        made += [f'["{path.name}"]', "findings = ["]
        one = translated(path.name, "kai")
        made += [f"  {json.dumps(line, ensure_ascii=False)}," for line in lines(one)]
        made.append("]")
        if one.withheld is not None:
            made.append(f"withheld = {json.dumps(one.withheld, ensure_ascii=False)}")
        made.append("")
    return "\n".join(made)


if __name__ == "__main__":
    EXPECTED.write_text(text(), "utf-8")
