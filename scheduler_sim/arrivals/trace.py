"""A trace: the nodes of a cluster and the pods that came to it, read from two CSV files.

Columns are those of the Alibaba GPU cluster trace v2023 ("openb"): nodes `sn, cpu_milli,
memory_mib, gpu, model`, pods `name, cpu_milli, memory_mib, num_gpu, gpu_milli` and optionally
`gpu_spec`, the GPU models that will do, separated by `|`. Other columns are not looked at.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.cluster import WHOLE_MILLI, NodeSpec, Request

MOST_GPUS = 16
"""Most GPUs a node may have: which of them a pod got is kept in 16 bits."""

LONGEST_LINE = 1 << 20
"""Characters; a longer line is no row of a list, and could fill the memory."""

MOST = 1_000_000_000
"""Largest amount in a file (a million cores, a pebibyte): products of two stay within 64 bits."""

_NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


class TraceError(ValueError):
    """A trace that cannot be used; the message names the file, the line and the field."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Nodes, distinct kinds of pod, and the pods in order of their names.

    `kind_of` is the row in `kinds` of each pod. Pods that ask for no GPU have `gpu_milli` 1000 and
    no models. Build one with `Trace.of`.
    """

    name: str
    nodes: tuple[NodeSpec, ...]
    kinds: tuple[Request, ...]
    pods: tuple[str, ...]
    kind_of: NDArray[np.int32]

    @staticmethod
    def of(name: str, nodes: Sequence[NodeSpec], pods: Iterable[tuple[str, Request]]) -> Trace:
        """The trace of these nodes and (name, request) pairs.

        Raises:
            TraceError: no nodes, no GPU, no pods, two of one name, more GPUs on a node than 16,
                or a share of several GPUs; the message names the field.
        """
        named = sorted(pods, key=lambda pod: pod[0])
        requests = [_normal(request) for _, request in named]
        kinds = tuple(sorted(set(requests), key=_numbers))
        row = {kind: i for i, kind in enumerate(kinds)}
        kind_of = np.array([row[request] for request in requests], dtype=np.int32)
        _check(nodes, kinds, [pod for pod, _ in named])
        return Trace(name, tuple(nodes), kinds, tuple(pod for pod, _ in named), kind_of)

    @property
    def capacity_milli(self) -> int:
        """Thousandths of GPU in the whole cluster: 100 % of everything that is a percentage."""
        return WHOLE_MILLI * sum(node.gpus for node in self.nodes)


def read_trace(nodes: Path | str, pods: Path | str) -> Trace:
    """The trace in a node list and a pod list (.csv or .csv.gz), named after the pod list.

    A pod that no node can host (an unknown model, too many GPUs) belongs to the trace.

    Raises:
        TraceError: a file cannot be read, a column or a value is missing, a value is not a whole
            number or out of range, a pod asks for nothing, or a name comes twice.
    """
    nodes, pods = Path(nodes), Path(pods)
    specs = read_nodes(nodes)
    asked = [(line.text("name"), _request(line)) for line in _lines(pods, _POD_COLUMNS)]
    stem = pods.name.removesuffix(".gz").removesuffix(".csv")
    try:
        return Trace.of(_shown(stem.removeprefix("openb_pod_list_")), specs, asked)
    except TraceError as error:
        raise TraceError(f"{nodes} with {pods}: {error}") from None


def read_nodes(path: Path | str) -> tuple[NodeSpec, ...]:
    """The nodes of a node list (.csv or .csv.gz), in its order.

    Raises:
        TraceError: as `read_trace`.
    """
    return tuple(_node(line) for line in _lines(Path(path), _NODE_COLUMNS))


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of a file, for errors that say where."""

    path: Path
    line: int
    fields: dict[str, str]

    def error(self, field: str, what: str) -> TraceError:
        return TraceError(f"{self.path}, line {self.line}: {field}: {what}")

    def text(self, field: str) -> str:
        value = self.fields[field]
        if not value:
            raise self.error(field, "is empty")
        return value

    def number(self, field: str, most: int = MOST) -> int:
        value = self.text(field)
        if not _WHOLE_NUMBER.fullmatch(value):
            raise self.error(field, f"must be a whole number, got {value[:40]!r}")
        if not 0 <= int(value) <= most:
            raise self.error(field, f"must be within 0..{most}, got {int(value)}")
        return int(value)


