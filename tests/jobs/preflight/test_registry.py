"""The digest of a tag, asked of a registry on loopback that speaks the real protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from foundry_tui.jobs.preflight.image import asked, resolved
from foundry_tui.jobs.preflight.registry import Registry, RegistryError
from tests.jobs.preflight.registry import DIGEST, TOKEN, Stand, served


@pytest.fixture
def stand() -> Iterator[Stand]:
    with served(Stand()) as running:
        yield running


def image(stand: Stand, tag: str = "1.0") -> str:
    return f"{stand.host}/team/img:{tag}"


def test_a_tag_is_told_after_an_anonymous_token(stand: Stand) -> None:
    assert resolved(image(stand)) == DIGEST
    assert [(method, path.partition("?")[0]) for method, path, _ in stand.seen] == [
        ("HEAD", "/v2/team/img/manifests/1.0"),
        ("GET", "/token"),
        ("HEAD", "/v2/team/img/manifests/1.0"),
    ]
    first, token, last = (headers for _, _, headers in stand.seen)
    assert "Authorization" not in first
    assert "Authorization" not in token
    assert last["Authorization"] == f"Bearer {TOKEN}"
    assert all("Cookie" not in headers for headers in (first, token, last))
    assert "application/vnd.oci.image.index.v1+json" in first["Accept"]


def test_without_a_token_and_without_the_header_the_manifest_is_hashed(stand: Stand) -> None:
    stand.wants_token, stand.tells_digest = False, False
    assert resolved(image(stand)) == DIGEST
    assert [method for method, _, _ in stand.seen] == ["HEAD", "GET"]


def test_an_access_token_by_its_other_name_is_one(stand: Stand) -> None:
    stand.token_body = json.dumps({"access_token": TOKEN}).encode()
    assert resolved(image(stand)) == DIGEST


def test_a_digest_in_the_name_is_not_asked_for(stand: Stand) -> None:
    assert resolved(f"{stand.host}/team/img@{DIGEST}") == DIGEST
    assert stand.seen == []


def test_no_login_of_the_user_is_sent(
    stand: Stand, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    assert resolved(image(stand)) == DIGEST
    assert not [h for _, _, headers in stand.seen for h in headers.values() if "Basic" in h]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"status": 404}, "there is no team/img:1.0"),
        ({"status": 403}, "not public, and no login is sent"),
        ({"status": 429}, "asked too often"),
        ({"status": 500}, "HTTP 500"),
        ({"challenge": 'Basic realm="x"'}, "not public, and no login is sent"),
        ({"token_body": b"[]"}, "no token was given"),
        ({"token_body": b'{"token": "a\\nb"}'}, "no token was given"),
        ({"token_body": b'{"token": "other"}'}, "not public, and no login is sent"),
        ({"realm": "http://registry.example/token"}, "which is no https"),
        ({"realm": "file:///etc/passwd"}, "which is no https"),
        ({"realm": "https://me:pw@registry.example/"}, "an address with a login"),
        ({"location": "http://169.254.169.254/latest"}, "which is no https"),
        ({"location": "/v2/team/img/manifests/1.0"}, "without end"),
    ],
)
def test_why_a_digest_is_not_known_is_said(given: dict[str, object], words: str) -> None:
    with served(Stand(**given)) as stand:  # type: ignore[arg-type]
        digest, why = asked(image(stand), 5.0)
    assert digest is None
    assert words in why


def test_a_redirect_to_another_host_is_not_given_the_token(stand: Stand) -> None:
    with served(Stand(wants_token=False)) as other:
        stand.location = f"http://{other.host}/v2/team/img/manifests/1.0"
        assert resolved(image(stand)) == DIGEST
        assert all("Authorization" not in headers for _, _, headers in other.seen)


def test_a_registry_that_hangs_is_left_in_time() -> None:
    with served(Stand(delay_s=30.0)) as stand:
        began = time.monotonic()
        digest, why = asked(image(stand), 0.3)
        assert time.monotonic() - began < 5
    assert digest is None
    assert "no answer within 0.3 s" in why


def test_a_registry_that_is_not_there_is_said() -> None:
    with served(Stand()) as stand:
        gone = image(stand)
    assert resolved(gone, 2.0) is None
    assert "no connection" in asked(gone, 2.0)[1]


def test_only_registries_on_this_host_are_spoken_to_without_tls() -> None:
    with pytest.raises(RegistryError, match="which is no https"):
        Registry("registry.example", 1.0).allow("http://registry.example/v2/")
    Registry("registry.example", 1.0).allow("https://registry.example/v2/")
    Registry("localhost:5000", 1.0).allow("http://localhost:5000/v2/")
    with pytest.raises(RegistryError, match="which is no https"):
        Registry("registry.example", 1.0).allow("http://localhost:5000/v2/")


@pytest.mark.parametrize("text", ["/images/x.sqsh", "Bad Name"])
def test_what_has_no_registry_has_no_digest(text: str) -> None:
    assert resolved(text) is None
