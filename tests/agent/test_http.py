"""What the small HTTP server takes and refuses, and the rate per address."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.agent.serving.http import ADDRESSES, BURST, RATE, Rate, Refused, _gzip, parse
from foundry_tui.agent.serving.run import QUERY_MAX, asked


def test_a_request_and_its_headers() -> None:
    request = parse(b"GET /metrics?name=x HTTP/1.1\r\nHost: a\r\nAccept-Encoding:  gzip \r\n\r\n")
    assert (request.path, request.query) == ("/metrics", "name=x")
    assert request.headers == {"host": "a", "accept-encoding": "gzip"}
    assert request.keep


def test_a_query_names_the_metrics_that_are_wanted() -> None:
    assert asked("") is asked("x=1") is asked("name[]=") is None
    assert asked("name[]=a&name%5B%5D=b&x=1&name[]=a") == frozenset({"a", "b"})
    with pytest.raises(ValueError, match="fields"):
        asked("&".join(f"name[]=n{number}" for number in range(QUERY_MAX + 1)))


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\n\r\n", True),
    ],
)
def test_who_keeps_a_connection(head: bytes, keep: bool) -> None:
    assert parse(head).keep is keep


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /metrics\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET  /metrics HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/2.0\r\n\r\n", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED),
        (b"POST /metrics HTTP/1.1\r\n\r\n", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"DELETE / HTTP/1.1\r\n\r\n", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\n folded: a\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", HTTPStatus.BAD_REQUEST),
    ],
)
def test_anything_but_a_plain_get_is_refused(head: bytes, status: HTTPStatus) -> None:
    with pytest.raises(Refused) as refused:
        parse(head)
    assert refused.value.status is status


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(head: bytes) -> None:
    try:
        request = parse(head + b"\r\n\r\n")
    except Refused:
        return
    assert "?" not in request.path


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("x-gzip", False),
        ("*", False),
    ],
)
def test_gzip_only_when_asked_for(accepted: str, packed: bool) -> None:
    assert _gzip(accepted) is packed


def test_an_address_gets_a_burst_and_then_its_rate() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert [rate.take("a") for _ in range(int(BURST) + 1)] == [True] * int(BURST) + [False]
    assert rate.take("b")
    now[0] += 1.0
    assert sum(rate.take("a") for _ in range(100)) == int(RATE)


def test_addresses_that_were_quiet_longest_are_forgotten() -> None:
    rate = Rate(lambda: 0.0)
    for number in range(ADDRESSES * 3):
        rate.take(str(number))
    assert len(rate._left) == ADDRESSES