def _node(line: _Line) -> NodeSpec:
    return NodeSpec(
        name=line.text("sn"),
        gpus=line.number("gpu", MOST_GPUS),
        model=line.fields["model"],
        cpu_milli=line.number("cpu_milli"),
        memory_mib=line.number("memory_mib"),
    )


def _request(line: _Line) -> Request:
    gpus = line.number("num_gpu")
    cpu_milli, memory_mib = line.number("cpu_milli"), line.number("memory_mib")
    milli = line.number("gpu_milli", WHOLE_MILLI)
    if not gpus:
        if not cpu_milli and not memory_mib:
            raise line.error("cpu_milli", "the pod asks for no CPU, no memory and no GPU")
        return Request(0, WHOLE_MILLI, cpu_milli, memory_mib)
    if not milli:
        raise line.error("gpu_milli", f"must be within 1..{WHOLE_MILLI} for a pod with GPUs, got 0")
    if gpus > 1 and milli < WHOLE_MILLI:
        raise line.error("gpu_milli", f"{milli} of each of {gpus} GPUs: only one GPU can be shared")
    models = line.fields.get("gpu_spec", "")
    if models and not all(models.split("|")):
        raise line.error("gpu_spec", f"has a model without a name: {models[:80]!r}")
    return Request(gpus, milli, cpu_milli, memory_mib, tuple(models.split("|")) if models else ())


def _lines(path: Path, columns: Sequence[str]) -> Iterator[_Line]:
    """The rows below the heading; names of the first column must be unique."""
    try:
        with _opened(path) as file:
            rows = csv.reader(_bounded(path, file), strict=True)
            heading = [cell.strip() for cell in next(rows, [])]
            for column in columns:
                if heading.count(column) != 1:
                    have = ", ".join(heading)[:200] or "an empty line"
                    raise TraceError(f"{path}, line 1: {column}: one column is needed, got {have}")
            seen: dict[str, int] = {}
            for cells in rows:
                line = _Line(path, rows.line_num, dict(zip(heading, cells, strict=False)))
                if len(cells) != len(heading):
                    what = f"{len(cells)} values for {len(heading)} columns" if cells else "blank"
                    raise line.error(columns[0], f"the line is incomplete: {what}")
                name = line.text(columns[0])
                if name in seen:
                    raise line.error(columns[0], f"{name[:80]} is on line {seen[name]} already")
                seen[name] = rows.line_num
                yield line
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TraceError(f"{path}: cannot be read: {what}") from None


def _bounded(path: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise TraceError(f"{path}, line {number}: is longer than {LONGEST_LINE} characters")
        yield line


def _opened(path: Path) -> TextIO:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise TraceError(f"{path}: a pipe or a device, which cannot be read twice; save it first")
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _shown(name: str) -> str:
    """A name without control and bidirectional characters: tables and CSV repeat it."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _normal(request: Request) -> Request:
    """One spelling for requests that mean the same."""
    if not request.gpus:
        return Request(0, WHOLE_MILLI, request.cpu_milli, request.memory_mib)
    return replace(request, models=tuple(sorted(set(request.models))))


def _numbers(request: Request) -> tuple[int, int, int, int, tuple[str, ...]]:
    models = request.models
    return request.gpus, request.gpu_milli, request.cpu_milli, request.memory_mib, models


def _check(nodes: Sequence[NodeSpec], kinds: Sequence[Request], pods: Sequence[str]) -> None:
    if not pods:
        raise TraceError("pods: the trace is empty")
    if not any(node.gpus for node in nodes):
        raise TraceError(f"gpu: none of the {len(nodes)} nodes has a GPU")
    for field, names in (("sn", [node.name for node in nodes]), ("name", list(pods))):
        if len(set(names)) != len(names):
            twice = next(name for name, times in Counter(names).items() if times > 1)
            raise TraceError(f"{field}: {twice} comes twice")
    for node in nodes:
        if node.gpus > MOST_GPUS:
            raise TraceError(f"gpu: {node.name} has {node.gpus}, at most {MOST_GPUS} are possible")
    for kind in kinds:
        if kind.gpus > 1 and kind.gpu_milli < WHOLE_MILLI:
            what = f"{kind.gpu_milli} of each of {kind.gpus} GPUs"
            raise TraceError(f"gpu_milli: {what}: only one GPU can be shared")
