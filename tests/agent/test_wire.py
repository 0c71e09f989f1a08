"""A round travels as a line and comes out as it went in; anything else is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.agent.shapes import Device, GpuRound, Instance, ProcessUse, Round
from foundry_tui.agent.wire import decode, encode

NUMBERS = st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False))
INSTANCES = st.builds(Instance, st.integers(0, 7), st.none() | st.text(), st.text(), NUMBERS)
GPUS = st.builds(
    GpuRound,
    st.builds(Device, st.integers(0, 15), st.none() | st.text(), st.none() | st.integers(0)),
    NUMBERS,
    st.lists(INSTANCES, max_size=2),
    st.dictionaries(st.text(max_size=8), st.integers(0, 999)),
    st.none() | st.text(),
)
USES = st.builds(ProcessUse, st.text(), st.integers(1), st.none() | st.integers(0))
ROUNDS = st.builds(
    Round,
    st.floats(0, 4e9),
    st.floats(0, 60),
    st.none() | st.text(),
    st.lists(GPUS, max_size=3),
    st.none() | st.lists(USES, max_size=3),
)


@given(ROUNDS)
def test_a_round_comes_out_as_it_went_in(round_: Round) -> None:
    line = encode(round_)
    assert line.count(b"\n") == 1
    assert decode(line) == round_


def test_what_is_no_number_is_left_out() -> None:
    values = {"gpu_util": math.nan, "power": math.inf, "energy": 5.0}
    round_ = decode(encode(Round(1.0, gpus=[GpuRound(Device(0), values)])))
    assert round_.gpus[0].values == {"energy": 5.0}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"NVML: something was printed\n",
        b'{"at":1,"gpus":[{}],"processes":null}\n',
        b'{"at":"x","gpus":[],"processes":null}\n',
        b'{"at":1,"gpus":[],"processes":null,"else":1}\n',
        b'{"at":1,"gpus":[{"device":{"index":0},"values":{"a":"b"},"instances":[]}],"processes":[]}',
        b'{"at":NaN,"gpus":[],"processes":null}\n',
        b'{"at":1' + b"0" * 400 + b',"gpus":[],"processes":null}\n',
        b"\xff\xfe\n",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_round_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)
