"""A job spec in the words of its file: as values, as YAML that reads back the same, and flat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from foundry_tui.jobs.reading.fields import VERSION
from foundry_tui.jobs.spec import Checkpoint, Data, JobSpec, Launcher, Mount, Secret, Words

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*|(?:[0-9]+[dhms])+|[0-9.]+[KMGT]i?")
_TAKEN = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
"""Plain words that other readers of YAML take for something else."""

_UNITS = tuple(
    (f"{letter}{'i' if base == 1024 else ''}", base**power)
    for power, letter in ((4, "T"), (3, "G"), (2, "M"), (1, "K"))
    for base in (1024, 1000)
)
_STEPS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_MAX_WHOLE = 10**9
_INDENT = "  "


def values(spec: JobSpec) -> dict[str, object]:
    """The keys of a spec file with plain values; what is not said is left out.

    Raises:
        ValueError: an amount that no file can hold to the byte.
    """
    found: dict[str, object] = {"version": VERSION, "name": spec.name}
    said: dict[str, object] = {
        "script": spec.script,
        "file": spec.file,
        "params": dict(spec.params),
        "seed": spec.seed,
        "image": spec.image,
        "modules": list(spec.modules),
        "workdir": spec.workdir,
        "queue": _words(spec.queue),
        "account": _words(spec.account),
        "node_pool": _words(spec.node_pool),
        "nodes": spec.nodes if spec.nodes_most is None else f"{spec.nodes}..{spec.nodes_most}",
        "gpus": spec.gpus,
        "gpu_share": _decimal(spec.gpu_share_milli),
        "gpu_memory": _size(spec.gpu_memory_bytes),
        "gpu_model": spec.gpu_model,
        "cpus": _decimal(spec.cpu_milli),
        "memory": _size(spec.memory_bytes),
        "time_limit": _duration(spec.time_limit_s),
        "preemptible": spec.preemptible,
        "priority": _words(spec.priority),
        "launcher": None if spec.launcher is Launcher.NONE else spec.launcher.value,
        "processes": spec.processes,
        "restarts": spec.restarts,
        "parallel": None if (p := spec.parallel) is None else {"tp": p.tp, "pp": p.pp, "dp": p.dp},
        "deepspeed_config": spec.deepspeed_config,
        "environment": dict(spec.environment),
        "secrets": {one.variable: _secret(one) for one in spec.secrets},
        "mounts": [_mount(one) for one in spec.mounts],
        "data": [_data(one) for one in spec.data],
        "checkpoint": None if spec.checkpoint is None else _checkpoint(spec.checkpoint),
        "retry": None if (r := spec.retry) is None else {"on": list(r.on), "most": r.most},
        "array": spec.array,
        "needs": list(spec.needs),
        "notify": list(spec.notify),
        "preflight": [list(words) for words in spec.preflight],
        "experiment": spec.experiment,
        "tags": dict(spec.tags),
        "options": {source: list(words) for source, words in spec.options},
    }
    return found | {key: value for key, value in said.items() if value not in (None, [], {})}


def text(spec: JobSpec) -> str:
    """The spec as YAML; `load` makes an equal spec of it.

    Raises:
        ValueError: as `values`.
    """
    return "".join(f"{line}\n" for line in _lines(values(spec), ""))


def flat(spec: JobSpec) -> Mapping[str, str]:
    """Each value under its key with dots: `checkpoint.grace`, `params.lr`, `options.slurm.1`.

    Raises:
        ValueError: as `values`.
    """
    return dict(_flat((), values(spec)))


def word(text: str) -> str:
    """A text as it stands in a file, in quotes where it needs them."""
    return _scalar(text)


def _flat(where: tuple[str, ...], value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat((*where, key), item)
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _flat((*where, str(number)), item)
    else:
        yield ".".join(where), _scalar(value) if isinstance(value, bool) else str(value)


def _words(words: Words) -> object:
    return dict(words.by_source) if words.by_source else words.everywhere


def _secret(secret: Secret) -> str:
    return secret.name if secret.key == secret.variable else f"{secret.name}/{secret.key}"


def _mount(mount: Mount) -> dict[str, object]:
    made = {"source": mount.source, "target": mount.target, "claim": mount.claim}
    kept: dict[str, object] = {key: value for key, value in made.items() if value is not None}
    return kept | ({"read_only": True} if mount.read_only else {})


def _data(data: Data) -> dict[str, object]:
    made = {"name": data.name, "path": data.path, "version": data.version or "auto"}
    return {**made, **({"schema": data.schema} if data.schema is not None else {})}


def _checkpoint(checkpoint: Checkpoint) -> dict[str, object]:
    path = {"path": checkpoint.path} if checkpoint.path is not None else {}
    return {**path, "signal": checkpoint.signal, "grace": _duration(checkpoint.grace_s)}


def _decimal(milli: int | None) -> int | float | None:
    if milli is None:
        return None
    return milli // 1000 if milli % 1000 == 0 else float(Decimal(milli) / 1000)


def _size(size_bytes: int | None) -> str | None:
    """The shortest amount of at most three decimals that is exactly so many bytes."""
    if size_bytes is None:
        return None
    fits = [
        f"{(Decimal(size_bytes) / factor).normalize():f}{unit}"
        for unit, factor in _UNITS
        if size_bytes * 1000 % factor == 0 and size_bytes < _MAX_WHOLE * factor
    ]
    if not fits:
        raise ValueError(f"{size_bytes} bytes are no amount of at most three decimals")
    return min(fits, key=len)


def _duration(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    made = ""
    for step, unit in _STEPS:
        count, seconds = divmod(seconds, step)
        made += f"{count}{unit}" if count else ""
    return made


def _lines(table: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in table.items():
        name = f"{indent}{_key(key)}:"
        if isinstance(value, dict):
            yield name
            yield from _lines(value, indent + _INDENT)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            yield name
            for item in value:
                first, *rest = _lines(item, indent + 2 * _INDENT)
                yield f"{indent}{_INDENT}- {first.lstrip(' ')}"
                yield from rest
        elif isinstance(value, str) and _literal(value):
            yield f"{name} |"
            for line in value.splitlines():
                yield f"{indent}{_INDENT}{line}" if line else ""
        else:
            yield f"{name} {_scalar(value)}"


def _literal(value: str) -> bool:
    """Whether a text can stand as it is below a `|`: lines of plain characters, one end."""
    lines = value.split("\n")
    plain = all(line.replace("\t", "").isprintable() for line in lines)
    whole = value.endswith("\n") and not value.endswith("\n\n")
    return plain and whole and lines[0] == lines[0].lstrip() != ""


def _key(key: str) -> str:
    return key if _PLAIN.fullmatch(key) and key.lower() not in _TAKEN else _quoted(key)


def _scalar(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    return value if _PLAIN.fullmatch(value) and value.lower() not in _TAKEN else _quoted(value)


def _quoted(text: str) -> str:
    """In double quotes, with every character escaped that YAML does not take as it is."""
    return f'"{"".join(map(_character, text))}"'


def _character(char: str) -> str:
    if char in '\\"':
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else (f"\\U{code:08x}")
    )
