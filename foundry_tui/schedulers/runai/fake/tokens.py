"""Tokens of the fake: both endpoints, expiry and refresh."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.schedulers.runai.fake.cluster import TENANT_ID, stable_uuid
from foundry_tui.schedulers.runai.fake.requests import Rejected

CLIENT_ID = "foundry"
CLIENT_SECRET = "secret"
"""The one access key. The fake keeps no secrets: it listens on loopback only."""


class OAuthError(Exception):
    """An error of the second token endpoint, whose body has a shape of its own."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description


@dataclass(slots=True)
class Tokens:
    """Which tokens stand, and until when."""

    life_s: int = 3600
    _ends: dict[str, float] = field(default_factory=dict)
    _refresh: set[str] = field(default_factory=set)
    _count: int = 0

    def first(self, body: Mapping[str, object], now: datetime) -> dict[str, object]:
        """Answer `POST /api/v1/token`. Raises `Rejected`.

        The names are compared without case: the document says appID, the official client AppId.
        """
        words = {name.lower(): value for name, value in body.items()}
        grant = words.get("granttype")
        if grant == "refresh_token":
            if words.get("refreshtoken") not in self._refresh:
                raise Rejected(401, "The refresh token is not valid")
        elif grant in ("client_credentials", "app_token"):
            prefix = "client" if grant == "client_credentials" else "app"
            pair = (words.get(f"{prefix}id"), words.get(f"{prefix}secret"))
            if pair != (CLIENT_ID, CLIENT_SECRET):
                raise Rejected(401, "Invalid client credentials")
        else:
            raise Rejected(400, f"grantType {grant} is not supported")
        access, refresh = self._issue(now)
        return {
            "accessToken": access,
            "idToken": access,
            "refreshToken": refresh,
            "expiresIn": self.life_s,
        }

    def second(self, form: Mapping[str, str], now: datetime) -> dict[str, object]:
        """Answer `POST /api/v2/token`. Raises `OAuthError`."""
        grant = form.get("grant_type")
        if grant == "refresh_token":
            if form.get("refresh_token") not in self._refresh:
                raise OAuthError(400, "invalid_grant", "The refresh token is not valid")
        elif grant == "client_credentials":
            if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
                raise OAuthError(401, "invalid_client", "Invalid client credentials")
        else:
            raise OAuthError(400, "unsupported_grant_type", f"{grant} is not supported")
        access, refresh = self._issue(now)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.life_s,
            "refresh_token": refresh,
        }

    def check(self, authorization: str | None, now: datetime) -> str:
        """The user whose token this is. Raises `Rejected` with 401."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or token not in self._ends:
            raise Rejected(401, "Issuer is not familiar.")
        if now.timestamp() >= self._ends[token]:
            raise Rejected(401, "Token is expired")
        return CLIENT_ID

    def expire(self) -> None:
        """End every access token now; refresh tokens stay good."""
        self._ends = dict.fromkeys(self._ends, 0.0)

    def _issue(self, now: datetime) -> tuple[str, str]:
        self._count += 1
        ends = now.timestamp() + self.life_s
        claims = {
            "exp": int(ends),
            "iat": int(now.timestamp()),
            "sub": stable_uuid("user", CLIENT_ID),
            "preferred_username": CLIENT_ID,
            "client_id": CLIENT_ID,
            "tenant_id": TENANT_ID,
            "jti": stable_uuid("token", self._count),
        }
        access = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}.fake"
        refresh = f"refresh-{stable_uuid('refresh', self._count)}"
        self._ends[access] = ends
        self._refresh.add(refresh)
        return access, refresh


def _part(words: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(words).encode()).decode().rstrip("=")
