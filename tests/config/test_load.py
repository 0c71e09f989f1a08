"""The configuration file: where it is found, what it means, and what is said about a bad one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from foundry_tui.config import load as load_module
from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import MAX_BYTES, Loaded, load
from foundry_tui.config.model import Config
from foundry_tui.config.places import config_files
from foundry_tui.config.sources import (
    KubernetesConfig,
    MlflowConfig,
    RunaiConfig,
    SlurmConfig,
    TelemetryConfig,
)

Read = Callable[[str], Loaded]

FULL = """
read_only = true
state_dir = "/srv/state"
cache_dir = "~/cache"

[intervals]
refresh_s = 60
slow_s = 600.5

[thresholds]
idle_util_pct = 0
idle_after_s = 900

[slurm.alpha]
conf = "/etc/slurm/alpha.conf"
bin = "/opt/slurm/bin"
timeout_s = 20
read = "json"

[slurm."beta.2"]

[runai.prod]
url = "https://runai.example.org:8443/base"
credential_command = ["pass", "show", "runai"]

[kubernetes.kai]
context = "gpu"
kubeconfig = "~/.kube/config"

[telemetry.prom]
kind = "prometheus"
url = "http://127.0.0.1:9090"

[telemetry.agents]
kind = "agents"
url = "https://{node}:9400/metrics"

[mlflow.lab]
url = "http://[::1]:5000"
experiment = "llama, v2"
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(text: str) -> Loaded:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return load(path, {"HOME": "/home/ann"})

    return from_text


