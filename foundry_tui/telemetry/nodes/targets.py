"""Which nodes are asked, and where: the schedulers' nodes put into a url, or a list in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry.names import short

MAX_BYTES = 8 << 20
MAX_TARGETS = 20_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
_ADDRESS_6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_PATH = re.compile(r"/[!-~]{0,500}")
_PORTS = {"http": 80, "https": 443}


class TargetsError(Exception):
    """The list of targets cannot be used; the message names the file and the entry."""

    def __init__(self, words: str) -> None:
        super().__init__(safe(words, max_cells=400))


@dataclass(frozen=True, slots=True)
class Target:
    """Where one node answers. `node` is its name at the scheduler, `path` begins with a slash."""

    node: str
    host: str
    port: int
    path: str = "/metrics"
    tls: bool = False

    @property
    def authority(self) -> str:
        """Host and port as in a url."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.authority}{self.path}"


@dataclass(slots=True)
class Targets:
    """The targets of one source. A file is read again when it has changed."""

    config: TelemetryConfig
    _seen: tuple[int, int, int] | None = field(default=None, init=False)
    _listed: tuple[Target, ...] = field(default=(), init=False)

    def of(self, nodes: Sequence[str]) -> tuple[tuple[Target, ...], dict[str, SafeText]]:
        """The targets, and the nodes that cannot be one with the reason.

        Raises:
            TargetsError: the file cannot be used.
        """
        if self.config.targets_file is not None:
            return self._file(self.config.targets_file), {}
        found, silent = [], {}
        for node in dict.fromkeys(nodes):
            if _NAME.fullmatch(node):
                found.append(_from_url((self.config.url or "").replace("{node}", node), node))
            else:
                silent[node] = safe("its name cannot be the name of a host")
        return tuple(found), silent

    def _file(self, path: Path) -> tuple[Target, ...]:
        try:
            info = path.stat()
            seen = info.st_ino, info.st_mtime_ns, info.st_size
            if seen != self._seen:
                if info.st_size > MAX_BYTES:
                    raise TargetsError(f"targets_file {path} is larger than {MAX_BYTES >> 20} MiB")
                with path.open("rb") as file:
                    self._listed = listed(file.read(MAX_BYTES + 1), path, self.config.url)
                self._seen = seen
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise TargetsError(f"targets_file {path} cannot be read: {why}") from None
        return self._listed


def listed(text: bytes, path: Path, url: str | None = None) -> tuple[Target, ...]:
    """The targets of a file as Prometheus' file_sd_configs takes it, in JSON.

    An entry's labels may be `node` (else the host's short name), `__scheme__` and
    `__metrics_path__`; what they leave open is taken from `url`, else http and /metrics.

    Raises:
        TargetsError: the file is not such a list.
    """
    if len(text) > MAX_BYTES:
        raise TargetsError(f"targets_file {path} is larger than {MAX_BYTES >> 20} MiB")
    try:
        groups = json.loads(text)
    except (ValueError, RecursionError):
        raise TargetsError(f"targets_file {path} is not JSON") from None
    if not isinstance(groups, list):
        raise TargetsError(f"targets_file {path}: a list of groups is wanted")
    found: list[Target] = []
    for number, group in enumerate(groups, 1):
        where = f"targets_file {path}, group {number}"
        group = group if isinstance(group, dict) else {}
        hosts, labels = group.get("targets"), group.get("labels", {})
        if not (
            isinstance(hosts, list)
            and isinstance(labels, dict)
            and all(isinstance(text, str) for text in (*hosts, *labels.values()))
        ):
            raise TargetsError(f'{where}: {{"targets": ["host:port"], "labels": {{}}}} is wanted')
        if "node" in labels and len(hosts) > 1:
            raise TargetsError(f"{where}: one `node` is named for {len(hosts)} targets")
        for host in hosts:
            found.append(_entry(host, labels, url, where))
            if len(found) > MAX_TARGETS:
                raise TargetsError(f"targets_file {path} has more than {MAX_TARGETS:,} targets")
    return tuple(found)


def _entry(text: str, labels: Mapping[str, str], url: str | None, where: str) -> Target:
    default = urlsplit((url or "http://{node}/metrics").replace("{node}", "node"))
    scheme = labels.get("__scheme__", default.scheme)
    path = labels.get("__metrics_path__", default.path or "/metrics")
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    named = _NAME.fullmatch(host) or _ADDRESS_6.fullmatch(host)
    if not named or text != parts.netloc or parts.username is not None:
        raise TargetsError(f"{where}: {text!r} is not host:port")
    if scheme not in _PORTS or not _PATH.fullmatch(path):
        raise TargetsError(f"{where}: {scheme}://{text}{path} is not an address to ask")
    node = labels.get("node") or short(host)
    return Target(node, host, port or default.port or _PORTS[scheme], path, scheme == "https")


def _from_url(url: str, node: str) -> Target:
    """The configuration has checked the url, and `node` is the name of a host."""
    parts = urlsplit(url)
    path = (parts.path or "/metrics") + (f"?{parts.query}" if parts.query else "")
    tls = parts.scheme == "https"
    port = parts.port or _PORTS["https" if tls else "http"]
    return Target(node, parts.hostname or node, port, path, tls)
