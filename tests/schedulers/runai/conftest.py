"""A fake Run:ai whose time stands still, and a client that is logged in to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.runai.asking import Client, still


@pytest.fixture
def fake() -> Iterator[FakeRunai]:
    with still() as server:
        yield server


@pytest.fixture
def client(fake: FakeRunai) -> Iterator[Client]:
    with Client(fake) as logged_in:
        yield logged_in
