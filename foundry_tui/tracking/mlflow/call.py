"""One call of the port, which may take several requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from foundry_tui.deadline import Deadline
from foundry_tui.tracking import refusals
from foundry_tui.tracking.exchange import Answer
from foundry_tui.tracking.wire import Request, Wire

T = TypeVar("T")

API = "/api/2.0/mlflow"


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for, and until when."""

    wire: Wire
    asked: str
    deadline: Deadline

    def get(self, endpoint: str, shape: type[T], params: Mapping[str, str | Sequence[str]]) -> T:
        """Read something; repeated where that can help."""
        return self.ask(Request("GET", f"{API}/{endpoint}", params, again=True), shape)

    def post(
        self, endpoint: str, shape: type[T], body: Mapping[str, Any], *, again: bool = False
    ) -> T:
        """Send something; `again` when sending it twice does no harm."""
        return self.ask(Request("POST", f"{API}/{endpoint}", None, body, again), shape)

    def ask(self, request: Request, shape: type[T]) -> T:
        """The answer in its shape. Raises as `refusals.read` and `Wire.send` do."""
        return refusals.read(self.raw(request), shape, self.asked, self.wire.host)

    def raw(self, request: Request) -> Answer:
        """The answer, whatever it is."""
        return self.wire.send(request, self.asked, self.deadline)


def blocks(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """The items in their order, at most `most` at a time."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags or parameters as they are sent."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def ms(moment: datetime) -> int:
    """A moment as it is sent."""
    return round(moment.timestamp() * 1000)
