"""The login and TLS settings of a tracking server, found where MLflow's own client finds them.

The same names, so that a shell that works with MLflow works here, and in MLflow's own order
(mlflow/utils/rest_utils.py, http_request): user name and password, each from the environment or
else from ~/.mlflow/credentials, come before the token.
"""

from __future__ import annotations

import base64
import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.config.secrets import Secret, SecretError, from_file

USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
TOKEN = "MLFLOW_TRACKING_TOKEN"
SERVER_CERT = "MLFLOW_TRACKING_SERVER_CERT_PATH"
CLIENT_CERT = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
INSECURE_TLS = "MLFLOW_TRACKING_INSECURE_TLS"
FILE = Path(".mlflow") / "credentials"
"""Below the home; an INI file whose section `mlflow` has the first two names in lower case."""

LOOKED_FOR = f"${USERNAME} with ${PASSWORD}, ~/{FILE}, ${TOKEN}"

_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Tls:
    """Which certificates are trusted and shown. `ca` is a file or a folder, as for MLflow."""

    ca: Path | None = None
    client: Path | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is sent to a server. `origin` tells in words where it was found; None: nothing was."""

    authorization: Secret | None = None
    origin: str | None = None
    hidden: tuple[Secret, ...] = ()
    """Every form of the secret: none of them may stand in a text for the user."""
    tls: Tls = Tls()


def find(env: Mapping[str, str], home: Path) -> Credentials:
    """The credentials of this user; without any, requests are sent without.

    Raises:
        SecretError: what is set cannot be used: a file that others can read, a damaged value.
    """
    tls = _tls(env)
    user, password, origin = _login(env, home)
    if user and password:
        pair = f"{user}:{password}".encode("utf-8", "surrogateescape")
        word = base64.b64encode(pair).decode("ascii")
        return Credentials(Secret(f"Basic {word}"), origin, (Secret(password), Secret(word)), tls)
    token = env.get(TOKEN)
    if not token:
        return Credentials(tls=tls)
    if not (token.isascii() and token.isprintable() and token.strip() == token):
        raise SecretError(f"${TOKEN}", "holds characters of no token", "set it to the token alone")
    return Credentials(Secret(f"Bearer {token}"), f"${TOKEN}", (Secret(token),), tls)


def _login(env: Mapping[str, str], home: Path) -> tuple[str | None, str | None, str]:
    user, password = env.get(USERNAME), env.get(PASSWORD)
    if user and password:
        return user, password, f"${USERNAME} and ${PASSWORD}"
    path = home / FILE
    if not path.exists():
        return user, password, ""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(from_file(path).reveal())
        section = dict(parser["mlflow"]) if "mlflow" in parser else {}
    except configparser.Error:  # its text would repeat the line with the password
        mend = "it needs [mlflow] and two lines NAME = VALUE; a % is written as %%"
        raise SecretError(str(path), "is no INI file", mend) from None
    user = user or section.get(USERNAME.lower())
    password = password or section.get(PASSWORD.lower())
    return user, password, str(path)


def _tls(env: Mapping[str, str]) -> Tls:
    word = env.get(INSECURE_TLS, "false")
    insecure = _WORDS.get(word.lower())
    if insecure is None:
        raise SecretError(f"${INSECURE_TLS}", "is neither true nor false", "set it to one of them")
    ca, client = env.get(SERVER_CERT), env.get(CLIENT_CERT)
    if insecure and ca:
        problem = f"is true while ${SERVER_CERT} is set"
        raise SecretError(f"${INSECURE_TLS}", problem, "unset one of the two, as MLflow demands")
    return Tls(Path(ca) if ca else None, Path(client) if client else None, insecure)
