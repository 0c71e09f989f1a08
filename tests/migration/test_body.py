"""Programs: what starts them, what they use of Slurm, and hostile ones."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.spec import Launcher
from foundry_tui.migration.body.lexer import LexError, lex
from foundry_tui.migration.nouns import Class, Tables
from foundry_tui.migration.translate import translate
from tests.migration.golden import SCRIPTS, translated
from tests.migration.test_directives import found, made


def words(text: str) -> list[tuple[int, list[str]]]:
    return [(c.line, [w.raw for w in c.words]) for c in lex(text).commands if c.words]


def test_commands_are_found_where_a_shell_finds_them() -> None:
    text = (
        "a=1 run 'x y' # no\n"
        "if [[ $a < 2 ]]; then one; else two || three; fi\n"
        'for f in *; do four "$(five | six)" & done; wait\n'
        "cat <<END > out\nseven 'quote\nEND\n"
        "case $x in\n a | b ) eight;;\n # c)\n *) nine;; esac\n"
        "f() { ten; }; (cd /x && case 1 in 1) eleven;; esac) | tee y\n"
        'twelve \\\n  --more ${z:-"}"} $((1 + (2 * 3))) `thirteen`\n'
        "list=(a b $(fourteen))\n"
    )
    names = [first[0] for _, first in words(text)]
    expected = "run one two three for four five six wait cat case eight nine ten cd case eleven tee"
    assert names == [*expected.split(), "twelve", "thirteen", "fourteen"]
    lines = {first[0]: line for line, first in words(text)}
    assert (lines["twelve"], lines["ten"], lines["fourteen"]) == (12, 11, 14)


@pytest.mark.parametrize("text", ['echo "a', "echo 'a", "x=$(ls", "x=`ls", "echo ${a", "a=(1 2"])
def test_what_does_not_end_is_told_with_its_line(text: str) -> None:
    with pytest.raises(LexError) as told:
        lex(f"true\n{text}\n")
    assert told.value.line == 2


def test_every_changed_program_is_one_that_bash_can_read() -> None:
    """bash -n reads a script without running it."""
    bash = shutil.which("bash")
    assert bash is not None
    for path in SCRIPTS:
        spec = translated(path.name, "kai").spec
        assert spec is not None and spec.script is not None
        if path.name in ("open-quote.sh", "python-script.sh", "tcsh.sh"):
            continue
        text = spec.script.encode()
        done = subprocess.run([bash, "-n"], input=text, capture_output=True, check=False)
        assert done.returncode == 0, (path.name, done.stderr)


def test_a_launcher_takes_its_numbers_from_the_script() -> None:
    body = "N=4\nGPUS=$SLURM_GPUS_ON_NODE\nsrun torchrun --nnodes $N --nproc-per-node=$GPUS t.py"
    translation = made("--nodes=4 --gpus-per-node=8 --ntasks-per-node=1", body=body)
    assert translation.spec is not None
    assert translation.spec.launcher is Launcher.TORCHRUN and translation.spec.processes is None
    assert found(translation, "torchrun").klass is Class.OK
    assert "python t.py" in (translation.spec.script or "")


@pytest.mark.parametrize(
    ("body", "started"),
    [
        ("srun python a.py --x 'b c'", "python a.py --x 'b c'"),
        ("srun -u -n 1 --gres=gpu:1 -- python a.py", "python a.py"),
        ("exec srun --cpu-bind=none python a.py", "exec python a.py"),
        ("time srun bash -c 'cd x && ./run'", "time bash -c 'cd x && ./run'"),
        ("OMP_NUM_THREADS=4 srun ./prog -n 3", "OMP_NUM_THREADS=4 ./prog -n 3"),
        ("timeout -k 10 3h srun python a.py", "timeout -k 10 3h python a.py"),
        ("srun \\\n  --unbuffered \\\n  python a.py", "python a.py"),
        ("srun apptainer exec --nv docker://a/b:1 python a.py", "python a.py"),
        ("x=$(date)\nsrun python a.py $x && echo done", "x=$(date)\npython a.py $x && echo done"),
    ],
)
def test_srun_with_one_task_is_taken_away(body: str, started: str) -> None:
    translation = made("--gres=gpu:1", body=body)
    assert translation.spec is not None
    assert (translation.spec.script or "").endswith(f"{started}\n")
    assert translation.spec.launcher is Launcher.NONE


def test_a_run_that_submits_itself_is_lost_and_told_of_retry() -> None:
    finding = found(made(body='python a.py\nsbatch "$0"'), "sbatch")
    assert (finding.klass, finding.line) == (Class.LOST, 4)
    assert "retry:" in finding.why


def test_variables_are_set_where_a_pod_can_tell_and_lost_where_not() -> None:
    translation = made(
        "--gres=gpu:2 --cpus-per-task=6",
        body="echo $SLURM_CPUS_PER_TASK ${SLURM_GPUS_ON_NODE} $SLURM_CLUSTER_NAME # $SLURM_NNODES",
    )
    assert translation.spec is not None
    script = translation.spec.script or ""
    assert "export SLURM_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-6}\n" in script
    assert "export SLURM_GPUS_ON_NODE=${SLURM_GPUS_ON_NODE:-2}\n" in script
    assert found(translation, "$SLURM_CLUSTER_NAME").klass is Class.LOST
    assert not [f for f in translation.findings if f.name == "$SLURM_NNODES"]


def test_a_secret_is_told_and_never_repeated() -> None:
    translation = made("--export=A_TOKEN=abc123", body="export MY_API_KEY='abc123'\npython a.py")
    told = [f for f in translation.findings if f.blocks]
    assert [f.name for f in told] == ["--export", "secret"]
    assert "abc123" not in str(translation.findings)
    assert translation.spec is not None and not translation.spec.environment
    fine = made(body="export HF_TOKEN=$TOKEN\nexport TOKEN_FILE=/tmp/token\npython a.py")
    assert not [f for f in fine.findings if f.name == "secret"]
    fine = made(body="export TOKENIZERS_PARALLELISM=false MAX_TOKENS=2048\npython a.py")
    assert not [f for f in fine.findings if f.name == "secret"]


def test_a_key_in_words_and_here_documents_is_told_by_its_form_and_never_shown() -> None:
    key = "hf_" + "Ab1" * 8
    body = f"A_TOKEN=abc123 srun python a.py --key {key}\ncat > c <<END\nkey: {key}\nEND"
    translation = made(body=body)
    assert [(f.line, f.blocks) for f in translation.findings if f.name == "secret"] == [
        (3, True),
        (5, True),
    ]
    assert key not in str(translation.findings) and "abc123" not in str(translation.findings)


def test_folders_in_quoted_programs_and_here_documents_are_looked_at() -> None:
    body = "bash -c 'python a.py /nowhere/a'\ncat > c <<END\ndata: /missing/b\nEND\necho 'to /c/d'"
    told = [(f.line, f.words) for f in made(body=body).findings if f.name == "path"]
    assert told == [(3, "/nowhere/a"), (5, "/missing/b")]


def test_what_a_container_runtime_was_told_besides_its_image_is_not_lost_unsaid() -> None:
    body = "apptainer exec --nv --env A=b -B /x -B /y docker://a/b:1 python a.py"
    stops = [f.words for f in made(body=body).findings if f.blocks]
    assert len(stops) == 2
    told = [f for f in made(body=body).findings if f.blocks]
    assert "env of the container" in told[0].why and "/x" in told[1].why


def test_a_launcher_in_the_words_of_a_shell_is_not_called_ok_over_several_nodes() -> None:
    body = "srun bash -c 'cd x && torchrun --nnodes=2 a.py'"
    (told,) = (f for f in made("--nodes=2", body=body).findings if f.name == "launcher")
    assert told.blocks and told.klass is Class.MANUAL
    assert not [f for f in made(body=body).findings if f.name == "launcher"]


def test_programs_of_the_host_are_told() -> None:
    translation = made(body="docker run --gpus all a/b python a.py\nssh other ls")
    told = [(f.name, f.klass, f.blocks) for f in translation.findings if f.line in (3, 4)]
    assert told == [("docker", Class.MANUAL, True), ("ssh", Class.MANUAL, False)]


def test_the_folder_and_the_user_of_the_submit_are_not_those_of_a_pod() -> None:
    translation = made(body="cd $SLURM_SUBMIT_DIR && ls /tmp/$USER")
    for name in ("$SLURM_SUBMIT_DIR", "$USER"):
        assert found(translation, name).klass is Class.APPROXIMATED


@pytest.mark.parametrize(
    ("step", "launcher"),
    [
        ("srun python train.py", Launcher.TORCHRUN),
        ("srun ./train.py", Launcher.TORCHRUN),
        ("srun ./nbody", Launcher.MPI),
        ("srun --mpi=pmix python -m mpi4py a.py", Launcher.MPI),
    ],
)
def test_several_tasks_are_started_by_what_fits_the_program(step: str, launcher: Launcher) -> None:
    spec = made("--ntasks=4", body=step).spec
    assert spec is not None and (spec.launcher, spec.processes) == (launcher, 4)


def test_what_is_set_for_a_pod_is_what_slurm_would_say_and_slurm_itself_is_left_alone() -> None:
    body = 'echo "$SLURM_NTASKS $SLURM_CPUS_PER_TASK $SLURM_JOB_NAME $SLURM_NODEID $SLURM_JOB_ID"'
    spec = made("--ntasks=2 --cpus-per-task=3 --job-name=twice", body=body).spec
    assert spec is not None and spec.script is not None
    path = {"PATH": os.defpath}

    def said(env: dict[str, str]) -> str:
        done = subprocess.run(
            ["/bin/sh"], input=spec.script or "", capture_output=True, text=True, env=path | env
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    *words, number = said({"FOUNDRY_SUBMIT_TOKEN": "abc"}).split(" ")
    assert words == ["2", "3", "twice", "0"] and number.isdecimal()
    assert said({"FOUNDRY_SUBMIT_TOKEN": "abc"}).endswith(number)
    names = ("NTASKS", "CPUS_PER_TASK", "JOB_NAME", "NODEID", "JOB_ID")
    assert said({f"SLURM_{name}": "7" for name in names}) == "7 7 7 7 7"


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=300)
    | st.text(st.sampled_from("ab $`\"'\\(){}[]<>|&;#\n=-/~")).map(str.encode)
)
def test_no_bytes_bring_it_down(data: bytes) -> None:
    for head in (b"", b"#!/bin/bash\n#SBATCH -J a\n"):
        translation = translate("x.sh", head + data, Tables(), "kai")
        assert (translation.spec is None) == (translation.problem is not None)


@pytest.mark.parametrize(
    "body",
    [
        "x=" + "$(" * 5000 + ")" * 5000,
        "module load a\n" * 5000,
        "srun -n1 python a.py $(hostname) &\n" * 2500,
        "(" * 50_000,
        "cat <<A <<B\n" * 10_000,
    ],
)
def test_large_and_deep_programs_are_read_or_refused(body: str) -> None:
    data = f"#!/bin/bash\n#SBATCH -A nlp\n{body}\n".encode()
    translation = translate("x.sh", data, Tables(), "runai")
    assert translation.findings and not translation.manifests


def test_a_program_that_is_too_long_to_travel_says_so() -> None:
    body = "\n".join(f"echo line number {n} of a long program" for n in range(5000))
    translation = made(body=body)
    assert translation.spec is None and translation.withheld is not None
    assert found(translation, "program").klass is Class.LOST


@pytest.mark.parametrize(
    "body",
    [
        "seq 4 | xargs -P4 -n1 srun -n1 python a.py",
        "numactl -N0 srun python a.py",
        'bash -c "cd x; srun python a.py"',
        "srun --multi-prog steps.conf",
        "srun --pty bash",
        "out=$(srun -n 4 hostname_of_gpu)",
    ],
)
def test_a_step_that_no_rule_knows_stops_the_submit(body: str) -> None:
    translation = made("--ntasks=4", body=body)
    told = [f for f in translation.findings if f.name == "srun"]
    assert told and all(f.blocks and f.klass is Class.MANUAL for f in told)
    assert not translation.manifests


def test_a_step_whose_output_is_taken_loses_its_srun() -> None:
    spec = made(body='echo "srun is not here"\nn=$(srun python count.py)').spec
    assert spec is not None
    assert spec.script == '#!/bin/bash\necho "srun is not here"\nn=$(python count.py)\n'
