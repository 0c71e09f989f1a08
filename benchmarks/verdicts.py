"""Whether advice keeps its promises: random states of a real Slurm, advised, applied and judged.

    python -m benchmarks.verdicts --states 200 --seed 1

makes as many states of the lab's cluster, each from its own seed, and in each an operator of the
cluster runs `foundry advise -o`, `foundry apply --confirm` and, when the promises are due,
`foundry verdicts`. What the verdict says is held against Slurm's own word. `--only SEED` plays one
state again. Needs root, and the packages of the lab (`tests/lab`).
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.accounts import Account
from tests.lab.daemons import LabError, until
from tests.lab.plugin import new_lab_folder
from tests.lab.slurm import SlurmLab
from tests.lab.states import state

OPERATOR = "lab_carol"
SEARCH_S = 1.0
"""Seconds of the exact search of each plan."""

LINGER_S = 3.0
"""After the last promise was due, Slurm gets so long to show it."""

SHORTER = 6.0
"""The lab's Slurm looks at its queue every 2 s, and not every 60: its promises are shorter by so
much, which they have to keep all the same."""

CRED_EXPIRE_S = 5
"""A job that was put back waits until its old credential has expired: 120 s by default."""


PATIENCE_S = 45.0
"""A command that takes longer is interrupted: an apply that waits for a run that does not start."""


@dataclass(slots=True)
class Tally:
    """What came of the states so far. `surprises` are told with their seeds."""

    states: int = 0
    plans: int = 0
    proposed: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: Counter[tuple[str, str]] = field(default_factory=Counter)
    undecided: Counter[tuple[str, str]] = field(default_factory=Counter)
    lies: int = 0
    surprises: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    def surprise(self, seed: int, words: str) -> None:
        """Note something that was not as promised."""
        self.surprises.append(f"seed {seed}: {words}")

    def share(self, moves: bool = True) -> float | None:
        """The kept part of the decided promises, 0..1: of moves, or of whole plans."""
        kept = sum(n for (rule, _), n in self.kept.items() if bool(rule) is moves)
        broken = sum(n for (rule, _), n in self.broken.items() if bool(rule) is moves)
        return kept / (kept + broken) if kept + broken else None


@dataclass(slots=True)
class Bench:
    """A running lab, and the operator at it."""

    lab: SlurmLab
    operator: Account
    tally: Tally = field(default_factory=Tally)
    say: Callable[[str], None] = print

    def play(self, seed: int) -> None:
        """One state: made, advised, applied, judged, taken down."""
        began_s = time.monotonic()
        sent = self.tally.sent.copy()
        made = state(seed).make(self.lab)
        try:
            self._judge(seed)
        finally:
            self.lab.reset()
        self.tally.states += 1
        took_s = time.monotonic() - began_s
        self.tally.wall_s += took_s
        told = ", ".join(f"{n} {rule}" for rule, n in (self.tally.sent - sent).items())
        self.say(f"seed {seed}: {len(made)} jobs, {took_s:.1f} s, sent: {told or 'nothing'}")

    def _judge(self, seed: int) -> None:
        tally, path = self.tally, self.operator.home / f"plan-{seed}.json"
        code, said = self._foundry("advise", "--time-limit", str(SEARCH_S), "-o", str(path))
        if code != 0:
            tally.surprise(seed, f"advise ended with {code}: {said[-300:]}")
            return
        whole = json.loads(path.read_text())
        plan = whole["plan"]
        for move in plan["moves"]:
            if move["starts_within_s"] is not None:
                move["starts_within_s"] /= SHORTER
        path.write_text(json.dumps(whole))
        tally.plans += 1
        for move in plan["moves"]:
            tally.proposed[_rule(move)] += 1
        moves = {m["id"]: m for m in plan["moves"] if m["steps"]}
        if not moves:
            return
        for move in moves.values():
            tally.sent[_rule(move)] += 1
        applied_s = time.time()
        code, said = self._foundry("apply", str(path), "--confirm", str(_count(moves)))
        done = self._accepted(plan["id"], moves)
        for name, move in moves.items():
            tally.accepted[_rule(move)] += name in done
        if code != 0 or len(done) < len(moves):
            tally.surprise(seed, f"apply ended with {code}: {said[-600:]}")
        if done:
            self._wait({name: moves[name] for name in done}, applied_s)
            self._verdict(seed, plan["id"], moves)

    def _foundry(self, *words: str) -> tuple[int, str]:
        process = self.operator.start(*words)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        return process.returncode, self.operator.said(process)

    def _accepted(self, plan_id: str, moves: Mapping[str, Any]) -> set[str]:
        """The moves of which every step was carried out, as the journal tells."""
        path = self.operator.home / "state" / "foundry" / "journal.jsonl"
        purposes: dict[str, tuple[str, int]] = {}
        done: dict[str, set[int]] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            data = json.loads(line)
            if data.get("plan") == plan_id and data["event"] == "begin":
                purposes[data["change"]] = data["move"], data.get("step") or 0
            elif data["event"] == "finish" and data["status"] == "done":
                name, step = purposes.get(data["change"], ("", 0))
                done.setdefault(name, set()).add(step)
        return {n for n, m in moves.items() if len(done.get(n, ())) == len(m["steps"])}

    def _wait(self, moves: Mapping[str, Any], applied_s: float) -> None:
        """Wait until every moved job runs, or its promise is overdue."""
        jobs = {m["target"]["id"].partition("/")[2].partition("_")[0] for m in moves.values()}
        due_s = max((m["starts_within_s"] or 0.0) for m in moves.values())
        left_s = max(1.0, applied_s + due_s + LINGER_S - time.time()) + LINGER_S

        def started() -> bool:
            return not any(s == "PENDING" for j in jobs for s in self.lab.states(j))

        try:
            until(started, left_s, "the moved jobs to start", 0.25)
        except LabError:
            return

    def _verdict(self, seed: int, plan_id: str, moves: Mapping[str, Any]) -> None:
        tally = self.tally
        placed = self._placed()
        code, said = self._foundry("verdicts", plan_id, "--json")
        start = said.find("{")
        if code != 0 or start < 0:
            tally.surprise(seed, f"verdicts ended with {code}: {said[-600:]}")
            return
        found, _ = json.JSONDecoder().raw_decode(said[start:])
        for promise in found["verdicts"]["plans"][0]["promises"]:
            key = promise["rule"], promise["what"].partition(" ")[0]
            counts = {True: tally.kept, False: tally.broken, None: tally.undecided}
            counts[promise["kept"]][key] += 1
            words = (
                f"{promise['move'] or 'plan'} {promise['rule']} {promise['what']}: promised "
                f"{promise['promised']}, measured {promise['measured']} ({promise['why']})"
            )
            if promise["kept"] is False:
                tally.surprise(seed, f"broken: {words}{self._said(moves, promise['move'])}")
            elif promise["kept"] is None and promise["move"]:
                tally.surprise(seed, f"undecided: {words}{self._said(moves, promise['move'])}")
            if promise["what"] == "node" and promise["kept"] is not None:
                job = moves[promise["move"]]["target"]["id"].partition("/")[2]
                if job in placed and placed[job] != promise["measured"]:
                    tally.lies += 1
                    tally.surprise(seed, f"the verdict lies: Slurm says {placed[job]}: {words}")

    def _placed(self) -> dict[str, str]:
        """Job -> its nodes, in Slurm's own words."""
        shown = self.lab.run(["squeue", "--noheader", "--states=R", "-o", "%i|%N"]).stdout.decode()
        found = dict(line.split("|") for line in shown.splitlines())
        return {job: ",".join(self._hosts(nodes)) for job, nodes in found.items()}

    def _hosts(self, nodes: str) -> list[str]:
        if "[" not in nodes:
            return nodes.split(",")
        answer = self.lab.run(["scontrol", "show", "hostnames", nodes])
        return sorted(answer.stdout.decode().split())

    def _said(self, moves: Mapping[str, Any], name: str | None) -> str:
        """What Slurm says of the job of a move now."""
        if name is None:
            return ""
        job = moves[name]["target"]["id"].partition("/")[2].partition("_")[0]
        answer = self.lab.run(["squeue", "--noheader", "-j", job, "-o", "%i %T %r %N"], check=False)
        return f"; Slurm: {answer.stdout.decode().strip() or 'no such job'}"


