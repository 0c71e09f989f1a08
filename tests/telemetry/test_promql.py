"""Expressions that nothing can break out of, and answers of every shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import SafeText
from foundry_tui.telemetry.prometheus.promql import (
    PromqlError,
    Result,
    Trouble,
    decode,
    matchers,
    over_time,
    quoted,
    samples,
    selector,
)

INJECTION = '"}or vector(1)#'


def test_a_selector_has_the_names_and_every_label() -> None:
    assert selector(("a",), ()) == "a{}"
    assert selector(("a",), (("cluster", "x"),)) == 'a{cluster="x"}'
    assert selector(("a", "b"), (("c", "x"),)) == '{__name__=~"a|b",c="x"}'


def test_windows_count_a_sample_once() -> None:
    assert samples("a{}", 60) == "a{}[59999ms]"
    assert over_time("avg", "a{}", 60) == "avg_over_time(a{}[59999ms])"
    assert (
        over_time("max", "a{}", 900, ahead_s=60) == "max_over_time(a{}[899999ms] offset -60000ms)"
    )


def test_a_value_cannot_leave_its_quotes() -> None:
    asked = selector(("a",), (("cluster", INJECTION),))
    assert asked == 'a{cluster="\\"}or vector(1)#"}'


@given(st.text())
def test_every_text_is_one_string(value: str) -> None:
    inside = quoted(value)[1:-1]
    at = 0
    while at < len(inside):
        assert inside[at] not in '"\n'
        at += 2 if inside[at] == "\\" else 1
    assert at == len(inside), "a backslash escapes the closing quote"


@pytest.mark.parametrize(
    "text",
    ["cluster", "=x", "1a=x", 'a"}=x', "a b=x", "__name__=x", "ä=x", "a{=x", "x" * 200 + "=1"],
)
def test_what_is_no_label_is_refused_by_name(text: str) -> None:
    with pytest.raises(PromqlError, match="match"):
        matchers((text,))


def test_labels_are_taken_as_they_are_written() -> None:
    assert matchers(("cluster=a=b", "dc=")) == (("cluster", "a=b"), ("dc", ""))


@pytest.mark.parametrize("names", [('a"b',), ("a", "b|c")])
def test_what_is_no_metric_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(PromqlError):
        selector(names)


def answer(result: list[object], kind: str = "matrix", **more: object) -> bytes:
    data = {"resultType": kind, "result": result}
    return json.dumps({"status": "success", "data": data, **more}).encode()


def test_a_matrix_and_a_vector_are_the_same_to_the_reader() -> None:
    matrix = decode(answer([{"metric": {"__name__": "a"}, "values": [[1, "2"], [3.5, "4e1"]]}]))
    assert isinstance(matrix, Result)
    assert matrix.series[0].name == "a"
    assert matrix.series[0].points == ((1.0, 2.0), (3.5, 40.0))
    vector = decode(answer([{"metric": {}, "value": [1, "2"]}], "vector"))
    assert isinstance(vector, Result)
    assert vector.series[0].points == ((1.0, 2.0),)


def test_what_is_no_number_is_left_out() -> None:
    values = [[1, "NaN"], [2, "+Inf"], [3, "-Inf"], [4, "5"]]
    result = decode(
        answer([{"metric": {}, "values": values}, {"metric": {}, "values": values[:3]}])
    )
    assert isinstance(result, Result)
    assert [one.points for one in result.series] == [((4.0, 5.0),)]


def test_warnings_and_a_partial_answer_are_kept() -> None:
    result = decode(answer([], warnings=["slow \x1b[31mstore"], isPartial=True))
    assert result == Result(warnings=(SafeText("slow ␛[31mstore"),), partial=True)


def test_both_servers_errors_are_read() -> None:
    prometheus = b'{"status":"error","errorType":"bad_data","error":"1:3: parse error"}'
    assert decode(prometheus) == Trouble(
        kind=SafeText("bad_data"), words=SafeText("1:3: parse error")
    )
    victoria = b'{"status":"error","errorType":"422","error":"cannot parse"}'
    assert decode(victoria) == Trouble(kind=SafeText("422"), words=SafeText("cannot parse"))
    assert decode(b'{"status":"error"}') == Trouble(
        kind=SafeText("error"), words=SafeText("no reason given")
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"[]",
        b'{"data":{}}',
        b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"scalar","result":[]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"x"]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":1}}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[\xff',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_none(body: bytes) -> None:
    assert decode(body) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    decode(body)