def test_every_option_is_read(read: Read, tmp_path: Path) -> None:
    loaded = read(FULL)
    config = loaded.config
    assert loaded.path == tmp_path / "config.toml"
    assert loaded.warnings == ()
    assert config.read_only is True
    assert (config.state_dir, config.cache_dir) == (Path("/srv/state"), Path("/home/ann/cache"))
    assert (config.intervals.refresh_s, config.intervals.slow_s) == (60.0, 600.5)
    assert (config.thresholds.idle_util_pct, config.thresholds.idle_after_s) == (0.0, 900.0)
    assert config.thresholds.slow_after_s == 5.0
    assert config.sources == (
        SlurmConfig(
            name="alpha",
            conf=Path("/etc/slurm/alpha.conf"),
            bin=Path("/opt/slurm/bin"),
            timeout_s=20.0,
            read="json",
        ),
        SlurmConfig(name="beta.2"),
        RunaiConfig(
            name="prod",
            url="https://runai.example.org:8443/base",
            credential_command=("pass", "show", "runai"),
        ),
        KubernetesConfig(name="kai", context="gpu", kubeconfig=Path("/home/ann/.kube/config")),
        TelemetryConfig(name="prom", kind="prometheus", url="http://127.0.0.1:9090"),
        TelemetryConfig(name="agents", kind="agents", url="https://{node}:9400/metrics"),
        MlflowConfig(name="lab", url="http://[::1]:5000", experiment="llama, v2"),
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ufeff# a byte order mark\r\n", "[slurm]\n"])
def test_an_empty_file_is_the_defaults(read: Read, text: str) -> None:
    assert read(text).config == Config()


# The message names the key, what stands there and what is expected.
BAD = {
    "refesh = 3": ("refesh", "unknown key", "one of read_only"),
    "[intervals]\nrefesh_s = 3": ("intervals.refesh_s", "unknown key", '"refresh_s"'),
    "[slrum.alpha]": ("slrum", "unknown key", '"slurm"'),
    "[slurm.a]\ntimeout = 3": ("slurm.a.timeout", "unknown key", '"timeout_s"'),
    "[slurm.a]\nname = 'b'": ("slurm.a.name", "unknown key", "one of conf"),
    "refresh_s = 30": ("refresh_s", "outside of its table", "below [intervals]"),
    "url = 'x'": ("url", "outside of its table", "[runai.NAME] or [telemetry.NAME]"),
    "read_only = 'yes'": ("read_only", 'text "yes"', "true or false"),
    "read_only = 1": ("read_only", "number 1", "true or false"),
    "intervals = 5": ("intervals", "number 5", "a table, [intervals]"),
    "[intervals]\nrefresh_s = true": ("intervals.refresh_s", "true", "a number"),
    "[intervals]\nrefresh_s = '30'": ("intervals.refresh_s", 'text "30"', "a number"),
    "[intervals]\nrefresh_s = nan": ("intervals.refresh_s", "number nan", "a number"),
    "[intervals]\nrefresh_s = inf": ("intervals.refresh_s", "number inf", "a number"),
    "[intervals]\nrefresh_s = -1": ("intervals.refresh_s", "number -1", "at least 0"),
    f"[intervals]\nrefresh_s = 1{'0' * 400}": ("intervals.refresh_s", "too large", "a number"),
    f"[intervals]\nrefresh_s = 0x{'f' * 9999}": ("intervals.refresh_s", "too large", "a number"),
    "[intervals]\nrefresh_s = 2026-01-01": ("intervals.refresh_s", "a date", "a number"),
    "[thresholds]\nidle_util_pct = 101": ("thresholds.idle_util_pct", "101", "at most 100"),
    "[slurm.a]\ntimeout_s = 0": ("slurm.a.timeout_s", "number 0", "at least 1"),
    "[slurm.a]\nread = 'rest'": ("slurm.a.read", '"rest"', '"text", "json", "pyslurm"'),
    "[slurm.a]\nconf = 'slurm.conf'": ("slurm.a.conf", '"slurm.conf"', "absolute path"),
    "[slurm.a]\nconf = ''": ("slurm.a.conf", 'text ""', "absolute path"),
    '[slurm.a]\nconf = "/a\\u0000b"': ("slurm.a.conf", "text", "absolute path"),
    "[slurm.a]\nconf = ['/a']": ("slurm.a.conf", "a list", "absolute path"),
    "[slurm]\ntimeout_s = 5": ("slurm.timeout_s", "number 5", "[slurm.NAME]"),
    "slurm = 'alpha'": ("slurm", '"alpha"', "[slurm.NAME]"),
    "[[slurm]]\nname = 'alpha'": ("slurm", "a list", "[slurm.NAME]"),
    "[slurm.'a/b']": ("slurm", 'name "a/b"', "letters, digits"),
    "[slurm.'..']": ("slurm", 'name ".."', "letters, digits"),
    "[slurm.'']": ("slurm", 'name ""', "letters, digits"),
    "[slurm.'ä']": ("slurm", "name", "letters, digits"),
    f"[slurm.{'a' * 65}]": ("slurm", "name", "at most 64"),
    "[slurm.a]\n[mlflow.a]\nurl='http://h'": ("mlflow.a", "name of slurm.a", "no other source"),
    "[runai.p]": ("runai.p.url", "nothing", "an address in quotes"),
    "[runai.p]\nurl = 'runai.example.org'": ("runai.p.url", "runai.example.org", "https://"),
    "[runai.p]\nurl = 'file:///etc/passwd'": ("runai.p.url", "file:", "https://"),
    "[runai.p]\nurl = 'https://h:99999'": ("runai.p.url", "cannot be read", "https://"),
    "[runai.p]\nurl = 'https://[::1'": ("runai.p.url", "cannot be read", "https://"),
    "[runai.p]\nurl = 'https://a b'": ("runai.p.url", "https://a b", "https://"),
    "[runai.p]\nurl='http://h'\ncredential_command=[]": ("credential_command", "list", "program"),
    "[runai.p]\nurl='http://h'\ncredential_command=[1]": ("credential_command", "list", "program"),
    "[bindings]\nquit = 'q'": ("bindings", "unknown key", "one of read_only"),
    "[slurm.a]\npoll_s = 45": ("slurm.a.poll_s", "unknown key", "one of conf"),
    "[telemetry.t]": ("telemetry.t.kind", "nothing", '"nvml", "agents", "dcgm", "prometheus"'),
    "[telemetry.t]\nkind = 'prometheus'": ("telemetry.t.url", "nothing", "Prometheus server"),
    "[telemetry.t]\nkind='agents'\nurl='http://h'": ("telemetry.t.url", "http://h", "{node}"),
}


@pytest.mark.parametrize("text", BAD)
def test_an_error_names_file_key_found_and_expected(read: Read, tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    message = str(caught.value)
    key, found, expected = BAD[text]
    assert message.startswith(f"{tmp_path}/config.toml: ")
    before, _, after = message.partition("; expected ")
    assert key in before
    assert found in before.partition(": found ")[2]
    assert expected in after


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = \n", "line 1, column 5"),
        ("[intervals]\nrefresh_s = 30\nrefresh_s = 40\n", "line 3"),
        ("[slurm.a]\n[slurm.a]\n", "line 2, column 9"),
        ("x = '''abc\n", "line 2, column 1 (end of the file)"),
        ("a = \x1b[2J", "line 1, column 5"),
    ],
)
def test_bad_toml_is_shown_by_line_and_column(read: Read, text: str, where: str) -> None:
    with pytest.raises(ConfigError, match="expected valid TOML") as caught:
        read(text)
    assert caught.value.key.startswith(where)
    assert "\x1b" not in str(caught.value)


