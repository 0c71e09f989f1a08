"""Rendered batch scripts, run by bash with stand-ins for srun and scontrol."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.spec import Checkpoint, JobSpec, Launcher, Mount, Retry, Secret, Words
from tests.jobs.launchers.made import ONE, launched, on_slurm
from tests.lab.daemons import until

SRUN = """\
#!/bin/bash
until [ "${1#-}" = "$1" ]; do echo "$1" >>"$HOME/srun"; shift; done
setsid "$@" &
task=$!
trap 'kill -USR1 -- -$task' USR1
wait $task; code=$?
while kill -0 $task 2>/dev/null; do wait $task; code=$?; done
exit $code
"""
SCANCEL = """\
#!/bin/bash
echo "$*" >>"$HOME/scancel"
touch "$HOME/cancelled"
"""
SCONTROL = """\
#!/bin/bash
echo "$*" >>"$HOME/scontrol"
[ "$1" = show ] && printf 'h01\\nh02\\n'
exit 0
"""
TORCHRUN = """\
#!/bin/bash
until [ "${1#-}" = "$1" ]; do echo "$1" >>"$HOME/torchrun"; shift; done
RANK=${RANK:-0} exec "$@"
"""
JOB = {
    **{"SLURM_JOB_ID": "123456", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "h[01-02]"},
    **{"SLURM_CPUS_PER_TASK": "8", "SLURMD_NODENAME": "h01"},
}


@dataclass(slots=True)
class Node:
    """A folder that is the home of the user, with the commands of a node in it."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.home / "bin").mkdir()
        stands_in = {"srun": SRUN, "scontrol": SCONTROL, "scancel": SCANCEL, "torchrun": TORCHRUN}
        for name, text in stands_in.items():
            path = self.home / "bin" / name
            path.write_text(text)
            path.chmod(0o755)

    def start(self, spec: JobSpec, *, file: bytes | None = None) -> subprocess.Popen[bytes]:
        made = on_slurm(spec, file=file)
        path = self.home / "slurm_script"
        path.write_bytes(made.submit.script)
        path.chmod(0o755)
        search = f"{self.home / 'bin'}:{os.environ['PATH']}"
        given = dict(made.submit.environment)
        return subprocess.Popen(
            [path],
            env={"PATH": search, "HOME": str(self.home), **JOB, **given, **self.env},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, spec: JobSpec, *, file: bytes | None = None) -> tuple[int, str, str]:
        child = self.start(spec, file=file)
        out, err = child.communicate(timeout=30)
        return child.returncode, out.decode(), err.decode()

    def noted(self, command: str) -> list[str]:
        """The lines that a stand-in has left."""
        path = self.home / command
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def with_script(spec: JobSpec, script: str) -> JobSpec:
    return replace(spec, script=script)


SHOW = (
    'echo "$RANK $LOCAL_RANK $WORLD_SIZE $NODE_RANK $MASTER_ADDR:$MASTER_PORT ${MLFLOW_RUN_ID-}"\n'
)


def test_torchrun_meets_at_the_first_node(node: Node) -> None:
    node.env["MLFLOW_RUN_ID"] = "r"
    spec = with_script(launched(Launcher.TORCHRUN, "two"), SHOW)
    assert node(spec)[:2] == (0, "0    h01:23456 r\n")
    assert node.noted("torchrun") == [
        *("--nnodes=2", "--nproc-per-node=4", "--rdzv-id=123456", "--rdzv-backend=c10d"),
        *("--rdzv-endpoint=h01:23456", "--no-python"),
    ]
    assert node.noted("srun") == [
        *("--export=ALL", "--kill-on-bad-exit=1", "--ntasks=2", "--ntasks-per-node=1"),
        "--cpus-per-task=8",
    ]
    node.env["RANK"] = "1"
    assert node(spec)[1] == "1    h01:23456 \n"


def test_srun_maps_its_own_ranks_in_each_task(node: Node) -> None:
    node.env |= {"SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8"}
    node.env |= {"SLURM_NODEID": "1", "MLFLOW_RUN_ID": "r", "RANK": "0"}
    assert node(with_script(launched(Launcher.SRUN, "two"), SHOW))[:2] == (
        0,
        "5 1 8 1 h01:23456 \n",
    )
    assert {"--ntasks=8", "--ntasks-per-node=4"} <= set(node.noted("srun"))


