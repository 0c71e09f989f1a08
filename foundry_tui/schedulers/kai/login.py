"""Logging in to a cluster as its kubeconfig says: certificates, tokens, login commands (exec).

The `kubernetes` package reads the file. A login command is run here and not by the package, which
would give it this terminal, wait for it without end and log what goes wrong to the screen.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foundry_tui import process
from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Unavailable

INSTALL = "pip install 'foundry-tui[runai]'"
EXTRA = f"install the extra: {INSTALL}"
TRY = "`kubectl get nodes` shows whether it works at all"

RENEW_AT = 0.9
"""Part of its life after which a credential is renewed."""

POOL_SIZE = 32
"""Connections that are kept: more than there are watches and lists at once."""


class CommandFailed(Unavailable):
    """The login command of the kubeconfig gave no credential."""


@dataclass(frozen=True, slots=True)
class Login:
    """A way in: the server's address, the header, the connections.

    `namespace` is that of the context, None where it names none.
    `made_at` and `renew_at` are moments of `time.monotonic`; None: the credential does not end.
    """

    host: str
    authorization: str | None
    pool: Any
    namespace: str | None
    made_at: float
    renew_at: float | None

    @property
    def over(self) -> bool:
        """Whether the credential has ended, or does so in a moment."""
        return self.renew_at is not None and time.monotonic() >= self.renew_at


def log_in(config: KubernetesConfig, timeout_s: float) -> Login:
    """Read the kubeconfig, run its login command, prepare the connections; nothing is asked yet.

    Raises:
        Unavailable: the file, its context or its login command cannot be used, or the extra is
            missing.
    """
    try:
        return _log_in(config, timeout_s)
    except Unavailable:
        raise
    except Exception as error:  # whatever a kubeconfig can do wrong
        raise Unavailable(_asked(config), short(error), TRY) from None


def _log_in(config: KubernetesConfig, timeout_s: float) -> Login:
    try:
        from kubernetes import client
        from kubernetes.config import ConfigException, kube_config
    except ImportError:
        raise Unavailable(_asked(config), "the kubernetes package is missing", EXTRA) from None
    root = logging.getLogger()
    if not root.handlers:
        # Else the package's first complaint would print itself into the screen.
        root.addHandler(logging.NullHandler())
    where = str(config.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config")
    try:
        merged = kube_config.KubeConfigMerger(where).config
        if merged is None:
            raise ConfigException(f"there is no {where}")
        user, home = _user(merged, config)
        ends_at = _run_command(user, home, config, timeout_s)
        settings = client.Configuration()
        loader = kube_config.KubeConfigLoader(merged, config.context, config_base_path=None)
        loader.load_and_set(settings)
    except ConfigException as error:
        hint = "set `kubeconfig` in the configuration, or KUBECONFIG"
        # The package quotes the whole entry, with its secrets.
        said = re.sub(r"\{.*\}", "…", str(error), flags=re.DOTALL)
        raise Unavailable(_asked(config), safe(said, max_cells=300), hint) from None
    # A token file ends in a line feed, which no header takes; kubectl strips it too.
    authorization = (settings.api_key.get("BearerToken") or "").strip()
    if not (authorization.isascii() and authorization.isprintable()):
        what = "the token has characters that no request can carry"
        raise Unavailable(_asked(config), what, TRY)
    if not settings.verify_ssl:
        # The kubeconfig wants it so; a warning at each request would be drawn over the screen.
        warnings.filterwarnings("ignore", "Unverified HTTPS request")
    namespace = loader.current_context["context"].get("namespace")
    now = time.monotonic()
    life_s = None if ends_at is None else (ends_at - datetime.now(UTC)).total_seconds()
    settings.retries = False
    settings.connection_pool_maxsize = POOL_SIZE
    return Login(
        host=str(settings.host).rstrip("/"),
        authorization=authorization or None,
        pool=client.ApiClient(settings).rest_client.pool_manager,
        namespace=str(namespace) if namespace else None,
        made_at=now,
        renew_at=None if life_s is None else now + RENEW_AT * life_s,
    )


def _user(merged: Any, config: KubernetesConfig) -> tuple[dict[str, Any], str]:
    """The user of the context, to be changed in place, and the folder of its file."""
    contexts = {str(c["name"]): c["context"] for c in merged["contexts"].value}
    wanted = config.context or merged.safe_get("current-context")
    if wanted not in contexts:
        what = f"there is no context {wanted!r}" if wanted else "there is no current context"
        hint = f"there is {', '.join(contexts) or 'none'}; set `context` in the configuration"
        raise Unavailable(_asked(config), safe(what), safe(hint, max_cells=400))
    name = contexts[wanted].safe_get("user")
    for node in merged["users"].value:
        if node["name"] == name:
            found = node.value.get("user")
            return (found if isinstance(found, dict) else {}), str(Path(node.path).parent)
    return {}, ""


def _run_command(
    user: dict[str, Any], home: str, config: KubernetesConfig, timeout_s: float
) -> datetime | None:
    """Put the credential of the user's login command into the user; when it ends, if it does.

    The protocol is that of client.authentication.k8s.io.
    """
    told = user.pop("exec", None)
    if told is None:
        return None
    asked = f"the login command of the kubeconfig of {config.name}"
    command, version = str(told.get("command", "")), told.get("apiVersion")
    spec = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    env = {str(e["name"]): str(e["value"]) for e in told.get("env") or ()}
    env["KUBERNETES_EXEC_INFO"] = json.dumps(spec)
    if "/" in command and not command.startswith("/"):
        command = str(Path(home, command).resolve())
    try:
        done = process.run(
            [command, *(str(a) for a in told.get("args") or ())],
            timeout_s=timeout_s,
            max_bytes=1 << 20,
            env=env,
            cwd=home or None,
            whole_env=True,
        )
    except process.TimedOut:
        answer = f"it gave no answer within {timeout_s:g} s and was ended"
        raise CommandFailed(asked, answer, TRY) from None
    except process.ProcessError as error:
        raise CommandFailed(asked, short(error), str(told.get("installHint") or TRY)) from None
    if done.code != 0:
        said = safe(done.err.decode(errors="replace").strip(), max_cells=300)
        raise CommandFailed(asked, f"it ended with {done.code}: {said}", TRY)
    try:
        status = json.loads(done.out)["status"]
        return _take(status, user)
    except (ValueError, KeyError, TypeError, AttributeError):
        answer = "it printed no ExecCredential with a token or a certificate"
        raise CommandFailed(asked, answer, TRY) from None


def _take(status: Mapping[str, Any], user: dict[str, Any]) -> datetime | None:
    if "token" in status:
        user["token"] = status["token"]
    else:
        for key, given in (
            ("client-certificate-data", "clientCertificateData"),
            ("client-key-data", "clientKeyData"),
        ):
            user[key] = base64.b64encode(status[given].encode()).decode()
    ends = status.get("expirationTimestamp")
    return None if ends is None else datetime.fromisoformat(ends).astimezone(UTC)


def _asked(config: KubernetesConfig) -> str:
    return f"reading the kubeconfig of {config.name}"


def short(error: Exception) -> SafeText:
    """An error in at most 300 cells, its class where it has no words."""
    return safe(str(error).strip() or type(error).__name__, max_cells=300)
