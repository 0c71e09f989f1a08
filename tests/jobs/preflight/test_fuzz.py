"""Whatever stands in a file, an answer or a spec: it is judged or refused, and nothing else."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tui.estate.text import safe
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.preflight import image, quota
from foundry_tui.jobs.preflight.data import check
from foundry_tui.jobs.preflight.schema import Dtype, load
from foundry_tui.jobs.preflight.verdict import State
from foundry_tui.jobs.spec import Data

SCHEMA = """\
rows: {at_least: 1}
columns:
  a: {dtype: int, unique: true, mean: [0, 1], quantiles: {0.5: [0, 1]}}
  b: {dtype: timestamp, min: 2020-01-01}
  c: {dtype: text, null_share: 0}
"""
relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CSV_LIKE = st.text(st.sampled_from('a,b;c"\n\r\t0123456789.-+eE:TZ \x00\x1b\u202e\ufeffé'))


def is_safe(text: str) -> bool:
    """Whether a terminal may be sent it: the door for text from outside changes nothing."""
    return safe(text, max_cells=10**6) == text


def judged(raw: bytes, folder: Path) -> None:
    (folder / "x.csv").write_bytes(raw)
    (folder / "s.yaml").write_text(SCHEMA)
    entry = Data(name="x", path="x.csv", schema="s.yaml")
    checks = check(entry, folder / "x.csv", folder)
    assert checks
    for one in checks:
        assert is_safe(one.words)
        assert is_safe(one.name)
    assert {c.state for c in checks} in ({State.OK}, {State.FAIL})


@relaxed
@given(raw=st.binary(max_size=400))
def test_any_bytes(raw: bytes, tmp_path: Path) -> None:
    judged(raw, tmp_path)


@relaxed
@given(text=CSV_LIKE)
def test_any_text(text: str, tmp_path: Path) -> None:
    judged(f"a,b,c\n{text}".encode(), tmp_path)


@relaxed
@given(raw=st.binary(max_size=100), cut=st.integers(0, 40))
def test_any_gzip_file(raw: bytes, cut: int, tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b,c\n1,2020-01-01,x\n" + raw)
    judged(packed[: len(packed) - cut], tmp_path)


@relaxed
@given(raw=st.binary(max_size=200))
def test_any_bytes_behind_the_mark_of_parquet(raw: bytes, tmp_path: Path) -> None:
    judged(b"PAR1" + raw + b"PAR1", tmp_path)


@relaxed
@given(
    text=st.text(st.sampled_from("columns: rows{}[],\n\t-'\"#&*!|>abdtypeint0.1é\x00:? "))
    | st.text()
)
def test_any_schema(text: str) -> None:
    for name in ("s.yaml", "s.toml"):
        with suppress(SpecError):
            load(name, text.encode("utf-8", "surrogatepass"))


@relaxed
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["int", "x", "[1, 2]", "nan"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["dtype", "min", "mean", "0.5", "allowed"]), inner)
        ),
        max_leaves=8,
    ),
    field=st.sampled_from(["dtype", "min", "max", "mean", "quantiles", "allowed", "null_share"]),
    dtype=st.sampled_from(list(Dtype)),
)
def test_any_value_of_a_field(value: object, field: str, dtype: Dtype) -> None:
    import json

    text = json.dumps({"columns": {"a": {"dtype": dtype, field: value}}})
    with suppress(SpecError):
        load("s.yaml", text.encode())


@relaxed
@given(text=st.text())
def test_any_name_of_an_image(text: str) -> None:
    for one in image.check(text):
        assert is_safe(one.words)


@relaxed
@given(text=st.text())
def test_any_answer_of_quota(text: str) -> None:
    for line in quota.parse(f"{text}\nnfs:/home 1 2 3 0 5 0 0 0"):
        assert is_safe(quota.judged(line).words)
