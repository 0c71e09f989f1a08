"""Fields of a spec beyond amounts: what is taken, and what is refused by name and line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.document import Document
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.reading import KEYS, from_document, load
from foundry_tui.jobs.spec import (
    Checkpoint,
    Data,
    JobSpec,
    Launcher,
    Mount,
    Parallel,
    Retry,
    Secret,
    Words,
)

FULL = """
version: 1
name: llm
command: torch.py --lr ${lr}
params: {lr: 3e-4, width: 0.10, deep: true, first: 010}
seed: 7
modules: [cuda/12.4, gcc/13]
workdir: /shared/me/llm
account: {slurm: nlp}
node_pool: h100
nodes: 2..8
gpus: 8
launcher: TORCHRUN
processes: 8
restarts: 3
parallel: {tp: 2, dp: 8}
deepspeed_config: ds.json
secrets: {HF_TOKEN: hf-token, WANDB: keys/wandb}
mounts:
  - {source: /shared}
  - {claim: team-pvc, target: /data, read_only: true}
data: [{name: c4, path: /shared/c4, version: auto, schema: c4.yaml}, {name: b, path: b, version: 3}]
checkpoint: {path: ckpt, signal: SIGUSR2, grace: 5m}
retry: {on: [NODE_FAIL, timeout], most: 5}
needs: [12, lab/13_4]
notify: [END, fail]
preflight: ["python 'c k.py'", [python, check.py, 3]]
experiment: sweep
tags: {team: nlp, "a b": 1}
"""


def spec(text: str) -> JobSpec:
    return load("job.yaml", text.encode())


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as raised:
        spec(f"command: a\n{text}" if "command:" not in text else text)
    return str(raised.value)


def test_every_field_is_read() -> None:
    assert spec(FULL) == JobSpec(
        name="llm",
        script="torch.py --lr ${lr}\n",
        params=(("lr", "3e-4"), ("width", "0.10"), ("deep", "true"), ("first", "010")),
        seed=7,
        modules=("cuda/12.4", "gcc/13"),
        workdir="/shared/me/llm",
        account=Words(by_source=(("slurm", "nlp"),)),
        node_pool=Words("h100"),
        nodes=2,
        nodes_most=8,
        gpus=8,
        launcher=Launcher.TORCHRUN,
        processes=8,
        restarts=3,
        parallel=Parallel(tp=2, dp=8),
        deepspeed_config="ds.json",
        secrets=(
            Secret(variable="HF_TOKEN", name="hf-token", key="HF_TOKEN"),
            Secret(variable="WANDB", name="keys", key="wandb"),
        ),
        mounts=(
            Mount(target="/shared", source="/shared"),
            Mount(target="/data", claim="team-pvc", read_only=True),
        ),
        data=(
            Data(name="c4", path="/shared/c4", schema="c4.yaml"),
            Data(name="b", path="b", version="3"),
        ),
        checkpoint=Checkpoint(path="ckpt", signal="USR2", grace_s=300),
        retry=Retry(on=("node_fail", "timeout"), most=5),
        needs=("12", "lab/13_4"),
        notify=("end", "fail"),
        preflight=(("python", "c k.py"), ("python", "check.py", "3")),
        experiment="sweep",
        tags=(("team", "nlp"), ("a b", "1")),
    )


def test_what_is_not_said_has_the_usual_value() -> None:
    found = spec("command: a\nsecrets: [HF_TOKEN]\ncheckpoint: {path: x}\nretry: {}\nparallel: {}")
    assert found.secrets == (Secret(variable="HF_TOKEN", name="hf-token", key="HF_TOKEN"),)
    assert (found.checkpoint, found.retry) == (Checkpoint(path="x"), Retry())
    assert (found.parallel, found.launcher) == (Parallel(), Launcher.NONE)


def test_toml_numbers_keep_their_digits() -> None:
    found = load("a.toml", b'command = "a"\n[params]\nlr = 3e-4\nwidth = 0.10\nsteps = 1_000')
    assert found.params == (("lr", "3e-4"), ("width", "0.10"), ("steps", "1000"))


@pytest.mark.parametrize("indices", ["0-9", "0-9%4", "1,3,5-7", "0-15:4", "5"])
def test_indexes_of_an_array(indices: str) -> None:
    assert spec(f"command: a\narray: '{indices}'").array == indices


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 2", "line 2: version: expected 1: this foundry reads version 1"),
        ("version: '1'", "version: expected 1"),
        ("version: true", "version: expected 1"),
        ("nodes: 8..2", "nodes: expected a whole number of 1..10000, or a range such as 2..8"),
        ("nodes: 2-8", "nodes: expected a whole number of 1..10000, or a range"),
        ("nodes: 0..4", "nodes: expected a whole number"),
        ("nodes: 2..8\narray: 0-3", "line 3: array: excludes a range of `nodes`"),
        ("launcher: accelerate", "launcher: 'accelerate' is none here: `torchrun` with the"),
        ("launcher: mpirun", "it is called `mpi`"),
        ("launcher: ddp", "it is called `torchrun`"),
        ("launcher: spark", "launcher: expected one of none, torchrun, deepspeed, srun, mpi"),
        ("accelerate: true", "accelerate: unknown here; it is called `launcher`"),
        ("processes: 8", "processes: needs a `launcher` that starts them"),
        ("launcher: mpi\nrestarts: 2", "restarts: needs `launcher: torchrun`"),
        ("parallel: {tp: 0}", "line 2: parallel.tp: expected a whole number of 1.."),
        ("parallel: {tpp: 2}", "parallel.tpp: unknown; did you mean `tp`?"),
        ("parallel: {tensor: 2}", "parallel.tensor: unknown here; it is called `tp`"),
        ("parallel: 8", "parallel: expected a table of tp, pp, dp, not the number 8"),
        ("params: [lr]", "params: expected a table of names and values"),
        ("params: {lr: [1]}", "params.lr: expected text on one line of at most 500"),
        ("params: {lr: null}", "params.lr: expected text on one line"),
        ("params: {1a: 1}", "params.1a: a name has letters"),
        ("params: {a-b: 1, a_b: 2}", "params.a_b: both are $FOUNDRY_PARAM_A_B: `a-b`, too"),
        ("seed: -1", "seed: expected a whole number of 0..4294967295"),
        ("modules: cuda", "modules: expected a list of modules, not 'cuda'"),
        ("modules: [a, a]", "modules.2: 'a' stands there twice"),
        ("modules: ['a;b']", "modules.1: expected a module such as cuda/12.4"),
        ("workdir: proj", "workdir: expected an absolute path"),
        ("secrets: {A: Some_Name}", "secrets.A: expected the name of a secret"),
        ("secrets: {A: hf_AAAA}", "`-`, `.`; no value"),
        ("secrets: [A-B]", "secrets.1: a name has letters, digits and `_`"),
        ("secrets: [SLURM_X]", "secrets.1: would change the submit itself"),
        ("secrets: [A]\nenvironment: {A: b}", "secrets.1: A stands in `environment` too"),
        ("secrets: [___]", "secrets.1: no name of a secret follows from it"),
        ("secrets: hf", "secrets: expected a list of variables, or a table"),
        ("mounts: [{}]", "line 2: mounts.1: give `source`"),
        ("mounts: [{claim: a}]", "mounts.1: give `target`"),
        ("mounts: [{source: data}]", "mounts.1.source: expected an absolute path"),
        ("mounts: [{src: /a}]", "mounts.1.src: unknown here; it is called `source`"),
        ("mounts: [{sorce: /a}]", "mounts.1.sorce: unknown; did you mean `source`?"),
        ("mounts:\n  - {source: /a}\n  - {source: /a}", "line 4: mounts.2: target '/a' stands"),
        ("data: [{name: a}]", "data.1: `path` is missing"),
        ("data: [{name: a, path: b, vresion: 1}]", "data.1.vresion: unknown; did you mean `ver"),
        ("data: [{name: a, path: b}, {name: a, path: c}]", "data.2: name 'a' stands there twice"),
        ("data: [{name: a, path: b, schema: /x}]", "data.1.schema: expected a path beside"),
        ("checkpoint: ckpt", "checkpoint: expected a table of path, signal, grace"),
        ("checkpoint: {signal: KILL}", "checkpoint.signal: expected one of USR1, USR2"),
        ("checkpoint: {grace: 120}", "checkpoint.grace: expected a time with its unit"),
        ("checkpoint: {grace: 2d}", "checkpoint.grace: expected at most 65535s"),
        ("checkpoint: {pat: a}", "checkpoint.pat: unknown; did you mean `path`?"),
        ("retry: {on: [oom]}", "retry.on.1: expected one of node_fail, preempted, timeout"),
        ("retry: {on: []}", "retry.on: expected a list of node_fail, preempted, timeout"),
        ("retry: {max: 3}", "retry.max: unknown here; it is called `most`"),
        ("retry: {most: 0}", "retry.most: expected a whole number of 1..1000"),
        ("array: 5", "array: expected text on one line, in quotes"),
        ("array: 9-0", "array: '9-0' counts no indexes"),
        ("array: 0-9:0", "array: '0-9:0' counts no indexes"),
        ("array: 0-9%0", "array: at least one has to run at a time"),
        ("array: 0-9999999", "array: '0-9999999' counts no indexes of 0..4000000"),
        ("array: a-b", "array: expected indexes in quotes such as 0-9"),
        ("needs: 12", "needs: expected a list of ids or names"),
        ("needs: [a b]", "needs.1: expected one word"),
        ("needs: ['12;x']", "needs.1: expected the id of a run"),
        ("needs: [0]", "needs.1: expected text on one line"),
        ("needs: [12, 12]", "needs.2: '12' stands there twice"),
        ("name: me\nneeds: [me]", "needs.1: a run cannot wait for itself"),
        ("notify: [started]", "notify.1: expected one of begin, end, fail, requeue"),
        ("preflight: date", "preflight: expected a list of commands"),
        ('preflight: ["it\'s"]', "preflight.1: cannot be taken apart: No closing quotation"),
        ("preflight: ['']", "preflight.1: expected a program and its arguments"),
        ("preflight: [[]]", "preflight.1: expected a program and its arguments"),
        ("tags: {'a;b': c}", "tags.a;b: a name has letters"),
        ("depends_on: [1]", "depends_on: unknown here; it is called `needs`"),
        ('script: "\\ud800"', "half a character"),
        ('environment: {A: "\\udfff"}', "half a character"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(text: str, words: str) -> None:
    told = refusal(text)
    assert words in told
    assert told.startswith("job.yaml: line ")
    assert told.isprintable()


scalars = st.sampled_from(
    [None, True, -1, 0, 3, 0.5, 1e300, float("nan"), "", "a", "0-9%4", "2..8", "12h", "9" * 400,
     "hf/x", "\0", "-x", "/a", "'", "\ud800", "1" * 30 + "h", "99999999-99999999", "²"]
) | st.text(max_size=5)  # fmt: skip
names = st.sampled_from(["on", "most", "path", "source", "name", "A", "a.b", "tp", "slurm", ""])
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KEYS)), anything, max_size=6))
def test_no_value_ends_in_anything_but_a_spec_or_its_error(values: dict[str, object]) -> None:
    chosen = {k: v for k, v in values.items() if k not in ("file", "script")}
    try:
        from_document(Document("a.yaml", {"command": "x", **chosen}), default_name="a")
    except SpecError as error:
        assert str(error).startswith("a.yaml")
        assert error.field


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\udcff"])
def test_a_file_whose_name_is_none_of_a_run_has_to_give_one(name: str) -> None:
    with pytest.raises(SpecError, match="no name of a run: give `name`"):
        from_document(Document("a.yaml", {"command": "x"}), default_name=name)
    assert from_document(Document("a.yaml", {"command": "x", "name": "b"}), default_name=name)
