"""Why a node gave nothing: a word that is counted, and what went wrong in words."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry.nodes.reply import Reply


class Kind(StrEnum):
    """Why a node gave nothing, in the word that is counted."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNKNOWN_HOST = "unknown host"
    DENIED = "denied"
    CERTIFICATE = "certificate"
    REDIRECT = "redirect"
    ERROR = "error"
    TOO_LARGE = "too large"
    BROKEN = "broken"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Silence:
    """Why there is no answer of a node."""

    kind: Kind
    words: SafeText


def refusal(reply: Reply, *, with_token: bool) -> Silence:
    """What an answer that is no page says."""
    if reply.status in (401, 403):
        words = "the token is refused" if with_token else "it wants a token, and none is set"
        return Silence(Kind.DENIED, safe(f"{words} ({reply.status})"))
    if 300 <= reply.status < 400:
        to = reply.headers.get(b"location", b"another place")
        words = f"it redirects to {safe(to, max_cells=80)}, which is not followed; set `url` to it"
        return Silence(Kind.REDIRECT, safe(words))
    return Silence(Kind.ERROR, safe(f"it answers with status {reply.status}"))


def untrusted(error: ssl.SSLError) -> Silence:
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"its certificate is not trusted: {error.verify_message}"
        return Silence(Kind.CERTIFICATE, safe(words))
    why = (error.reason or "it does not speak TLS").lower().replace("_", " ")
    return Silence(Kind.CERTIFICATE, safe(f"no TLS with it: {why}"))


def unreachable(error: OSError) -> Silence:
    if isinstance(error, ConnectionRefusedError):
        return Silence(Kind.REFUSED, safe("nobody answers on that port"))
    if isinstance(error, ConnectionError):
        return Silence(Kind.BROKEN, safe("the connection broke"))
    if error.errno == errno.EMFILE:
        words = "this host lets us open no more files (ulimit -n)"
        return Silence(Kind.UNREACHABLE, safe(words))
    why = error.strerror or type(error).__name__
    return Silence(Kind.UNREACHABLE, safe(f"it cannot be reached: {why}"))


def counted(silences: Mapping[str, Silence]) -> str:
    """How many gave nothing, by why: `41 timeout, 22 refused`."""
    counts: dict[Kind, int] = {}
    for silence in silences.values():
        counts[silence.kind] = counts.get(silence.kind, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{number:,} {kind}" for kind, number in ranked)
