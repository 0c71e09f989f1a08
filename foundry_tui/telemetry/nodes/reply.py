"""One answer of an HTTP/1.1 server to a GET, read from bytes as they come (RFC 9112).

Only what an exporter sends is understood, and everything has a cap: a header that is too long, a
body that is too long, a length that is none, an encoding that was not asked for end the exchange.
"""

from __future__ import annotations

import re

from foundry_tui.telemetry.exposition.text import MAX_BODY, ExpositionError, unfold

MAX_HEAD = 32 << 10
"""Bytes of the status line and all headers."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: |$)")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_MAX_CHUNK_LINE = 256


class ReplyError(Exception):
    """The answer cannot be used; the message says why. `large`: there is too much of it."""

    def __init__(self, words: str, *, large: bool = False) -> None:
        super().__init__(words)
        self.large = large


class Reply:
    """An answer that arrives. `feed` takes bytes until `done`; `end` says that no more come."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.done = False
        self.keep = False
        self._bytes = bytearray()
        self._parts: list[bytes] = []
        self._size = 0
        self._left: int | None = None
        self._chunked = False
        self._old = False

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return bool(self.status or self._bytes)

    def feed(self, data: bytes) -> None:
        """More bytes.

        Raises:
            ReplyError: this is no answer, or one of a kind or size that is not read.
        """
        if self.done:
            self.keep = False  # nothing was asked: what follows belongs to no request
            return
        if self.status and not self._chunked:
            self._take(data)
            return
        self._bytes += data
        while not self.done and (self._chunk() if self.status else self._head()):
            pass

    def end(self) -> None:
        """The server has closed the connection.

        Raises:
            ReplyError: the answer is not whole.
        """
        if not self.done and self.status and not self._chunked and self._left is None:
            self.done = True
        if not self.done:
            where = "in the middle of the answer" if self.begun else "before an answer"
            raise ReplyError(f"it closed the connection {where}")
        self.keep = False

    def body(self) -> bytes:
        """The content, unfolded.

        Raises:
            ReplyError: it is encoded in another way than gzip, is damaged, or unfolds to too much.
        """
        content = b"".join(self._parts)
        encoding = self.headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding == b"identity":
            return content
        if encoding != b"gzip":
            raise ReplyError("the answer is encoded in a way that was not asked for")
        try:
            return unfold(content)
        except ExpositionError as error:
            raise ReplyError(error.words, large="more than" in error.words) from None

    def _head(self) -> bool:
        """Read the status line and the headers; whether there is more to read."""
        end = self._bytes.find(b"\r\n\r\n")
        if end < 0:
            if len(self._bytes) > MAX_HEAD:
                raise ReplyError("its headers do not end", large=True)
            if not b"HTTP/1.".startswith(self._bytes[:7]):
                raise ReplyError("the answer is not HTTP")
            return False
        if end > MAX_HEAD:
            raise ReplyError("its headers do not end", large=True)
        first, *lines = bytes(self._bytes[:end]).split(b"\r\n")
        rest = bytes(self._bytes[end + 4 :])
        self._bytes.clear()
        found = _STATUS.match(first)
        if found is None:
            raise ReplyError("the answer is not HTTP")
        if found[2].startswith(b"1"):  # an interim answer: the real one follows
            self._bytes += rest
            return True
        self._old = found[1] == b"0"
        for line in lines:
            name, colon, value = line.partition(b":")
            name = name.lower()
            if not colon or not name or name != name.strip():
                raise ReplyError("one of its headers is none")
            if self.headers.setdefault(name, value.strip()) != value.strip():
                if name == b"content-length":
                    raise ReplyError("it tells two lengths")
                self.headers[name] += b"," + value.strip()
        self.status = int(found[2])
        self._frame()
        if self._chunked:
            self._bytes += rest
            return True
        self._take(rest)
        return False

    def _frame(self) -> None:
        """How the body's end is known."""
        transfer = self.headers.get(b"transfer-encoding")
        length = self.headers.get(b"content-length")
        wish = self.headers.get(b"connection", b"").lower()
        self.keep = not self._old and b"close" not in wish
        if self.status in (204, 304):
            self._left = 0
        elif transfer is not None:
            if transfer.lower() != b"chunked" or length is not None:
                raise ReplyError("the answer is sent in a way that is not understood")
            self._chunked = True
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise ReplyError("its length is no number")
            self._left = int(length)
            self._check(self._left)
        else:
            self.keep = False

    def _take(self, data: bytes) -> None:
        """Bytes of a body whose length is known, or that lasts until the end."""
        if self._left is not None:
            if len(data) > self._left:
                self.keep = False
                data = data[: self._left]
            self._left -= len(data)
            self.done = self._left == 0
        self._check(self._size + len(data))
        self._parts.append(data)
        self._size += len(data)

    def _chunk(self) -> bool:
        """Read one chunk; whether it was there whole."""
        line = _CHUNK.match(self._bytes)
        if line is None:
            if len(self._bytes) > _MAX_CHUNK_LINE or b"\r\n" in self._bytes:
                raise ReplyError("a chunk of the answer has no length")
            return False
        size = int(line[1], 16)
        self._check(self._size + size)
        start, end = line.end(), line.end() + size
        if size == 0:
            return self._trailer(start)
        if len(self._bytes) < end + 2:
            return False
        if self._bytes[end : end + 2] != b"\r\n":
            raise ReplyError("a chunk of the answer does not end")
        self._parts.append(bytes(self._bytes[start:end]))
        self._size += size
        del self._bytes[: end + 2]
        return True

    def _trailer(self, start: int) -> bool:
        """What follows the last chunk: headers that nobody needs, and an empty line."""
        after = bytes(self._bytes[start:])
        end = 0 if after.startswith(b"\r\n") else after.find(b"\r\n\r\n") + 2
        if end == 1:
            if len(after) > MAX_HEAD:
                raise ReplyError("its trailers do not end", large=True)
            return False
        self.keep = self.keep and len(after) == end + 2
        self.done = True
        return False

    def _check(self, size: int) -> None:
        if size > MAX_BODY:
            raise ReplyError(f"the answer is longer than {MAX_BODY >> 20} MiB", large=True)
