"""Secrets: read from closed files, variables and commands, and shown by nothing."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from foundry_tui.config.secrets import (
    MAX_BYTES,
    Secret,
    SecretError,
    credential,
    from_command,
    from_env,
    from_file,
)
from foundry_tui.config.sources import RunaiConfig

VALUE = "s3cret-value"


def secret_file(path: Path, data: bytes = VALUE.encode() + b"\n", mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def printing(code: str) -> list[str]:
    return [sys.executable, "-S", "-E", "-c", code]


def test_a_secret_shows_itself_to_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    secret = Secret(VALUE)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr([secret]), f"{secret}"]
    print(secret, [secret], {"a": secret})
    assert all(VALUE not in text for text in [*shown, capsys.readouterr().out])
    record = logging.LogRecord("n", 0, "p", 1, "%s %r", (secret, secret), None)
    assert VALUE not in record.getMessage()
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            write(secret)
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == VALUE


def test_secrets_are_compared_by_value() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE)}) == 1


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_closed_file_is_read(tmp_path: Path, mode: int) -> None:
    assert from_file(secret_file(tmp_path / "a", mode=mode)) == Secret(VALUE)


def test_a_link_to_a_closed_file_is_read(tmp_path: Path) -> None:
    secret_file(tmp_path / "a")
    (tmp_path / "link").symlink_to("a")
    assert from_file(tmp_path / "link") == Secret(VALUE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_an_open_file_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path / "a", mode=mode)
    with pytest.raises(SecretError, match=f"its mode is {mode:04o}") as caught:
        from_file(path)
    assert str(path) in str(caught.value)
    assert "mode 0600" in str(caught.value)


def test_the_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = secret_file(tmp_path / "a")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(SecretError, match=f"belongs to uid {os.getuid()}, not to you"):
        from_file(path)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path, reason in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "fifo", "not a regular file"),
        (Path("/a\0b"), "null"),
    ):
        with pytest.raises(SecretError, match=reason):
            from_file(path)


BAD = {
    "empty": (b"\n", "is empty"),
    "binary": (VALUE.encode() + b"\xff", "not UTF-8"),
    "long": (VALUE.encode() * MAX_BYTES, "longer than"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_secret_is_named_by_its_place_only(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    path = secret_file(tmp_path / "a", data)
    code = f"import sys; sys.stdout.buffer.write(open({str(path)!r}, 'rb').read())"
    reads: list[Callable[[], Secret]] = [lambda: from_file(path)]
    if name != "long":  # a flood is cut before it is looked at
        reads.append(lambda: from_command(printing(code)))
    for read in reads:
        with pytest.raises(SecretError, match=reason) as caught:
            read()
        text = "".join(traceback.format_exception(caught.value))
        assert VALUE not in text
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_variable_is_read() -> None:
    assert from_env("TOKEN", {"TOKEN": VALUE}) == Secret(VALUE)
    with pytest.raises(SecretError, match=r"\$TOKEN: is not set"):
        from_env("TOKEN", {})
    with pytest.raises(SecretError, match=r"\$TOKEN: is empty"):
        from_env("TOKEN", {"TOKEN": ""})
    with pytest.raises(SecretError, match="not UTF-8") as caught:
        from_env("TOKEN", {"TOKEN": f"{VALUE}\udcff"})
    assert VALUE not in str(caught.value)


def test_a_command_is_run_without_a_shell() -> None:
    assert from_command([*printing("import sys; print(sys.argv[1])"), "$HOME"]) == Secret("$HOME")


def test_a_failing_command_shows_nothing_of_what_it_printed() -> None:
    code = f"import sys; print('{VALUE}'); print('{VALUE}', file=sys.stderr); sys.exit(3)"
    with pytest.raises(SecretError, match="exit code 3") as caught:
        from_command(printing(code))
    assert VALUE not in str(caught.value)
    with pytest.raises(SecretError, match="gave no answer within"):
        from_command(["sleep", "600"], timeout_s=0.2)
    with pytest.raises(SecretError, match="printed more than"):
        from_command(printing(f"print('{VALUE}' * {MAX_BYTES})"))
    with pytest.raises(SecretError, match="no-such-program is not on the PATH"):
        from_command(["no-such-program"])


def test_file_before_variable_before_command(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "a", b"of file")
    env = {"TOKEN": "of variable"}
    command = tuple(printing("print('of command')"))

    def read(file: Path | None, variable: str | None, argv: tuple[str, ...]) -> str | None:
        config = RunaiConfig(
            name="p",
            url="https://h",
            credential_file=file,
            credential_env=variable,
            credential_command=argv,
        )
        secret = credential(config, env)
        return None if secret is None else secret.reveal()

    assert read(path, "TOKEN", command) == "of file"
    assert read(None, "TOKEN", command) == "of variable"
    assert read(None, None, command) == "of command"
    assert read(None, None, ()) is None
