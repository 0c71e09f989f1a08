"""The token's file, and which addresses are listened on without protection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundry_tui.agent.serving.access import Access, Unusable, listener, read_token
from tests.agent.certificates import Authority

TOKEN = "correct-horse-battery-staple"


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_token_is_read_without_its_line_break(tmp_path: Path) -> None:
    assert read_token(str(token_file(tmp_path, TOKEN + "\n"))) == TOKEN.encode()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_token_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(Unusable, match=r"others can read it .*chmod 600"):
        read_token(str(token_file(tmp_path, mode=mode)))


def test_systemd_s_folder_of_credentials_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = token_file(tmp_path, mode=0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_token(str(path)) == TOKEN.encode()


def test_a_link_to_a_token_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(token_file(tmp_path))
    with pytest.raises(Unusable, match="symbolic link"):
        read_token(str(link))


def test_a_token_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, -1)
    with pytest.raises(Unusable, match="belongs to uid 12345"):
        read_token(str(path))


def test_a_pipe_in_the_place_of_a_token_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(Unusable, match="no regular file"):
        read_token(str(tmp_path / "pipe"))


@pytest.mark.parametrize("text", ["", "short", "two words of a token", "ümlaut" * 4, "x" * 5000])
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unusable, match="openssl rand") as refused:
        read_token(str(token_file(tmp_path, text)))
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        ("", False),
        (TOKEN, False),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        ("Bearer ", False),
        ("Bearer \xff\u20ac", False),
    ],
)
def test_only_the_right_token_is_let_in(tmp_path: Path, header: str, allowed: bool) -> None:
    assert Access(str(token_file(tmp_path))).allows(header) is allowed


def test_a_reload_that_fails_keeps_what_was(tmp_path: Path) -> None:
    access = Access(str(token_file(tmp_path)))
    token_file(tmp_path, "short")
    with pytest.raises(Unusable):
        access.load()
    assert access.allows(f"Bearer {TOKEN}")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_an_open_address_needs_tls_and_a_check(
    tmp_path: Path, authority: Authority, address: str
) -> None:
    cert, key = map(str, authority.sign("server"))
    token = str(token_file(tmp_path))
    weak = (Access(), Access(token), Access(cert=cert, key=key))
    for access in weak:
        with pytest.raises(Unusable, match=r"--tls-cert, --tls-key and --token-file"):
            listener(address, access, insecure=False)
    strong = (
        Access(token, cert, key),
        Access(cert=cert, key=key, client_ca=str(authority.ca)),
    )
    for access in strong:
        listener(address, access, insecure=False).close()
    listener(address, Access(), insecure=True).close()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "127.9.9.9:0"])
def test_loopback_needs_nothing(address: str) -> None:
    listener(address, Access(), insecure=False).close()


@pytest.mark.parametrize("address", ["", "127.0.0.1", ":9470", "127.0.0.1:x", "127.0.0.1:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Unusable, match="HOST:PORT"):
        listener(address, Access(), insecure=False)


def test_a_port_that_is_taken_is_told() -> None:
    with listener("127.0.0.1:0", Access(), insecure=False) as first:
        taken = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(Unusable, match=f"--listen {taken}: .*in use"):
            listener(taken, Access(), insecure=False)


def test_options_that_need_each_other(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="give both"):
        Access(cert="x")
    with pytest.raises(Unusable, match="--client-ca needs"):
        Access(client_ca="x")
    (tmp_path / "x").write_text("no certificate")
    with pytest.raises(Unusable, match=r"--tls-cert .*PEM"):
        Access(cert=str(tmp_path / "x"), key=str(tmp_path / "x"))
