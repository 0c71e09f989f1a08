"""Which nodes are asked: from a url, or from a list in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.telemetry.nodes.targets import MAX_BYTES, Target, Targets, TargetsError, listed


def by_url(url: str) -> Targets:
    return Targets(TelemetryConfig(name="t", kind="agents", url=url))


def read(groups: object, url: str | None = None) -> tuple[Target, ...]:
    return listed(json.dumps(groups).encode(), Path("t.json"), url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://{node}:9470/metrics", Target("gpu01", "gpu01", 9470)),
        ("https://{node}", Target("gpu01", "gpu01", 443, "/metrics", tls=True)),
        ("http://{node}.site.example/m?x=1", Target("gpu01", "gpu01.site.example", 80, "/m?x=1")),
        ("http://gate:80/{node}/metrics", Target("gpu01", "gate", 80, "/gpu01/metrics")),
    ],
)
def test_a_node_is_put_into_the_url(url: str, target: Target) -> None:
    assert by_url(url).of(["gpu01", "gpu01"]) == ((target,), {})


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "a@b", "a:1", "-a", "a\r\nHost: b", "ä", "{node}", "a" * 300]
)
def test_a_name_that_is_no_host_is_never_put_into_a_url(name: str) -> None:
    targets, silent = by_url("http://{node}:1/").of(["gpu01", name])
    assert [target.node for target in targets] == ["gpu01"]
    assert silent == {name: "its name cannot be the name of a host"}


def test_a_list_is_read_as_prometheus_reads_it() -> None:
    groups = [
        {"targets": ["gpu01.site.example:9400", "gpu02"], "labels": {"rack": "7"}},
        {"targets": ["10.0.0.3:9400"], "labels": {"node": "gpu03", "__scheme__": "https"}},
        {"targets": ["[fd00::4]:9400"], "labels": {"node": "gpu04", "__metrics_path__": "/m"}},
    ]
    assert read(groups) == (
        Target("gpu01", "gpu01.site.example", 9400),
        Target("gpu02", "gpu02", 80),
        Target("gpu03", "10.0.0.3", 9400, tls=True),
        Target("gpu04", "fd00::4", 9400, "/m"),
    )
    assert str(read(groups)[3]) == "http://[fd00::4]:9400/m"


def test_the_url_fills_in_what_a_list_leaves_open() -> None:
    assert read([{"targets": ["gpu01"]}], "https://{node}:9470/deep/metrics") == (
        Target("gpu01", "gpu01", 9470, "/deep/metrics", tls=True),
    )


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({}, "a list of groups is wanted"),
        (["gpu01"], "group 1: "),
        ([{"targets": "gpu01"}], "group 1: "),
        ([{"targets": ["a"]}, {"targets": [1]}], "group 2: "),
        ([{"targets": ["a"], "labels": {"node": 1}}], "group 1: "),
        ([{"targets": ["a", "b"], "labels": {"node": "x"}}], "one `node` is named for 2 targets"),
        ([{"targets": ["a b:1"]}], "'a b:1' is not host:port"),
        ([{"targets": ["http://a:1"]}], "is not host:port"),
        ([{"targets": ["u@a:1"]}], "is not host:port"),
        ([{"targets": ["a:1/x"]}], "is not host:port"),
        ([{"targets": ["a:99999"]}], "is not host:port"),
        ([{"targets": ["a:1?x"]}], "is not host:port"),
        ([{"targets": ["a"], "labels": {"__scheme__": "file"}}], "is not an address to ask"),
        ([{"targets": ["a"], "labels": {"__metrics_path__": "/a b"}}], "is not an address"),
        ([{"targets": ["a"] * 20_001}], "more than 20,000 targets"),
    ],
)
def test_a_bad_entry_is_named(groups: object, words: str) -> None:
    with pytest.raises(TargetsError, match=r"t\.json") as caught:
        read(groups)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"[" * 100_000, b"\xff", b"x" * (MAX_BYTES + 1)])
def test_what_is_no_list_is_refused(text: bytes) -> None:
    with pytest.raises(TargetsError, match=r"t\.json"):
        listed(text, Path("t.json"))


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    targets = Targets(TelemetryConfig(name="t", kind="dcgm", targets_file=path))
    with pytest.raises(TargetsError, match="No such file"):
        targets.of([])
    path.write_text('[{"targets": ["a:1"]}]')
    first = targets.of(["ignored"])[0]
    assert [target.node for target in first] == ["a"]
    assert targets.of([])[0] is first
    changed = tmp_path / "new"
    changed.write_text('[{"targets": ["b:1"]}]')
    changed.replace(path)
    assert [target.node for target in targets.of([])[0]] == ["b"]
