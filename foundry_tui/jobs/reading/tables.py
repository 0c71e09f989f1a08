"""Tables with a few fixed keys of their own: checkpoint, retry, parallel, data, mounts, secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from foundry_tui.jobs.amounts import DURATION, duration_s
from foundry_tui.jobs.document import Document, Path
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.reading.kinds import (
    AS_WRITTEN,
    TEXT,
    TRUTH,
    WORD,
    Kind,
    amount,
    each_once,
    items,
    one_of,
    pairs,
    pattern,
    whole,
    wrong,
)
from foundry_tui.jobs.reading.programs import BESIDE
from foundry_tui.jobs.reading.unknown import unknown
from foundry_tui.jobs.spec import Checkpoint, Data, Mount, Parallel, Retry, Secret

MAX_PROCESSES = 1 << 20
MAX_GRACE_S = 65_535
"""Slurm takes no longer warning before the end (`--signal`)."""

SIGNALS = ("USR1", "USR2", "TERM", "INT", "HUP", "QUIT", "CONT")
ENDS = ("node_fail", "preempted", "timeout")
"""The ends after which a run can begin again by itself."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_STEERING = ("SBATCH_", "SLURM_")
"""Variables that would change what the submit itself means."""

_SECRET = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,251})?"
_FOLDER = r"/[^\s:,]*"


def variable(name: str) -> str | None:
    """What is wrong with the name of a variable; None where nothing is."""
    if not _VARIABLE.fullmatch(name):
        return "a name has letters, digits and `_`, no digit first"
    if name.upper().startswith(_STEERING):
        return "would change the submit itself; say it in `options`"
    return None


def table(
    keys: Mapping[str, tuple[str, Kind]], make: Callable[..., Any], needs: tuple[str, ...] = ()
) -> Kind:
    """A table with these keys (key -> argument of `make`, kind), of which some are needed."""

    def read(document: Document, where: Path, value: object) -> Any:
        if not isinstance(value, dict):
            raise wrong(document, where, value, f"a table of {', '.join(keys)}")
        for key in value:
            if key not in keys:
                raise document.error((*where, key), unknown(key, keys))
        for key in needs:
            if key not in value:
                raise document.error(where, f"`{key}` is missing")
        found = {
            keys[key][0]: keys[key][1].read(document, (*where, key), item)
            for key, item in value.items()
        }
        try:
            return make(**found)
        except ValueError as error:
            raise document.error(where, str(error)) from None

    return Kind(
        read,
        {
            "type": "object",
            "properties": {key: kind.schema for key, (_, kind) in keys.items()},
            "additionalProperties": False,
            **({"required": list(needs)} if needs else {}),
        },
    )


def _mount(source: str | None = None, target: str | None = None, **more: Any) -> Mount:
    if source is None and more.get("claim") is None:
        raise ValueError("give `source` (a folder of the host) or `claim` (a volume claim)")
    if target is None and source is None:
        raise ValueError("give `target`: where the claim is seen")
    return Mount(source=source, target=target or source or "", **more)


def _data(version: str | None = None, **more: Any) -> Data:
    return Data(version=None if version == "auto" else version, **more)


def _version(document: Document, where: Path, value: object) -> str:
    text: str = AS_WRITTEN.read(document, where, value)
    if not text.strip():
        raise wrong(document, where, value, "a version, or auto")
    return text.strip()


def _secrets(document: Document, where: Path, value: object) -> tuple[Secret, ...]:
    """Variables alone, or a table of variables and the secret (`name` or `name/key`) of each."""
    if isinstance(value, list):
        names = each_once(items(WORD, "a list of variables")).read(document, where, value)
        return tuple(_own(document, (*where, str(n)), name) for n, name in enumerate(names, 1))
    if not isinstance(value, dict):
        raise wrong(document, where, value, "a list of variables, or a table of their secrets")
    found = []
    for name, place in value.items():
        secret, _, key = _place(document, (*where, name), place).partition("/")
        own = _named(document, (*where, name), name)
        found.append(Secret(variable=own, name=secret, key=key or name))
    return tuple(found)


def _place(document: Document, where: Path, value: object) -> str:
    """The place of a secret. What stands there instead may be its value: it is not repeated."""
    try:
        found: str = _PLACE.read(document, where, value)
    except SpecError:
        raise document.error(
            where, f"expected {_PLACE_WORDS}: lower-case letters, digits, `-`, `.`; no value"
        ) from None
    return found


def _own(document: Document, where: Path, name: str) -> Secret:
    made = name.lower().replace("_", "-").strip("-")
    secret = Secret(variable=_named(document, where, name), name=made, key=name)
    if not made:
        raise document.error(where, f"no name of a secret follows from it: {name}: NAME")
    return secret


def _named(document: Document, where: Path, name: str) -> str:
    if (problem := variable(name)) is not None:
        raise document.error(where, problem)
    return name


def _distinct(kind: Kind, what: str) -> Kind:
    """A list of tables in which no two have the same `what`."""

    def read(document: Document, where: Path, value: object) -> tuple[Any, ...]:
        found: tuple[Any, ...] = kind.read(document, where, value)
        names = [getattr(one, what) for one in found]
        for n, name in enumerate(names):
            if name in names[:n]:
                raise document.error((*where, str(n + 1)), f"{what} {name!r} stands there twice")
        return found

    return replace(kind, read=read)


_FOLDERS = pattern(_FOLDER, "an absolute path without blanks, `:` and `,`")
_PLACE_WORDS = "the name of a secret such as hf-token, or hf-token/key"
_PLACE = pattern(_SECRET, _PLACE_WORDS)
_DEGREE = whole(1, MAX_PROCESSES)

CHECKPOINT = table(
    {
        "path": ("path", TEXT),
        "signal": ("signal", one_of(SIGNALS, prefix="SIG")),
        "grace": ("grace_s", amount(duration_s, DURATION, MAX_GRACE_S)),
    },
    Checkpoint,
)
RETRY = table(
    {
        "on": (
            "on",
            each_once(items(one_of(ENDS), f"a list of {', '.join(ENDS)}", least=1, most=3)),
        ),
        "most": ("most", whole(1, 1000)),
    },
    Retry,
)
PARALLEL = table({key: (key, _DEGREE) for key in ("tp", "pp", "dp")}, Parallel)
MOUNTS = _distinct(
    items(
        table(
            {
                "source": ("source", _FOLDERS),
                "target": ("target", _FOLDERS),
                "claim": (
                    "claim",
                    pattern(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", "the name of a claim"),
                ),
                "read_only": ("read_only", TRUTH),
            },
            _mount,
        ),
        "a list of tables of source, target, claim and read_only",
    ),
    "target",
)
DATA = _distinct(
    items(
        table(
            {
                "name": ("name", TEXT),
                "path": ("path", TEXT),
                "version": ("version", Kind(_version, AS_WRITTEN.schema)),
                "schema": ("schema", BESIDE),
            },
            _data,
            needs=("name", "path"),
        ),
        "a list of tables of name, path, version and schema",
    ),
    "name",
)
SECRETS = Kind(
    _secrets,
    {
        "anyOf": [
            {"type": "array", "items": WORD.schema},
            pairs(_PLACE, "").schema,
        ]
    },
)
