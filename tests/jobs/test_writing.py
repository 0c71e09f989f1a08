"""A spec written and read again is the same; its id does not hang on how it was written."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings

from foundry_tui.jobs.reading import load
from foundry_tui.jobs.resolve import canonical, spec_id
from foundry_tui.jobs.spec import Checkpoint, JobSpec, Secret
from foundry_tui.jobs.writing import flat, text, values
from tests.jobs.specs import specs


@settings(deadline=None, max_examples=50)
@given(specs())
def test_what_is_written_reads_back_as_the_same_spec(spec: JobSpec) -> None:
    written = text(spec)
    again = load("x.yaml", written.encode())
    assert again == spec
    assert spec_id(again) == spec_id(spec)
    # Another reader of YAML finds the same words, types and keys.
    assert yaml.safe_load(written) == json.loads(canonical(spec))


def test_it_is_written_as_a_person_would() -> None:
    spec = JobSpec(
        name="train",
        script="set -e\npython train.py\n",
        params=(("lr", "3e-4"),),
        memory_bytes=235 << 29,
        time_limit_s=36 * 3600,
        gpu_share_milli=500,
        secrets=(
            Secret(variable="HF_TOKEN", name="hf-token", key="HF_TOKEN"),
            Secret(variable="KEY", name="keys", key="mine"),
        ),
        checkpoint=Checkpoint(path="ckpt"),
    )
    assert text(spec) == (
        "version: 1\nname: train\nscript: |\n  set -e\n  python train.py\n"
        'params:\n  lr: "3e-4"\ngpu_share: 0.5\nmemory: 117.5Gi\ntime_limit: 1d12h\n'
        "secrets:\n  HF_TOKEN: hf-token\n  KEY: keys/mine\n"
        "checkpoint:\n  path: ckpt\n  signal: USR1\n  grace: 2m\n"
    )
    assert flat(spec) == {
        "version": "1",
        "name": "train",
        "script": "set -e\npython train.py\n",
        "params.lr": "3e-4",
        "gpu_share": "0.5",
        "memory": "117.5Gi",
        "time_limit": "1d12h",
        "secrets.HF_TOKEN": "hf-token",
        "secrets.KEY": "keys/mine",
        "checkpoint.path": "ckpt",
        "checkpoint.signal": "USR1",
        "checkpoint.grace": "2m",
    }


def test_bytes_that_no_file_can_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="no amount of at most three decimals"):
        values(JobSpec(name="a", file="b", memory_bytes=999_999_999_999_999))


def test_the_id_is_that_of_the_meaning() -> None:
    one = load("a.yaml", b"name: x\ngpus: 1\ntime_limit: 120m\ncommand: date\nmemory: 16384Mi")
    other = load("b.toml", b'command="date"\nmemory="16Gi"\ntime_limit="2:00:00"\nname="x"\ngpus=1')
    assert spec_id(one) == spec_id(other)
    assert spec_id(one) != spec_id(load("a.yaml", b"name: x\ncommand: date"))
    assert canonical(load("a.yaml", b"command: a\ngpus: 1")) == (
        '{"gpus":1,"name":"a","script":"a\\n","version":1}'
    )
