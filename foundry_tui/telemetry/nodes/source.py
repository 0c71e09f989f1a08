"""Agents or dcgm-exporters on every node as one source of readings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

from foundry_tui.config.secrets import Secret, SecretError, credential
from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.exposition.metrics import ASKED
from foundry_tui.telemetry.exposition.text import Cache
from foundry_tui.telemetry.nodes.fetch import Fetcher
from foundry_tui.telemetry.nodes.silence import Kind, Silence
from foundry_tui.telemetry.nodes.sweep import NAMES, NodeSweep, Seen
from foundry_tui.telemetry.nodes.targets import Targets, TargetsError
from foundry_tui.telemetry.ports import KIND, Found, Sweep
from foundry_tui.telemetry.tls import TlsError, context

_TOKEN = re.compile(r"[!-~]+")
PROBED = 5
"""Nodes that gave nothing which `foundry doctor` names."""

QUERY = urlencode([("name[]", name) for name in ASKED])
"""What agents are asked for. An exporter would ignore it, a server between may refuse it."""

_MENDS = {
    Kind.TIMEOUT: "is the node up, and is the port open from here?",
    Kind.REFUSED: "start it there: systemctl start {unit}",
    Kind.UNREACHABLE: "is the node up, and is there a route to it?",
    Kind.UNKNOWN_HOST: "correct the host in `url`, or give a `targets_file`",
    Kind.DENIED: "set `credential_file` to a file with the token of the nodes",
    Kind.CERTIFICATE: "renew the node's certificate, or set `ca_file` to its authority's",
    Kind.REDIRECT: "set `url` to where it leads",
    Kind.ERROR: "look at its log there: journalctl -u {unit}",
    Kind.TOO_LARGE: "is that the right port and path?",
    Kind.BROKEN: "is that the right port, and http or https?",
    Kind.NOT_ASKED: "fewer of the others must be silent",
}
_UNITS = {"agents": "foundry-agent", "dcgm": "nvidia-dcgm-exporter"}


@dataclass(slots=True)
class NodesSource:
    """One page of every node, asked over HTTP.

    What went wrong with a node is its silence; what is odd about its values stands in `how` of its
    readings. A GPU that its node listed within the last hour and does not list now is told as lost.
    """

    config: TelemetryConfig
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _targets: Targets = field(init=False)
    _cache: Cache = field(default_factory=Cache, init=False)
    _fetcher: Fetcher | None = field(default=None, init=False)
    _token: Secret | None = field(default=None, init=False)
    _seen: Seen = field(default_factory=dict, init=False)
    _silent: dict[str, Silence] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._targets = Targets(self.config)

    @property
    def name(self) -> str:
        return self.config.name

    def read(self, nodes: Sequence[str], deadline_s: float) -> Sweep:
        """A page of every node within `deadline_s`; see `TelemetrySource`."""
        return self._read(nodes, deadline_s, patient=True)

    def probe(self, nodes: Sequence[str]) -> tuple[Found, ...]:
        """How many answer, and the first few that do not, each with what to do."""
        sweep = self._read(nodes, 4 * self.config.timeout_s, patient=False)
        what = f"{NAMES[self.config.kind]} {self.name}"
        words = sweep.source.reason or _all(sweep.asked)
        found = [Found(what=what, state=sweep.source.state.value, found=safe(words))]
        for node, why in sorted(sweep.silent.items())[:PROBED]:
            mend = _MENDS[self._silent[node].kind].format(unit=_UNITS[self.config.kind])
            found.append(Found(what=f"{what} on {node}", state="down", found=why, mend=mend))
        url = urlsplit(self.config.url or "")
        if self._token is not None and url.scheme == "http" and not _loopback(url.hostname):
            found.append(
                Found(
                    what=what,
                    state="ok",
                    found=safe("the token is sent without TLS, so the network can read it"),
                    mend="give the agents a certificate and set `url` to https://",
                )
            )
        return tuple(found)

    def close(self) -> None:
        """Close all connections."""
        if self._fetcher is not None:
            self._fetcher.close()
            self._fetcher = None

    def _read(self, nodes: Sequence[str], deadline_s: float, *, patient: bool) -> Sweep:
        try:
            targets, unnamed = self._targets.of(nodes)
            fetcher = self._ready(any(target.tls for target in targets))
        except (TargetsError, TlsError) as error:
            return self._none(SourceState.DOWN, str(error))
        except SecretError as error:
            return self._none(SourceState.DENIED, str(error))
        taken = NodeSweep(self.config, self.clock, self._cache, self._seen, len(targets))
        for node, why in unnamed.items():
            taken.silent[node] = Silence(Kind.UNKNOWN_HOST, why)
        fetcher.sweep(targets, taken.take, deadline_s, self._token, patient=patient)
        if any(why.kind is Kind.DENIED for why in taken.silent.values()):
            self._token = None  # it may have been renewed: the next sweep reads it again
        self._silent = taken.silent
        return taken.sweep()

    def _ready(self, tls: bool) -> Fetcher:
        """The fetcher, with the credentials of now.

        Raises:
            SecretError: the token cannot be had.
            TlsError: a certificate cannot be used.
        """
        if self._token is None:
            token = credential(self.config, self.env)
            if token is not None and not _TOKEN.fullmatch(token.reveal()):
                mend = "put the token alone there, without spaces"
                raise SecretError(f"the token of {self.name}", "cannot be one", mend)
            self._token = token
        if self._fetcher is None:
            query = QUERY if self.config.kind == "agents" else ""
            self._fetcher = Fetcher(self.config.timeout_s, query=query)
        if tls and self._fetcher.context is None:
            self._fetcher.context = context(self.config)
        return self._fetcher

    def _none(self, state: SourceState, reason: str) -> Sweep:
        return Sweep(source=Source(name=self.name, kind=KIND, state=state, reason=safe(reason)))


def _all(asked: int) -> str:
    return "the one node answers" if asked == 1 else f"all {asked:,} nodes answer"


def _loopback(host: str | None) -> bool:
    return host in ("localhost", "::1") or (host or "").startswith("127.")