@contextmanager
def bench(say: Callable[[str], None]) -> Iterator[Bench]:
    """A lab of its own with an operator; it is gone afterwards."""
    lab = SlurmLab.start(new_lab_folder())
    try:
        yield at(lab, say)
    finally:
        lab.stop()


def at(lab: SlurmLab, say: Callable[[str], None]) -> Bench:
    """An operator at a running lab."""
    operator = Account(lab, OPERATOR)
    config = operator.home / "config" / "foundry"
    config.mkdir()
    (config / "config.toml").write_text(f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\n')
    for path in (config, config / "config.toml"):
        path.chmod(0o755)
    return Bench(lab, operator, say=say)


def short_credentials(lab: SlurmLab) -> None:
    """Let jobs that are put back start again soon."""
    conf = Path(lab.env["SLURM_CONF"])
    text = conf.read_text()
    socket = next(line for line in text.splitlines() if line.startswith("AuthInfo="))
    conf.write_text(text.replace(socket, f"{socket},cred_expire={CRED_EXPIRE_S}"))
    lab.stop_controller()
    lab.start_controller()
    until(lambda: set(lab.node_states().values()) == {"idle"}, 30, "all nodes to be idle")


def _rule(move: Mapping[str, Any]) -> str:
    return str(move.get("rule") or move["action"])


def _count(moves: Mapping[str, Any]) -> int:
    """The number that is typed to confirm: targets, each task of an array for itself."""
    tasks: dict[str, int] = {}
    for move in moves.values():
        for step in move["steps"]:
            for run in step.get("runs", ()):
                tasks.setdefault(run, 1)
        told = (move.get("precondition") or {}).get("tasks")
        if isinstance(told, int) and move["target"]["id"] in tasks:
            tasks[move["target"]["id"]] = told
    return sum(tasks.values())


def report(tally: Tally) -> str:
    """The shares, and every surprise with its seed."""
    lines = [
        f"{tally.states} states, {tally.plans} plans, {tally.wall_s / max(1, tally.states):.1f} s "
        "each",
        "",
        f"{'rule':<12} {'proposed':>9} {'sent':>6} {'accepted':>9}",
    ]
    for rule in sorted(tally.proposed):
        counts = tally.proposed[rule], tally.sent[rule], tally.accepted[rule]
        lines.append(f"{rule:<12} {counts[0]:>9} {counts[1]:>6} {counts[2]:>9}")
    lines += ["", f"{'rule':<12} {'promise':<16} {'kept':>6} {'broken':>7} {'undecided':>10}"]
    for key in sorted({*tally.kept, *tally.broken, *tally.undecided}):
        rule, what = key
        counts = tally.kept[key], tally.broken[key], tally.undecided[key]
        lines.append(
            f"{rule or 'plan':<12} {what:<16} {counts[0]:>6} {counts[1]:>7} {counts[2]:>10}"
        )
    for words, moves in (("moves", True), ("whole plans", False)):
        share = tally.share(moves)
        told = "none was decided" if share is None else f"{share:.1%} of those decided"
        lines.append(f"promises of {words} kept: {told}")
    lines.append(f"verdicts that Slurm contradicts: {tally.lies}")
    lines += ["", f"{len(tally.surprises)} surprises", *tally.surprises]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--states", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first one")
    parser.add_argument("--only", type=int, metavar="SEED", help="this one state")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    given = parser.parse_args()
    missing = SlurmLab.missing() or Account.missing()
    if missing:
        print(f"not run: {missing}", file=sys.stderr)
        return 1
    seeds = [given.only] if given.only is not None else range(given.seed, given.seed + given.states)
    until_s = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    with bench(lambda words: print(words, file=sys.stderr, flush=True)) as here:
        short_credentials(here.lab)
        for seed in seeds:
            if until_s is not None and time.monotonic() > until_s:
                break
            try:
                here.play(seed)
            except LabError as error:
                here.tally.surprise(seed, f"the lab failed: {error}")
                here.lab.reset()
        print(report(here.tally))
    return 0


if __name__ == "__main__":
    sys.exit(main())
