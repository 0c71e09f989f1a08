"""Secrets in a text: told by the name before them or by their form. Pure."""

from __future__ import annotations

import re

from foundry_tui.jobs.render import SECRET

_NAMED = re.compile(r"\b([A-Za-z_]\w*)=(?:\"[^\"]*\"|'[^']*'|[^\s\"';&|)]+)")
_FORMS = re.compile(
    r"\bsk-[\w-]{16,}|\bhf_\w{16,}|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abp]-[\w-]{10,}|\bAKIA[A-Z0-9]{16}\b|\beyJ[\w-]{8,}\.[\w.-]+"
    r"|(?<=wandb login )[0-9a-f]{40}\b|(?<=://)[^\s/:@$]+:[^\s/:@$]+(?=@)"
)
"""Keys of OpenAI, Hugging Face, GitHub, GitLab, Slack, AWS and wandb; JWTs; passwords in URLs."""


def places(text: str) -> tuple[int, ...]:
    """Where something stands in a text that has the form of a secret."""
    return tuple(found.start() for found in _FORMS.finditer(text))


def masked(text: str) -> str:
    """The text without the secrets in it, to be shown."""
    return _FORMS.sub("…", _NAMED.sub(_hidden, text))


def _hidden(found: re.Match[str]) -> str:
    return f"{found[1]}=…" if SECRET.search(found[1]) else found[0]
