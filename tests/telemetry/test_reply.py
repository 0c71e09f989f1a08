"""Answers of HTTP servers, read from bytes in pieces of any size."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.telemetry.exposition.text import MAX_BODY
from foundry_tui.telemetry.nodes.reply import MAX_HEAD, Reply, ReplyError

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nDate: now\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
)
TRAILED = CHUNKED[:-2] + b"X-After: 1\r\n\r\n"
FOLDED = gzip.compress(b"hello world", mtime=0)
GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(FOLDED)
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN
WHOLE = [PLAIN, CHUNKED, TRAILED, GZIP + FOLDED, INTERIM]
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nhello world"


def fed(raw: bytes, size: int = 1 << 20) -> Reply:
    reply = Reply()
    for at in range(0, len(raw), size):
        reply.feed(raw[at : at + size])
    return reply


@pytest.mark.parametrize("raw", WHOLE)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_is_whole_however_it_is_cut(raw: bytes, size: int) -> None:
    reply = fed(raw, size)
    assert (reply.done, reply.keep, reply.status) == (True, True, 200)
    assert reply.body() == b"hello world"


@pytest.mark.parametrize("raw", WHOLE)
def test_an_answer_that_is_cut_off_is_never_taken_for_whole(raw: bytes) -> None:
    for end in range(len(raw)):
        reply = fed(raw[:end])
        assert not reply.done
        with pytest.raises(ReplyError, match="closed the connection"):
            reply.end()


def test_an_answer_without_a_length_lasts_until_the_end() -> None:
    reply = fed(UNTIL_CLOSE, 3)
    assert not reply.done
    reply.end()
    assert (reply.done, reply.keep, reply.body()) == (True, False, b"hello world")


@pytest.mark.parametrize("raw", [PLAIN + b"more", CHUNKED + b"more", TRAILED + b"more"])
def test_a_connection_with_bytes_nobody_asked_for_is_not_kept(raw: bytes) -> None:
    reply = fed(raw)
    assert (reply.done, reply.keep, reply.body()) == (True, False, b"hello world")
    later = fed(PLAIN)
    later.feed(b"x")
    assert not later.keep


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
    ],
)
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(ReplyError) as caught:
        fed(raw)
    assert not caught.value.large


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD,
    ],
)
def test_too_much_is_refused_before_it_is_there(raw: bytes) -> None:
    with pytest.raises(ReplyError) as caught:
        fed(raw)
    assert caught.value.large


def test_too_much_without_a_length_is_refused_when_it_is_too_much() -> None:
    reply = fed(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(ReplyError, match="longer than 8 MiB"):
        for _ in range(MAX_BODY // 65536 + 1):
            reply.feed(bytes(65536))


def test_a_bomb_and_an_unknown_encoding_are_refused() -> None:
    bomb = gzip.compress(bytes(100 << 20), 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    with pytest.raises(ReplyError) as caught:
        fed(head % (b"gzip", len(bomb)) + bomb).body()
    assert caught.value.large
    with pytest.raises(ReplyError, match="was not asked for"):
        fed(head % (b"br", 5) + b"abcde").body()
    with pytest.raises(ReplyError, match="damaged"):
        fed(head % (b"gzip", 5) + b"abcde").body()


@given(st.sampled_from(WHOLE), st.data())
@settings(deadline=None)
def test_a_damaged_answer_raises_nothing_else(raw: bytes, data: st.DataObject) -> None:
    body = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        reply = fed(bytes(body), data.draw(st.integers(1, 40)))
        reply.end()
        reply.body()
    except ReplyError:
        pass
