"""Batch scripts translated: files in, nouns and files out. No scheduler is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from foundry_tui.actions.errors import PARTLY, ActionError, WrongUse
from foundry_tui.actions.scripts import read_script
from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import load
from foundry_tui.estate.text import safe
from foundry_tui.migration.mapping import TablesError
from foundry_tui.migration.mapping import read as read_tables
from foundry_tui.migration.nouns import TARGETS, Class, Tables, Translation, worst
from foundry_tui.migration.translate import ENDING, NOT_SEEN, translate

__all__ = ["NOT_SEEN", "TARGETS", "code_of", "files_of", "tables", "translations"]


def tables(path: Path | None, config: Path | None) -> Tables:
    """The mapping tables of a file: the one that is named, else that of the configuration.

    `config` is the configuration file, None for the usual one.

    Raises:
        WrongUse: the file cannot be read or used.
    """
    place = path or _configured(config)
    if place is None:
        return Tables()
    name, data = read_script(str(place), "a file of mapping tables")
    try:
        return read_tables(Path(name).name, data)
    except TablesError as error:
        raise WrongUse(f"migrate: {error}") from error


def _configured(config: Path | None) -> Path | None:
    try:
        return load(config, os.environ).config.migration.tables
    except ConfigError as error:
        raise WrongUse(str(error)) from error


def translations(paths: Iterable[str], known: Tables, target: str) -> tuple[Translation, ...]:
    """Each script translated. One that cannot be read has a problem, and the others are done."""
    return tuple(_translation(path, known, target) for path in paths)


def _translation(path: str, known: Tables, target: str) -> Translation:
    try:
        _, data = read_script(path, "a batch script")
    except WrongUse as error:
        return Translation(path=path, target=target, problem=safe(str(error), max_cells=400))
    return translate(path, data, known, target)


def code_of(made: Sequence[Translation]) -> int:
    """The exit code: 0 all ok or by table, 1 something lost or nothing read, else 5."""
    read = [one for one in made if one.problem is None]
    if not read:
        return ActionError.code
    found = worst(one.worst for one in read)
    if found is Class.LOST:
        return ActionError.code
    whole = found in (Class.OK, Class.TABLE) and len(read) == len(made)
    return 0 if whole else PARTLY


def files_of(made: Sequence[Translation]) -> tuple[tuple[str, str], ...]:
    """Names and texts of the files of all translations: specs, and manifests beside them.

    Scripts of one name get a number behind it.
    """
    found: dict[str, str] = {}
    for one in made:
        if one.spec_text is None:
            continue
        stem = _stem(one.path, found)
        found[f"{stem}{ENDING}"] = one.spec_text
        if one.manifests and one.target == "kai":
            found[f"{stem}.kai.yaml"] = _yaml(one)
        elif one.manifests:
            body = one.manifests[0] if len(one.manifests) == 1 else list(one.manifests)
            found[f"{stem}.runai.json"] = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    return tuple(found.items())


def _stem(path: str, taken: dict[str, str]) -> str:
    plain = Path(path).stem or "job"
    number, stem = 1, plain
    while f"{stem}{ENDING}" in taken:
        number += 1
        stem = f"{plain}-{number}"
    return stem


def _yaml(one: Translation) -> str:
    import yaml

    class Plain(yaml.SafeDumper):
        """Labels that stand twice are written twice: anchors are for no reader."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    made: str = yaml.dump_all(
        one.manifests, Dumper=Plain, sort_keys=False, allow_unicode=True, width=100
    )
    return made
