"""The digest of a tag from a registry: one question by the OCI distribution API, read-only.

https://github.com/opencontainers/distribution-spec, "Pulling manifests": HEAD of the manifest tells
its digest. A registry that wants a token names who gives it (RFC 6750, as Docker's token
specification has it), and that one gives a token for reading public images to anybody. Nothing of
the user's is ever sent: no login, no cookie, no netrc. Only https is spoken, but for registries on
this very host.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import safe

if TYPE_CHECKING:
    import httpx

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Lists for several kinds of processors first: their digest is that of the name."""

MAX_BYTES = 4 << 20
"""Cap on a manifest, that of the specification; a token is far shorter."""

MAX_REDIRECTS = 3
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOSTS = {"docker.io": "registry-1.docker.io"}
"""Where a registry answers that is called otherwise."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'([a-z]+)="([^"\\]{0,1000})"')


class RegistryError(Exception):
    """No digest was told: says who was asked and why not."""


@dataclass(slots=True)
class _Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Registry:
    """A registry that is asked without a login, for `timeout_s` seconds in all."""

    def __init__(self, host: str, timeout_s: float) -> None:
        self.host = host
        self._within_s = timeout_s
        place = _HOSTS.get(host, host)
        name = urlsplit(f"//{place}").hostname
        self._here = name in LOOPBACK
        self._base = f"{'http' if self._here else 'https'}://{place}"

    def digest(self, repository: str, tag: str) -> str:
        """The digest that a tag of a repository has now.

        Raises:
            RegistryError: it is not told, or not in time.
        """
        outcome: list[str | Exception] = []

        def work() -> None:
            try:
                outcome.append(self._digest(repository, tag, Deadline.after(self._within_s)))
            except Exception as error:
                outcome.append(error)

        # A look-up of a name that hangs is reached by no time-out: the thread is left behind.
        thread = threading.Thread(target=work, name="registry", daemon=True)
        thread.start()
        thread.join(self._within_s + 0.2)
        found = outcome[0] if outcome else None
        if isinstance(found, str):
            return found
        if found is None:
            raise RegistryError(f"{self.host} gave no answer within {self._within_s:g} s")
        if isinstance(found, RegistryError):
            raise found
        raise RegistryError(f"{self.host}: {safe(str(found) or type(found).__name__)}") from found

    def _digest(self, repository: str, tag: str, deadline: Deadline) -> str:
        import httpx

        url = f"{self._base}/v2/{repository}/manifests/{tag}"
        headers = {"Accept": ", ".join(MANIFESTS)}
        plain = {"User-Agent": "foundry", "Accept-Encoding": "identity"}
        # the environment has proxies and certificates; no proxy leads back to this host
        with httpx.Client(trust_env=not self._here, headers=plain) as client:
            answer = self._ask(client, "HEAD", url, headers, deadline)
            if answer.status == 401:
                challenge = answer.headers.get("www-authenticate", "")
                token = self._token(client, challenge, repository, deadline)
                headers["Authorization"] = f"Bearer {token}"
                answer = self._ask(client, "HEAD", url, headers, deadline)
            self._right(answer, repository, tag)
            told = answer.headers.get("docker-content-digest", "")
            if _DIGEST.fullmatch(told):
                return told
            answer = self._ask(client, "GET", url, headers, deadline)
            self._right(answer, repository, tag)
            return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    def _right(self, answer: _Answer, repository: str, tag: str) -> None:
        if answer.status == 200:
            return
        why = {
            401: "it is not public, and no login is sent",
            403: "it is not public, and no login is sent",
            404: f"there is no {repository}:{tag}",
            429: "it was asked too often",
        }.get(answer.status, f"HTTP {answer.status}")
        raise RegistryError(f"{self.host}: {why}")

    def _token(
        self, client: httpx.Client, challenge: str, repository: str, deadline: Deadline
    ) -> str:
        """A token for reading what is public, from whom the challenge names."""
        scheme, _, rest = challenge.partition(" ")
        given = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in given:
            raise RegistryError(f"{self.host}: it is not public, and no login is sent")
        query = {"scope": given.get("scope", f"repository:{repository}:pull")}
        if "service" in given:
            query["service"] = given["service"]
        import httpx

        url = str(httpx.URL(given["realm"]).copy_merge_params(query))
        answer = self._ask(client, "GET", url, {}, deadline)
        try:
            told = json.loads(answer.body) if answer.status == 200 else {}
        except ValueError:
            told = {}
        token = (told.get("token") or told.get("access_token")) if isinstance(told, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryError(f"{self.host}: no token was given: HTTP {answer.status}")
        return token

    def _ask(
        self,
        client: httpx.Client,
        method: str,
        url: str,
        headers: dict[str, str],
        deadline: Deadline,
    ) -> _Answer:
        """One question; a redirect is followed, without the token when it leads to another host."""
        import httpx

        for _ in range(MAX_REDIRECTS + 1):
            self.allow(url)
            try:
                answer = self._exchange(client, method, url, headers, deadline)
            except httpx.TimeoutException:
                words = f"{self.host} gave no answer within {self._within_s:g} s"
                raise RegistryError(words) from None
            except httpx.HTTPError as error:
                raise RegistryError(f"{self.host}: no connection: {safe(str(error))}") from None
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            where = urljoin(url, answer.headers.get("location", ""))
            if urlsplit(where)[:2] != urlsplit(url)[:2]:
                headers = {k: v for k, v in headers.items() if k != "Authorization"}
            url = where
        raise RegistryError(f"{self.host} leads from one address to the next without end")

    def allow(self, url: str) -> None:
        """Refuse what is not https, unless registry and address are both on this host."""
        parts = urlsplit(url)
        local = self._here and parts.scheme == "http" and parts.hostname in LOOPBACK
        if parts.scheme != "https" and not local:
            raise RegistryError(f"{self.host} leads to {safe(url[:100])}, which is no https")
        if parts.username or parts.password:
            raise RegistryError(f"{self.host} leads to an address with a login in it")

    def _exchange(
        self,
        client: httpx.Client,
        method: str,
        url: str,
        headers: dict[str, str],
        deadline: Deadline,
    ) -> _Answer:
        left_s = deadline.left_s()
        if left_s <= 0:
            raise RegistryError(f"{self.host} gave no answer within {self._within_s:g} s")
        client.cookies.clear()
        with client.stream(method, url, headers=headers, timeout=left_s) as response:
            parts, size = [], 0
            for part in response.iter_raw(1 << 16):
                size += len(part)
                if size > MAX_BYTES or deadline.left_s() <= 0:
                    raise RegistryError(f"{self.host}: the answer is too long, or too slow")
                parts.append(part)
            names = ("docker-content-digest", "www-authenticate", "location")
            told = {n: response.headers[n] for n in names if n in response.headers}
            return _Answer(response.status_code, b"".join(parts), told)