def test_what_toml_cannot_hold_is_an_error_and_no_traceback(read: Read) -> None:
    for text in ("a = " + "[" * 100_000, "a = " + "1" * 5000):
        with pytest.raises(ConfigError, match="valid TOML"):
            read(text)


def test_bytes_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# one\nread_only = \xff\n")
    with pytest.raises(ConfigError, match="line 2, column 13: found the byte 0xff"):
        load(path, {})


@pytest.mark.parametrize(
    "line",
    [
        "url = 'https://ann:s3cret@runai.example.org'",
        "url = 'https://h'\ncredential_file = 's3cret'",
        "url = 'https://h'\ncredential_env = \"s3cret\\u0007\"",
        "url = 'https://h'\ncredential_command = 's3cret'",
        "url = 'https://h'\npassword = 's3cret'",
    ],
)
def test_a_secret_in_the_file_is_not_repeated(read: Read, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"[runai.p]\n{line}\n")
    assert "s3cret" not in str(caught.value)
    assert caught.value.key.startswith("runai.p.")


def test_too_low_an_interval_is_raised_to_the_floor_with_a_warning(read: Read) -> None:
    loaded = read("[intervals]\nrefresh_s = 1\n")
    assert loaded.config.intervals.refresh_s == 10.0
    assert len(loaded.warnings) == 1
    assert "intervals.refresh_s: 1 is below the floor, 10 is used" in loaded.warnings[0]


def test_slurm_is_given_longer_than_its_own_message_timeout_of_ten_seconds(read: Read) -> None:
    loaded = read("[slurm.a]\n")
    assert loaded.config.slurm[0].timeout_s == 12.0
    assert loaded.warnings == ()


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    for path, env in ((missing, {}), (None, {"FOUNDRY_CONFIG": str(missing)})):
        with pytest.raises(ConfigError, match=r"none\.toml: found no file"):
            load(path, env)


def test_the_order_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / n for n in ("option", "variable", "user/foundry/config.toml", "etc")]
    for number, path in enumerate(files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[intervals]\nrefresh_s = {100 + number}\n")
    env = {"FOUNDRY_CONFIG": str(files[1]), "XDG_CONFIG_HOME": str(tmp_path / "user")}
    places = config_files(env)
    assert places == (files[2], Path("/etc/foundry/config.toml"))
    monkeypatch.setattr(load_module, "config_files", lambda _: (files[2], files[3]))

    def seen(path: Path | None) -> float:
        return load(path, env).config.intervals.refresh_s

    assert seen(files[0]) == 100
    assert seen(None) == 101
    env["FOUNDRY_CONFIG"] = ""
    assert seen(None) == 102
    files[2].unlink()
    assert seen(None) == 103
    files[3].unlink()
    assert load(None, env) == Loaded(Config(), None)


def test_without_xdg_the_file_is_looked_for_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for env in ({}, {"XDG_CONFIG_HOME": "relative"}):
        assert config_files(env)[0].is_relative_to(tmp_path)


def test_what_is_not_a_readable_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    large = tmp_path / "large"
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    for path, found in (
        (tmp_path, "a directory"),
        (tmp_path / "fifo", "something that is no file"),
        (large, "more than"),
        (Path("/a\0b"), "cannot be opened"),
        (Path("/proc/self/mem"), "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=found):
            load(path, {})

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ConfigError, match="cannot be opened: Permission denied"):
        load(None, {"XDG_CONFIG_HOME": str(tmp_path)})


def test_a_file_that_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "foundry/config.toml"
    path.parent.mkdir()
    path.write_text("[slurm.a]\n")
    path.chmod(0o646)
    with pytest.raises(ConfigError, match="anybody may write"):
        load(path, {})
    path.chmod(0o664)
    assert "chmod g-w" in load(path, {}).warnings[0]

    path.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 7)
    if path.stat().st_uid == 0:
        os.chown(path, 4711, -1)
    with pytest.raises(ConfigError, match="owner uid"):
        load(None, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert "belongs to uid" in load(path, {}).warnings[0]
