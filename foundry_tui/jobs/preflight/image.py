"""The image of a run: whether its name is one, and whether the same name means the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundry_tui.estate.text import safe
from foundry_tui.jobs.preflight.registry import Registry, RegistryError
from foundry_tui.jobs.preflight.verdict import Check, fail, ok, skipped, warn

NAME = "image"
MAX_CHARS = 1024
TIMEOUT_S = 5.0
SHOWN_CELLS = 120
DEFAULT_REGISTRY = "docker.io"
"""What a name without a registry means to Docker, containerd and Enroot alike."""

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?"
)
_FILES = (".sqsh", ".sif", ".img", ".tar")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is named, after the grammar of the OCI distribution specification."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None


def parse(text: str) -> Reference:
    """The parts of `nvcr.io/nvidia/pytorch:25.01`, with or without `docker://`; also `host#path`.

    Raises:
        ValueError: it is no name of an image, in words.
    """
    rest = text.removeprefix("docker://").replace("#", "/", 1)
    if len(rest) > MAX_CHARS:
        raise ValueError(f"longer than {MAX_CHARS} characters")
    rest, at, digest = rest.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError("behind the @ stands sha256: and 64 digits of 0-9 and a-f")
    first, slash, path = rest.partition("/")
    registry = DEFAULT_REGISTRY
    if slash and (first == "localhost" or any(c in first for c in ".:") or not first.islower()):
        if not _HOST.fullmatch(first):
            raise ValueError(f"{first!r} is no host of a registry")
        registry, rest = first, path
    path, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError("a tag has letters, digits, `_`, `.`, `-`, and at most 128 of them")
    if not _PATH.fullmatch(path):
        raise ValueError("small letters, digits and single . _ - between slashes, then `:TAG`")
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return Reference(registry, path, tag or None, digest or None)


def is_file(text: str) -> bool:
    """Whether an image is named as a file (Enroot, Apptainer), not in a registry."""
    return text.startswith(("/", "./", "../")) or text.endswith(_FILES)


def check(text: str | None, *, found: str | None = None, why: str = "") -> tuple[Check, ...]:
    """The judgement on a name; `found` is its digest where it was asked, or `why` there is none."""
    if text is None or is_file(text):
        return ()
    scheme, colon, _ = text.partition("://")
    if colon and scheme != "docker":
        return (skipped(NAME, f"{text}: nothing is known here of {scheme}://"),)
    try:
        name = parse(text)
    except ValueError as error:
        shown = safe(text, max_cells=SHOWN_CELLS)
        return (fail(NAME, f"{shown} is no name of an image: {error}"),)
    if name.digest is not None:
        return (ok(NAME, f"{text} is fixed by its digest"),)
    told = (ok(NAME, f"today {found}"),) if found else (skipped(NAME, why),) if why else ()
    if name.tag in (None, "latest"):
        missing = "has no tag, which means latest" if name.tag is None else "is latest"
        words = f"{text} {missing}: tomorrow it is another image; name a version, or its digest"
    else:
        words = f"{text}: a tag can be moved; NAME@sha256:… is fixed"
    return (warn(NAME, words), *told)


def resolved(reference: str, timeout_s: float = TIMEOUT_S) -> str | None:
    """The digest that a name has now, `sha256:…`; None when nobody tells it in time.

    One that stands in the name is given back without asking.
    """
    return asked(reference, timeout_s)[0]


def asked(reference: str, timeout_s: float = TIMEOUT_S) -> tuple[str | None, str]:
    """The digest that a name has now; else None, and in words why it is not known.

    The registry is asked without a login: what is not public is not known.
    """
    if is_file(reference):
        return None, f"{reference} is a file"
    try:
        name = parse(reference)
        if name.digest is not None:
            return name.digest, ""
        registry = Registry(name.registry, timeout_s)
        return registry.digest(name.repository, name.tag or "latest"), ""
    except (ValueError, RegistryError) as error:
        return None, f"its digest is not known: {error}"
