"""A tracked run as bytes, and back. The same run always gives the same bytes.

NaN and infinity are kept. Text passes `safe` again on its way back: a file is outside too.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import DataInput, Point, TrackedRun, TrackStatus

VALUE_CELLS = 1000
KEY_CELLS = 512
MOST_STEP = 2**63 - 1

_EPOCH = datetime.fromtimestamp(0, UTC)
_US = timedelta(microseconds=1)


class Body(msgspec.Struct, array_like=True):
    """What is kept of a run; a metric is its step, its time in microseconds and its value."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    started_us: int | None
    ended_us: int | None
    params: dict[str, str]
    metrics: dict[str, tuple[int, int, float]]
    tags: dict[str, str]
    inputs: list[tuple[str, str, str, str]]
    artifact_uri: str


_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(Body)


def body(run: TrackedRun) -> Body:
    """The run in the shape that is kept."""
    return Body(
        utf8(run.run_id),
        utf8(run.experiment_id),
        utf8(run.name),
        run.status.value,
        us(run.started_at),
        us(run.ended_at),
        _sorted(run.params),
        {
            utf8(key): (_step(point.step), us(point.at) or 0, float(point.value))
            for key, point in sorted(run.metrics.items())
        },
        _sorted(run.tags),
        [tuple(map(utf8, (i.name, i.digest, i.path, i.kind))) for i in run.inputs],  # type: ignore[misc]
        utf8(run.artifact_uri),
    )


def pack(kept: Body) -> bytes:
    """The bytes, compressed: a third of the size."""
    return zlib.compress(_PACK.encode(kept), 1)


def unpack(data: bytes) -> Body:
    """The shape of these bytes.

    Raises:
        ValueError: they are not what `pack` makes.
    """
    try:
        return _UNPACK.decode(zlib.decompress(data))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error


def noun(kept: Body) -> TrackedRun:
    """The run itself.

    Raises:
        ValueError: the status is none, or a time is out of range.
    """
    try:
        return TrackedRun(
            run_id=kept.run_id,
            experiment_id=kept.experiment_id,
            name=safe(kept.name),
            status=TrackStatus(kept.status),
            started_at=moment(kept.started_us),
            ended_at=moment(kept.ended_us),
            params=_shown(kept.params),
            metrics={
                safe(key, max_cells=KEY_CELLS): Point(step, _EPOCH + at * _US, value)
                for key, (step, at, value) in kept.metrics.items()
            },
            tags=kept.tags,
            inputs=tuple(
                DataInput(name=name, digest=digest, path=path, kind=kind)
                for name, digest, path, kind in kept.inputs
            ),
            artifact_uri=kept.artifact_uri,
        )
    except OverflowError as error:
        raise ValueError(str(error)) from error


def us(when: datetime | None) -> int | None:
    """Whole microseconds since 1970."""
    return None if when is None else (when - _EPOCH) // _US


def moment(stamp_us: int | None) -> datetime | None:
    """The time of these microseconds."""
    return None if stamp_us is None else _EPOCH + stamp_us * _US


def utf8(text: str) -> str:
    """`text` as UTF-8 can carry it: JSON can hold halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _sorted(texts: Mapping[str, str]) -> dict[str, str]:
    return {utf8(key): utf8(value) for key, value in sorted(texts.items())}


def _shown(texts: Mapping[str, str]) -> dict[str, SafeText]:
    return {
        safe(key, max_cells=KEY_CELLS): safe(value, max_cells=VALUE_CELLS)
        for key, value in texts.items()
    }


def _step(step: int) -> int:
    return max(-MOST_STEP, min(MOST_STEP, step))
