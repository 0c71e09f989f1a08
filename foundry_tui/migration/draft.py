"""A spec in the making: its fields, what is kept for Slurm alone, and the findings so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from foundry_tui.estate.text import safe
from foundry_tui.migration.amounts import Amounts
from foundry_tui.migration.nouns import Class, Finding, Kind, Tables
from foundry_tui.migration.script import Given, Script
from foundry_tui.migration.secret import masked


@dataclass(slots=True, kw_only=True)
class Draft:
    """What the rules write into.

    `fields` are those of `JobSpec`; `slurm` are native options that keep for Slurm what a spec has
    no word for; `native` those for the target; `labels` are labels that nodes must have; `images`
    are the images that something named, best last.
    """

    script: Script
    tables: Tables
    target: str
    options: dict[str, str]
    amounts: Amounts
    fields: dict[str, Any] = field(default_factory=dict)
    slurm: list[str] = field(default_factory=list)
    native: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    mounts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def say(
        self,
        given: Given,
        became: str,
        why: str,
        klass: Class,
        *,
        blocks: bool = False,
        keep: bool = False,
    ) -> None:
        """What became of a directive; `keep` it for Slurm among the native options."""
        if keep and given.words.isprintable():
            self.slurm.append(given.words)
        self._add(given.line, Kind.DIRECTIVE, f"--{given.name}", given.words, became, why, klass)
        if blocks:
            self._block()

    def tell(
        self,
        line: int | None,
        name: str,
        words: str,
        became: str,
        why: str,
        klass: Class,
        *,
        kind: Kind = Kind.BODY,
        blocks: bool = False,
    ) -> None:
        """What became of an idiom of the program, or of the whole (`line` None)."""
        self._add(line, kind, name, words, became, why, klass)
        if blocks:
            self._block()

    def variable(self, name: str, value: str) -> None:
        """A variable of the program; the first that says so counts."""
        known = dict(self.fields.get("environment", ()))
        self.fields["environment"] = tuple(({name: value} | known).items())

    def _add(
        self,
        line: int | None,
        kind: Kind,
        name: str,
        words: str,
        became: str,
        why: str,
        klass: Class,
    ) -> None:
        self.findings.append(
            Finding(
                line=line,
                kind=kind,
                name=safe(name, max_cells=80),
                words=safe(masked(" ".join(words.split())), max_cells=200),
                became=safe(became, max_cells=300),
                why=safe(why, max_cells=600),
                klass=klass,
            )
        )

    def _block(self) -> None:
        last = self.findings.pop()
        self.findings.append(
            Finding(
                line=last.line,
                kind=last.kind,
                name=last.name,
                words=last.words,
                became=last.became,
                why=last.why,
                klass=last.klass,
                blocks=True,
            )
        )