def test_here_documents_and_quotes_come_through(node: Node) -> None:
    script = "cat <<'END'\n'a' \"b\" $c `d` \\e\nEND\nprintf '%s\\n' \"it's\" '$HOME'\n"
    shown = "'a' \"b\" $c `d` \\e\nit's\n$HOME\n"
    for spec in (
        launched(Launcher.TORCHRUN, "two"),
        launched(Launcher.MPI, "one"),
        replace(ONE, checkpoint=Checkpoint()),
    ):
        assert node(with_script(spec, script)) == (0, shown, "")


def test_python_is_started_as_what_it_is(node: Node) -> None:
    script = "#!/usr/bin/env python3\nimport os\nprint(f\"it's {os.environ['RANK']}\")\n"
    assert node(with_script(launched(Launcher.TORCHRUN, "one"), script))[1] == "it's 0\n"


def test_a_file_keeps_its_directives_and_its_text(node: Node) -> None:
    file = b"#!/bin/bash\n#SBATCH --exclusive\n# more\n[[ a = a ]] && echo $FOUNDRY_ATTEMPT\n"
    counted = replace(ONE, script=None, file="run.sh", retry=Retry())
    made = on_slurm(counted, file=file).submit
    assert made.script.startswith(b"#!/bin/bash\n#SBATCH --exclusive\n# more\n\n# Slurm")
    assert made.script.endswith(b"\n\n[[ a = a ]] && echo $FOUNDRY_ATTEMPT\n")
    assert made.piped, "sbatch reads what was made, not the file"
    assert node(counted, file=file)[:2] == (0, "1\n")
    launched_file = replace(counted, launcher=Launcher.SRUN)
    assert b"\n#SBATCH --exclusive\n\n" in on_slurm(launched_file, file=file).submit.script
    assert node(launched_file, file=file)[:2] == (0, "1\n")
    alone = on_slurm(replace(counted, retry=None), file=file).submit
    assert (alone.script, alone.piped) == (file, False)
    with pytest.raises(SpecError, match=r"run\.sh: file: has 97 KiB"):
        on_slurm(launched_file, file=b"#!/bin/sh\n" + b"#" * (97 << 10))


def test_the_record_is_told_before_the_program() -> None:
    plain = on_slurm(ONE, recorded=True).submit.script.decode()
    assert plain.index("foundry_environment") < plain.index("python train.py")
    assert plain.startswith("#!/bin/sh\n")
    python = b"#!/usr/bin/env python3\nprint(1)\n"
    file = replace(ONE, script=None, file="run.py")
    assert on_slurm(file, file=python, recorded=True).submit.script == python


def secret(node: Node, text: str, mode: int = 0o600, path: str = "hf-token") -> None:
    file = node.home / ".config/foundry/secrets" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


SECRET = replace(
    ONE,
    script='echo "got $HF_TOKEN"\n',
    secrets=(Secret(variable="HF_TOKEN", name="hf-token", key="the key"),),
)


def test_a_secret_is_read_from_a_file_of_the_user(node: Node) -> None:
    code, out, err = node(SECRET)
    assert (code, out) == (1, "")
    path = node.home / ".config/foundry/secrets/hf-token"
    assert f"secrets.HF_TOKEN: on h01 there is no file {path}" in err
    secret(node, "s3 'x' $y\n")
    assert node(SECRET) == (0, "got s3 'x' $y\n", "")
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        code, out, err = node(SECRET)
        assert (code, out, "others can read" in err) == (1, "", True), oct(mode)
        assert "s3" not in err
    path.unlink()
    secret(node, "in a folder", path="hf-token/the key")
    assert node(SECRET)[1] == "got in a folder\n"
    other = node.home / "other"
    other.mkdir()
    (node.home / ".config/foundry/secrets/hf-token/the key").rename(other / "hf-token")
    node.env["FOUNDRY_SECRETS"] = str(other)
    assert node(SECRET)[1] == "got in a folder\n"


def test_modules_are_loaded_or_missed_in_words(node: Node) -> None:
    spec = with_script(replace(ONE, modules=("cuda/12.4", "a b")), 'echo "$LOADED"\n')
    code, out, err = node(spec)
    assert (code, out) == (1, "")
    assert "there is no `module` command on h01" in err
    init = node.home / "init"
    init.mkdir()
    (init / "bash").write_text(
        'module() { [ "$2" != gone ] || return 1; export LOADED="$LOADED[$2]"; }\n'
    )
    node.env["MODULESHOME"] = str(node.home)
    assert node(spec) == (0, "[cuda/12.4][a b]\n", "")
    code, out, err = node(replace(spec, modules=("gone",)))
    assert (code, out) == (1, "")
    assert err == "foundry: modules: gone was not loaded on h01\n"


