"""A spec that went to sbatch and came back says the same, for what a directive can say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.program import Program
from foundry_tui.jobs.render import render
from foundry_tui.jobs.spec import Checkpoint, JobSpec, Launcher, Retry, Words
from foundry_tui.jobs.target import Target
from foundry_tui.migration.nouns import Class, Kind, Tables
from foundry_tui.migration.translate import translate
from foundry_tui.schedulers.slurm.directives import parse

SLURM = Target(source="slurm", kind="slurm")
KEYS = (
    *("name", "gpus", "gpu_model", "cpu_milli", "memory_bytes", "time_limit_s", "workdir"),
    *("array", "needs", "notify", "checkpoint", "retry"),
)
"""What comes back as it was; queue, account and priority are compared by their word for Slurm."""

LAUNCHED = ("launcher", "processes", "restarts")
"""These too, unless a signal has to be kept from torchrun itself by a shell around it."""

maybe = st.none
word = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
words = st.just(Words()) | word.map(Words)
signals = st.sampled_from(["USR1", "USR2", "TERM", "INT", "HUP", "QUIT", "CONT"])
events = st.lists(st.sampled_from(["begin", "end", "fail", "requeue"]), unique=True)


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    gpus = draw(maybe() | st.integers(0, 16))
    launcher = draw(st.sampled_from([Launcher.NONE, Launcher.TORCHRUN]))
    each = gpus or 1
    return JobSpec(
        name=draw(
            st.from_regex(r"[A-Za-zäß][A-Za-z0-9 ä'\"#%,=_.-]{0,18}[a-z0-9]", fullmatch=True)
        ),
        script=draw(st.sampled_from(["python train.py\n", "set -e\nhostname\n./run --n 4\n"])),
        queue=draw(words),
        account=draw(words),
        priority=draw(words),
        gpus=gpus,
        gpu_model=draw(maybe() | st.sampled_from(["h100", "a100_80gb"])) if gpus else None,
        nodes=draw(maybe() | st.integers(1, 64)),
        cpu_milli=draw(maybe() | st.integers(1, 256).map(lambda n: n * 1000)),
        memory_bytes=draw(maybe() | st.integers(1, 10**6).map(lambda n: n << 20)),
        time_limit_s=draw(maybe() | st.integers(1, 10**7)),
        workdir=draw(maybe() | st.sampled_from(["/scratch/a", "/home/ann/x.y"])),
        launcher=launcher,
        processes=draw(maybe() | st.integers(1, 16).filter(lambda n: n != each))
        if launcher is Launcher.TORCHRUN
        else None,
        restarts=draw(maybe() | st.integers(0, 9)) if launcher is Launcher.TORCHRUN else None,
        array=draw(maybe() | st.sampled_from(["0-9%4", "1,3,5-7", "0-8:2"])),
        needs=tuple(str(n) for n in draw(st.lists(st.integers(1, 10**6), max_size=3, unique=True))),
        notify=tuple(e for e in ("begin", "end", "fail", "requeue") if e in draw(events)),
        checkpoint=draw(
            maybe() | st.builds(Checkpoint, signal=signals, grace_s=st.integers(1, 65_535))
        ),
        retry=draw(maybe() | st.just(Retry(on=("node_fail", "preempted")))),
    )


def batch(spec: JobSpec) -> bytes:
    """The script that sbatch alone would take, its options as directives."""
    program = Program("x.yaml", (spec.script or "").encode(), inline=True)
    made = render(spec, SLURM, program, work_dir=None, recorded=False).submit
    quoted = (option.replace("\\", "\\\\").replace('"', '\\"') for option in made.options)
    head = "".join(f'#SBATCH "{option}"\n' for option in quoted)
    first, _, rest = Program("x", made.script, inline=True).as_batch().partition(b"\n")
    return first + b"\n" + head.encode() + rest


@settings(deadline=None, max_examples=60)
@given(specs())
def test_what_a_directive_can_say_comes_back(spec: JobSpec) -> None:
    text = batch(spec)
    made = translate("x.sh", text, Tables(), "kai")
    assert made.problem is None and made.spec is not None
    again = made.spec
    for key in KEYS if spec.checkpoint is not None else (*KEYS, *LAUNCHED):
        assert getattr(again, key) == getattr(spec, key), (key, text.decode())
    assert (again.nodes or 1) == (spec.nodes or 1)
    for key in ("queue", "account", "priority"):
        assert getattr(again, key).at("slurm", "slurm") == getattr(spec, key).everywhere, key
    plain = spec.launcher is Launcher.NONE and spec.checkpoint is None and spec.retry is None
    if plain and (spec.nodes or 1) == 1:
        assert again.script == f"{spec.script}"
    lost = {f.name for f in made.findings if f.klass is Class.LOST and f.kind is Kind.DIRECTIVE}
    assert lost <= {"--mail-type"}


@settings(deadline=None, max_examples=25)
@given(specs())
def test_and_goes_to_sbatch_the_same_way_again(spec: JobSpec) -> None:
    again = translate("x.sh", batch(spec), Tables(), "kai").spec
    assert again is not None
    once, twice = parse(batch(spec)), parse(batch(again))
    assert once.items() - {("nodes", "1"), ("ntasks-per-node", "1")} <= twice.items()
