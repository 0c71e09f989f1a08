"""Fixtures of the tests that talk to a tiny API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry_tui.config.sources import KubernetesConfig
from tests.schedulers.kai.things import EVERY
from tests.schedulers.kai.tiny import TinyApi, kubeconfig, tiny


@pytest.fixture
def api() -> Iterator[TinyApi]:
    """A tiny API server that serves every kind, all of them empty."""
    with tiny() as found:
        for path in EVERY:
            found.collection(path)
        yield found


@pytest.fixture
def config(api: TinyApi, tmp_path: Path) -> KubernetesConfig:
    """A configured cluster that is the tiny API server."""
    return KubernetesConfig(name="tiny", kubeconfig=kubeconfig(tmp_path, api.url), timeout_s=5.0)
