"""The token that opens the control plane: from an access key, or from the `runai` command's login.

Neither the secret nor the token ever stands in a repr, an error or a log.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry_tui.config.owned import OTHERS_ANY, open_own
from foundry_tui.config.secrets import Secret, SecretError, credential
from foundry_tui.config.sources import RunaiConfig
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Denied, Unavailable
from foundry_tui.schedulers.runai.errors import said
from foundry_tui.schedulers.runai.exchange import Answer, Request

EARLY_S = 60.0
"""A token is renewed so many seconds before it ends, or at nine tenths of a shorter life."""

UNTOLD_S = 600.0
"""How long a token is used whose life is not told."""

MAX_LOGIN_BYTES = 1 << 20

ASKED = "logging in to Run:ai"

Post = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, when it ends (monotonic seconds), and who it says we are."""

    secret: Secret
    ends: float
    who: str | None


class Login:
    """Gets, keeps and renews the token. Safe to use from several threads."""

    def __init__(
        self,
        config: RunaiConfig,
        env: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._env, self._monotonic = config, env, monotonic
        self._lock = threading.Lock()
        self._token: Token | None = None

    def token(self, post: Post, *, instead_of: Token | None = None) -> Token:
        """The present token; a new one if it ends soon, or is the one that was refused.

        `post` sends a request without a token.

        Raises:
            Denied: the key or the login is refused, missing, or cannot be read.
            Unavailable: the control plane does not answer.
        """
        with self._lock:
            kept = self._token
            if kept is None or kept is instead_of or self._monotonic() >= kept.ends:
                self._token = kept = self._renewed(post, instead_of)
            return kept

    def hide(self, text: str) -> str:
        """`text` without the token, which a server may echo."""
        token = self._token
        return text if token is None else text.replace(token.secret.reveal(), "***")

    def _renewed(self, post: Post, old: Token | None) -> Token:
        if self._config.client_id is None:
            return self._from_cli(post, old)
        try:
            secret = credential(self._config, self._env)
        except SecretError as error:
            raise Denied(ASKED, str(error)) from None
        if secret is None:
            raise Denied(
                ASKED,
                f"client_id {self._config.client_id!r} has no credential",
                "set credential_file, credential_env or credential_command",
            )
        return self._from_key(post, self._config.client_id, secret)

    def _from_key(self, post: Post, key: str, secret: Secret) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": key,
            "client_secret": secret.reveal(),
        }
        answer = post(Request("POST", "/api/v2/token", form=form, again=True))
        if answer.status != 200 and not _oauth_refusal(answer):
            # Control planes up to 2.2x have only the older address.
            words = {"grantType": "client_credentials", "clientID": key}
            body = json.dumps({**words, "clientSecret": secret.reveal()}).encode()
            answer = post(Request("POST", "/api/v1/token", body=body, again=True))
        return self._made(answer, secret)

    def _made(self, answer: Answer, secret: Secret) -> Token:
        if answer.status != 200:
            words = said(answer).replace(secret.reveal(), "***")
            if answer.status >= 500 or answer.status == 429:
                raise Unavailable(ASKED, words, "the control plane has a trouble of its own")
            raise Denied(ASKED, words, "look whether client_id and its secret are still valid")
        found = _object(answer.body)
        text = found.get("access_token") or found.get("accessToken")
        if not isinstance(text, str) or not _sendable(text):
            raise Unavailable(ASKED, "the answer holds no token", "look at its `url`")
        life = found.get("expires_in", found.get("expiresIn"))
        return self._kept(text, life)

    def _kept(self, text: str, life: object) -> Token:
        told = isinstance(life, int | float) and not isinstance(life, bool) and life > 0
        life_s = float(life) if told else UNTOLD_S  # type: ignore[arg-type]
        ends = self._monotonic() + max(life_s - EARLY_S, life_s * 0.9 if life_s < 600 else 0)
        return Token(Secret(text), ends, _who(text))

    def _from_cli(self, post: Post, old: Token | None) -> Token:
        """The login of the `runai` command. It is read anew: the command renews it too."""
        place = login_place(self._config, self._env)
        found = _login(place)
        text = _decoded(found.get("accessToken"))
        if text is None:
            raise Denied(ASKED, f"{place} holds no accessToken", "run `runai login` again")
        if old is None or old.secret.reveal() != text:
            return self._kept(text, _left_s(text))
        refresh = _decoded(found.get("refreshToken"))
        if refresh is None:
            raise Denied(ASKED, "the login of the `runai` command has ended", "run `runai login`")
        body = json.dumps({"grantType": "refresh_token", "refreshToken": refresh}).encode()
        answer = post(Request("POST", "/api/v1/token", body=body, again=True))
        try:
            return self._made(answer, Secret(refresh))
        except Denied as error:
            raise Denied(error.asked, error.answer, "run `runai login`") from None


def login_place(config: RunaiConfig, env: Mapping[str, str]) -> Path:
    """The file with the `runai` command's login."""
    told = config.cli_login
    if told is None and env.get("RUNAI_CLI_CONFIG_PATH"):
        told = Path(env["RUNAI_CLI_CONFIG_PATH"])
    folder = told if told is not None else Path(env.get("HOME", "~")).expanduser() / ".runai"
    return folder / "authentication.json" if folder.is_dir() or not folder.suffix else folder


def _login(place: Path) -> dict[str, Any]:
    try:
        with os.fdopen(open_own(place, OTHERS_ANY, follow=True), "rb") as file:
            data = file.read(MAX_LOGIN_BYTES)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Denied(
            ASKED,
            safe(f"{place} cannot be used: {reason}", max_cells=400),
            "run `runai login` (and chmod 600 the file), or set client_id",
        ) from None
    return _object(data)


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _decoded(text: object) -> str | None:
    """A token of the login file, which is written in base64 there; a bare one is taken too."""
    if not isinstance(text, str) or not text:
        return None
    if text.count(".") == 2:
        return text if _sendable(text) else None
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return plain if _sendable(plain) else None


def _sendable(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _claims(token: str) -> dict[str, Any]:
    """What a token says of itself. It is only shown: the server alone judges it."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        return _object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}


def _who(token: str) -> str | None:
    claims = _claims(token)
    for name in ("email", "preferred_username", "client_id", "clientId", "azp", "sub"):
        if isinstance(claims.get(name), str) and claims[name]:
            return safe(claims[name])
    return None


def _left_s(token: str) -> float | None:
    ends = _claims(token).get("exp")
    if not isinstance(ends, int | float) or isinstance(ends, bool):
        return None
    return max(1.0, ends - time.time())


def _oauth_refusal(answer: Answer) -> bool:
    """Whether the newer address exists and said no."""
    error = _object(answer.body).get("error")
    return answer.status in (400, 401, 403) and error in (
        *("invalid_client", "invalid_grant", "unauthorized_client"),
        "access_denied",
    )