def test_attempts_are_counted_and_end(node: Node) -> None:
    spec = with_script(replace(ONE, retry=Retry(most=2)), "echo $FOUNDRY_ATTEMPT\n")
    assert node(spec)[:2] == (0, "1\n")
    node.env["SLURM_RESTART_COUNT"] = "2"
    assert node(spec)[:2] == (0, "3\n")
    node.env["SLURM_RESTART_COUNT"] = "3"
    code, out, err = node(spec)
    assert (code, out, "begun again 2 times already" in err) == (1, "", True)


WAITS = """\
touch "$HOME/up"
python3 -c '
import signal, sys, time
def save(*_):
    open("saved", "a").write("saved")
    sys.exit(@CODE@)
signal.signal(signal.SIGUSR1, save)
open("ready", "w").close()
time.sleep(20)
'
code=$?
echo "ended with $code"
exit $code
"""


def told(node: Node, spec: JobSpec) -> tuple[int, str, str]:
    """Run a spec, and send its script the signal when its program is ready for it."""
    child = node.start(spec)
    try:
        until((node.home / "ready").exists, 30, "the program to be ready", 0.02)
        child.send_signal(signal.SIGUSR1)
        out, err = child.communicate(timeout=15)
    finally:
        child.kill()
    return child.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("launcher", ["none", "torchrun", "srun", "mpi"])
@pytest.mark.parametrize("code", [0, 3])
def test_the_signal_reaches_the_program_and_the_job_goes_back(
    node: Node, launcher: str, code: int
) -> None:
    spec = replace(
        ONE,
        launcher=Launcher(launcher),
        script=WAITS.replace("@CODE@", str(code)),
        checkpoint=Checkpoint(path="ckpt"),
        retry=Retry(most=1),
    )
    done, out, err = told(node, spec)
    assert out == f"ended with {code}\n", "the shell around the program outlives the signal"
    assert (done, (node.home / "saved").read_text()) == (0, "saved")
    assert "attempt 1 ends before its time limit: back into the queue" in err
    assert node.noted("scontrol")[-1] == "requeue 123456"
    (node.home / "ready").unlink()
    node.env["SLURM_RESTART_COUNT"] = "1"
    done, _, err = told(node, spec)
    assert (done, "back into" in err) == (code, False), "the last attempt ends as it ends"
    assert node.noted("scontrol").count("requeue 123456") == 1


def test_a_task_of_an_array_goes_back_alone(node: Node) -> None:
    node.env |= {"SLURM_ARRAY_JOB_ID": "123456", "SLURM_ARRAY_TASK_ID": "4"}
    spec = replace(ONE, script=WAITS.replace("@CODE@", "0"), checkpoint=Checkpoint(), retry=Retry())
    assert told(node, spec)[0] == 0
    assert node.noted("scontrol")[-1] == "requeue 123456_4"


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "CONT"])
def test_what_srun_takes_for_its_own_end_goes_to_the_steps_by_scancel(
    node: Node, name: str
) -> None:
    node.env |= {"SLURM_ARRAY_JOB_ID": "123456", "SLURM_ARRAY_TASK_ID": "4"}
    script = "touch ready; until [ -e cancelled ]; do sleep 0.05; done; exit 5\n"
    spec = replace(
        ONE, script=script, checkpoint=Checkpoint(signal=name), retry=Retry(on=("timeout",))
    )
    child = node.start(spec)
    try:
        until((node.home / "ready").exists, 30, "the program to be ready", 0.02)
        child.send_signal(signal.Signals[f"SIG{name}"])
        child.communicate(timeout=15)
    finally:
        child.kill()
    assert node.noted("scancel") == [f"--signal={name} 123456_4"]
    if name in ("TERM", "CONT"):
        assert child.returncode == 5, "a cancel sends these too: it may not begin again"
        assert node.noted("scontrol") == []
        assert f"Slurm sends {name} at a cancel too" in notes(spec)
    else:
        assert child.returncode == 0
        assert node.noted("scontrol")[-1] == "requeue 123456_4"


def test_without_retry_the_signal_is_told_and_nothing_more(node: Node) -> None:
    spec = replace(ONE, script=WAITS.replace("@CODE@", "5"), checkpoint=Checkpoint())
    assert told(node, spec)[0] == 5
    assert (node.home / "saved").exists()
    assert node.noted("scontrol") == []
    lost_node = replace(spec, retry=Retry(on=("node_fail", "preempted")))
    (node.home / "ready").unlink()
    assert told(node, lost_node)[0] == 5
    assert node.noted("scontrol") == []


