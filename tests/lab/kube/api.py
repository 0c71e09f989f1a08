"""The API server as the lab's own hands use it: plain JSON over HTTPS, one client per thread."""

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

MERGE = "application/merge-patch+json"
BUSY_TRIES = 30
"""How often a request is sent again that was answered with 429."""


class ApiError(Exception):
    """An answer of the API server that is no success; `status` is its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:800]}")
        self.status = status


class Api:
    """One user's hands on the API server: the administrator's, or those of a token."""

    def __init__(self, url: str, certs: Path, token: str | None = None) -> None:
        self.url = url
        context = ssl.create_default_context(cafile=str(certs / "ca.crt"))
        headers = {}
        if token is None:
            context.load_cert_chain(str(certs / "admin.crt"), str(certs / "admin.key"))
        else:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.Client(
            base_url=url, verify=context, headers=headers, timeout=30, trust_env=False
        )

    def get(self, path: str, **query: str) -> Any:
        """The object or list at this path."""
        return self._send("GET", path, query=query)

    def create(self, path: str, body: Any) -> Any:
        """Create an object in the collection at this path."""
        return self._send("POST", path, body)

    def ensure(self, path: str, body: Any) -> bool:
        """Create an object; False when it is there already."""
        try:
            self.create(path, body)
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True

    def replace(self, path: str, body: Any) -> Any:
        """Make an object exactly as given."""
        return self._send("PUT", path, body)

    def patch(self, path: str, body: Any, kind: str = MERGE) -> Any:
        """Change an object."""
        return self._send("PATCH", path, body, kind)

    def delete(self, path: str, **query: str) -> Any:
        """Delete an object, or with a collection's path all in it."""
        return self._send("DELETE", path, query=query)

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def watch(self, path: str, version: str) -> Iterator[Any]:
        """The events after a resourceVersion, until the stream breaks."""
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        with self._client.stream("GET", path, params=query, timeout=None) as answer:
            if answer.status_code != 200:
                raise ApiError(answer.status_code, answer.read().decode(errors="replace"))
            for line in answer.iter_lines():
                yield json.loads(line)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = self._client.build_request(
            method, path, content=content, params=query, headers={"Content-Type": kind}
        )
        answer = self._client.send(request)
        for _ in range(BUSY_TRIES):
            # After a start lists are refused until the cache of that kind is filled.
            if answer.status_code != 429:
                break
            time.sleep(float(answer.headers["Retry-After"]))
            answer = self._client.send(request)
        if answer.status_code >= 300:
            raise ApiError(answer.status_code, answer.text)
        return answer.json()
