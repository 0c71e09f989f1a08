"""One connection to a node: a request, its answer, and again."""

from __future__ import annotations

import asyncio
import ssl

from foundry_tui.telemetry.nodes.reply import Reply, ReplyError
from foundry_tui.telemetry.nodes.silence import untrusted


class Wire(asyncio.Protocol):
    """One connection: one request, one answer, and again."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.open = False
        self._reply: Reply | None = None
        self._waiter: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.open = transport, True

    def data_received(self, data: bytes) -> None:
        if self._reply is None:
            self.close()  # nothing was asked
            return
        try:
            self._reply.feed(data)
        except ReplyError as error:
            self._fail(error)
        else:
            self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if isinstance(exc, ssl.SSLError):
            self._fail(ReplyError(untrusted(exc).words))
        elif self._reply is not None:
            try:
                self._reply.end()
            except ReplyError as error:
                self._fail(error)
            else:
                self._check()

    async def ask(self, request: bytes) -> Reply:
        """The answer, read whole.

        Raises:
            ReplyError: it cannot be used, or the connection broke.
        """
        assert self.transport is not None
        self._reply = Reply()
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._reply = self._waiter = None

    def close(self) -> None:
        self.open = False
        if self.transport is not None:
            self.transport.abort()

    def _check(self) -> None:
        reply, waiter = self._reply, self._waiter
        if reply is not None and reply.done and waiter is not None and not waiter.done():
            if not reply.keep:
                self.close()
            waiter.set_result(reply)

    def _fail(self, error: ReplyError) -> None:
        self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
