"""What-if: when and where Slurm itself would start a run, by `sbatch --test-only`.

It answers in about 15 ms, submits nothing, and uses up one job id. The present request is rebuilt
from Slurm's own words about the job, so the answer is for a copy of it that is submitted now.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime

from foundry_tui.estate.acts import Submit
from foundry_tui.estate.run import Placement, Run
from foundry_tui.estate.text import safe
from foundry_tui.process import Completed
from foundry_tui.schedulers.ports import Estimate
from foundry_tui.schedulers.slurm.commands import UNREACHABLE, Commands, failure, message
from foundry_tui.schedulers.slurm.fields import ORIGINS, check_option
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.inspect import read_raw
from foundry_tui.schedulers.slurm.jobs import moment
from foundry_tui.schedulers.slurm.submit import on_stdin, submit_item
from foundry_tui.schedulers.slurm.tres import parse_tres, size_bytes

HOW = "sbatch --test-only"

_STARTS = re.compile(r"Job \d+ to start at (\S+) (?:a )?using \d+ processors on (?:nodes )?(\S*)")
_QUEUE = re.compile(r"in partition (\S+)")


def read_estimate(
    commands: Commands, run: Run, changes: tuple[tuple[str, str], ...] = ()
) -> Estimate:
    """When a copy of the run, with `changes` applied, would start.

    Raises:
        Unavailable, Denied: Slurm did not tell about the run.
        ValueError: a change that cannot be expressed.
    """
    words = read_raw(commands, run)
    if not words:
        return Estimate(starts_at=None, reason=safe("Slurm has forgotten this run"), how=HOW)
    return ask(commands, test_arguments(words, changes), as_user=run.user)


def ask(commands: Commands, args: tuple[str, ...], *, as_user: str | None = None) -> Estimate:
    """The answer to one `--test-only` call with these options."""
    who = (f"--uid={as_user}",) if as_user and os.geteuid() == 0 and as_user != "root" else ()
    done = commands.run("sbatch", "--test-only", *who, *args, "--wrap=true", cwd="/")
    return _answer(done, moment)


def submit_estimate(commands: Commands, act: Submit) -> Estimate:
    """When a script that is not submitted yet would start, with everything that `sbatch` is given.

    Variables like `SBATCH_PARTITION` and a local `--begin` count as in the submit itself, so the
    child has the user's own environment and time zone, and what it prints is local time.

    Raises:
        Unavailable, Denied: Slurm did not answer.
    """
    item = submit_item(act, "")
    if item.refusal is not None:
        return Estimate(starts_at=None, reason=item.refusal, how=HOW)
    words = item.command[item.command.index("sbatch") + 1 :]
    done = commands.run(
        *("sbatch", "--test-only", *words),
        stdin=act.script if on_stdin(act) else None,
        cwd=act.work_dir,
        whole_env=True,
        env={**dict(act.environment), "SLURM_TIME_FORMAT": "standard"},
    )
    if done.code and any(mark in message(done) for mark in UNREACHABLE):
        raise failure("sbatch --test-only", done)
    return _answer(done, lambda text: datetime.fromisoformat(text).astimezone(UTC))


def _answer(done: Completed, at: Callable[[str], datetime | None]) -> Estimate:
    text = done.err.decode("utf-8", "surrogateescape")
    found = _STARTS.search(text)
    if done.code != 0 or found is None:
        words = message(done).replace("allocation failure: ", "")
        return Estimate(starts_at=None, reason=safe(words or "no answer"), how=HOW)
    queue = _QUEUE.search(text)
    return Estimate(
        starts_at=at(found[1]),
        placement=tuple(Placement(safe(n), None) for n in expand(found[2])),
        queue=safe(queue[1]) if queue else None,
        how=HOW,
    )


def test_arguments(
    words: dict[str, str], changes: tuple[tuple[str, str], ...] = ()
) -> tuple[str, ...]:
    """The options of `sbatch` that ask for what a job asks for, with changes on top."""
    wanted = {n: words[w] for n, w in ORIGINS.items() if w in words}
    # Slurm shows a range of nodes as `2-2`; sbatch takes it as it is.
    wanted.update(dict(changes))
    args = [option for n, v in wanted.items() if (option := check_option(n, v)) is not None]
    named = dict(changes)
    if "time_limit_s" not in named and words.get("time_limit"):
        args.append(f"--time={words['time_limit']}")
    if "gpus_per_node" not in named and "gpus" not in named:
        for word, option in (
            ("tres_per_node", "--gres"),
            ("tres_per_job", "--gpus"),
            ("tres_per_task", "--gpus-per-task"),
        ):
            if word in words:
                args.append(f"{option}={_gres(words[word], bare=option != '--gres')}")
    if words.get("cpus_per_task", "1") not in ("", "0", "1"):
        args.append(f"--cpus-per-task={words['cpus_per_task']}")
    if not {"memory_per_cpu", "memory_per_node"} & named.keys():
        args.extend(_memory(words))
    return tuple(args)


def _gres(text: str, *, bare: bool) -> str:
    """`gres:gpu:h100:2` (22.05) or `gres/gpu:h100:2` (24.11) as sbatch takes it."""
    items = [item.removeprefix("gres:").removeprefix("gres/") for item in text.split(",")]
    return ",".join(i.removeprefix("gpu:") if bare else i for i in items)


def _memory(words: dict[str, str]) -> list[str]:
    """`squeue -O minmemory` has no mark for per CPU or per node (22.05): the total tells."""
    text = words.get("min_memory", "")
    each, total = size_bytes(text), size_bytes(parse_tres(words.get("tres", "")).get("mem"))
    if not text or each is None:
        return []
    if each == 0:  # all of each node; without the total the cluster simply counts no memory
        return ["--mem=0"] if total else []
    nodes = words.get("nodes", "").partition("-")[0]
    per_node = text.endswith("n") or (nodes.isdigit() and each * int(nodes) == total)
    return [f"--{'mem' if per_node else 'mem-per-cpu'}={text.rstrip('cn')}"]