def test_a_program_that_goes_on_is_put_back_before_the_grace_is_over(node: Node) -> None:
    script = "trap 'touch saved' USR1\ntouch ready\nuntil [ -e end ]; do sleep 0.1; done\n"
    spec = replace(ONE, script=script, checkpoint=Checkpoint(grace_s=2), retry=Retry())
    child = node.start(spec)
    try:
        until((node.home / "ready").exists, 30, "the program to be ready", 0.02)
        begun = time.monotonic()
        child.send_signal(signal.SIGUSR1)
        until(lambda: node.noted("scontrol") == ["requeue 123456"], 30, "the requeue", 0.02)
        assert time.monotonic() - begun >= 1
        assert child.poll() is None, "Slurm ends it, not the script"
        (node.home / "end").touch()
        child.communicate(timeout=15)
    finally:
        child.kill()


def test_a_program_that_ends_by_itself_ends_the_job(node: Node) -> None:
    spec = replace(ONE, script="exit 9\n", checkpoint=Checkpoint(), retry=Retry())
    assert node(spec)[0] == 9
    assert node.noted("scontrol") == []


def options(spec: JobSpec) -> set[str]:
    return set(on_slurm(spec).submit.options)


def notes(spec: JobSpec) -> str:
    return "\n".join(on_slurm(spec).notes)


def test_fields_as_options() -> None:
    assert "--no-requeue" in options(replace(ONE, retry=Retry(most=0)))
    assert "--requeue" in options(replace(ONE, retry=Retry()))
    assert not any("requeue" in option for option in options(ONE))
    assert "--account=ml" in options(replace(ONE, account=Words(by_source=(("slurm", "ml"),))))
    one_task = options(replace(ONE, nodes=None, launcher=Launcher.TORCHRUN))
    assert {"--nodes=1", "--ntasks-per-node=1", "--cpus-per-task=32"} <= one_task
    per_gpu = options(replace(ONE, launcher=Launcher.SRUN, gpus=3))
    assert {"--ntasks-per-node=3", "--cpus-per-task=10"} <= per_gpu
    with pytest.raises(SpecError, match=r"train\.yaml: needs: other/7 is a run of other"):
        on_slurm(replace(ONE, needs=("other/7",)))
    with pytest.raises(SpecError, match=r"needs: 'a;b' is no job id"):
        on_slurm(replace(ONE, needs=("a;b",)))


def test_what_slurm_does_otherwise_is_told() -> None:
    assert "timeout needs `checkpoint`" in notes(replace(ONE, retry=Retry()))
    one = replace(ONE, retry=Retry(on=("timeout",)), checkpoint=Checkpoint())
    assert "one switch of Slurm's (--requeue)" in notes(one)
    late = replace(ONE, checkpoint=Checkpoint(grace_s=3600))
    assert "not shorter than time_limit" in notes(late)
    assert "10: 30 in all" not in notes(ONE)
    assert "each of the 3 tasks of a node gets 10: 30 in all" in notes(
        replace(ONE, launcher=Launcher.SRUN, gpus=3)
    )
    assert "does not resize it afterwards" in notes(replace(ONE, nodes_most=4))
    assert "node_pool:" in notes(replace(ONE, node_pool=Words("a")))
    mounts = (
        Mount(source="/a", target="/a"),
        Mount(source="/a", target="/b"),
        Mount(claim="c", target="/c"),
    )
    assert [n for n in notes(replace(ONE, mounts=mounts)).splitlines() if "mounts" in n] == [
        "mounts: the program sees /a there, not at /b",
        "mounts: Slurm has no claims such as c: not mounted",
    ]
    own = replace(ONE, nodes=2, script=None, file="r.sh", checkpoint=Checkpoint(), retry=Retry())
    made = on_slurm(own, file=b"#!/bin/sh\nsrun date\n")
    assert "--signal=USR1@120" in made.submit.options
    assert any("has to requeue itself too" in note for note in made.notes)


def test_variables_go_along() -> None:
    spec = replace(
        ONE, params=(("lr", "3e-4"),), seed=1, checkpoint=Checkpoint(path="ckpt"), environment=()
    )
    given = dict(on_slurm(spec).submit.environment)
    assert (given["FOUNDRY_PARAM_LR"], given["FOUNDRY_SEED"]) == ("3e-4", "1")
    assert given["FOUNDRY_CHECKPOINT"] == "ckpt"
    own = replace(spec, environment=(("FOUNDRY_CHECKPOINT", "mine"),))
    assert on_slurm(own).submit.environment.count(("FOUNDRY_CHECKPOINT", "mine")) == 1
    assert dict(on_slurm(own).submit.environment)["FOUNDRY_CHECKPOINT"] == "mine"
