"""Looking at applied plans beside the collecting: what is asked, what is kept, when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foundry_tui.changes.planfile import read, write
from foundry_tui.collector.judging import Judge
from foundry_tui.collector.looking import look_at, waiters
from foundry_tui.estate.acts import Change, ChangeRun, Receipt, ReceiptStatus
from foundry_tui.estate.gpu import Gpu, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.observed import family, family_of, known
from foundry_tui.estate.plan import Move, Plan, Prediction, Target
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import ArrayPart, Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import Accounting, UsageRecord, Window
from foundry_tui.store.journal import Journal, Purpose, Who
from foundry_tui.store.plans import Plans
from foundry_tui.store.verdicts import Verdicts

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHO = Who(uid=1000, user="op", host="login", pid=1)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def run(number: int, state: RunState, start_s: float | None = None, **more: object) -> Run:
    made = Run(
        id=f"lab/{number}",
        native_id=str(number),
        source="lab",
        scheduler="slurm",
        name=safe("job"),
        state=state,
        user="ann",
        account="ml",
        queue="gpu",
        reason=safe("Resources") if state is RunState.PENDING else None,
        request=Request(gpu_count=1, gpu_milli=1000, cpu_milli=1000, memory_bytes=1 << 30),
        submitted_at=at(-600),
        started_at=None if start_s is None else at(start_s),
        placement=() if start_s is None else (Placement("h01", (0,)),),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def estate(now_s: float, runs: Sequence[Run], state: SourceState = SourceState.OK) -> Snapshot:
    return Snapshot(
        generated_at=at(now_s),
        sources=(Source(name="lab", kind="slurm", state=state, read_at=at(now_s)),),
        nodes=(
            Node(
                name="h01",
                source="lab",
                state=NodeState.MIXED,
                gpu_count=2,
                gpu_milli_allocated=1000,
                cpu_milli=32000,
                cpu_milli_allocated=1000,
                memory_bytes=64 << 30,
                memory_bytes_allocated=1 << 30,
                queues=("gpu",),
            ),
        ),
        gpus=(
            Gpu(node="h01", index=0, source="lab", tenants=(Tenant("lab/9", 1000),)),
            Gpu(node="h01", index=1, source="lab"),
        ),
        queues=(Queue(name="gpu", source="lab", kind="partition"),),
        runs=tuple(runs),
    )


PLAN = Plan(
    id="p1",
    generated_at=at(-5),
    estate_id="e",
    objective_name="",
    objective=None,
    bound=None,
    gap=None,
    status="heuristic",
    solve_s=0.0,
    before={},
    after={},
    moves=(
        Move(
            id="m1",
            target=Target("run", "lab/1"),
            action="start",
            placement=(Placement("h01", (1,)),),
            gpu_milli=1000,
            precondition={"state": "pending"},
            steps=(ChangeRun(source="lab", runs=("lab/1",), fields=(("nodelist", "h01"),)),),
            starts_within_s=90.0,
            rule="start",
        ),
    ),
    prediction=Prediction(
        horizon_s=3600.0,
        runs=2,
        wait_mean_without_s=0,
        wait_mean_with_s=0,
        wait_p90_without_s=0,
        wait_p90_with_s=60.0,
        not_started_without=0,
        not_started_with=0,
        allocated_without=1,
        allocated_with=1,
        wait_p50_with_s=60.0,
    ),
)


@dataclass
class Books:
    """A source of which only the accounting is asked, and how often."""

    records: tuple[UsageRecord, ...] = ()
    asked: list[Window] = field(default_factory=list)

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        self.asked.append(window)
        return Accounting(window=window, records=self.records)


@dataclass
class Bench:
    """A judge with a clock that is set by hand."""

    folder: Path
    books: Books = field(default_factory=Books)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder, lambda: at(self.now_s))
        self.plans = Plans(self.folder / "plans")
        self.verdicts = Verdicts(self.folder / "verdicts")
        self.judge = Judge(
            plans=self.plans,
            verdicts=self.verdicts,
            journal=self.journal,
            readers={"lab": self.books},  # type: ignore[dict-item]
            clock=lambda: at(self.now_s),
            read=read,
            monotonic=lambda: self.now_s,
        )

    def apply(self) -> str:
        self.plans.keep("p1", write(PLAN))
        self.change("c1", purpose=Purpose(plan="p1", move="m1", step=0))
        return "c1"

    def change(self, name: str, purpose: Purpose | None = None, undoes: str | None = None) -> None:
        self.journal.begin(
            name,
            "change_run",
            "lab",
            commands=[["x"]],
            items=["lab/1"],
            token=None,
            who=WHO,
            undoes=undoes,
            purpose=purpose or Purpose(),
        )
        receipt = Receipt(target="lab/1", status=ReceiptStatus.DONE)
        assert Change(id=name, act="", status="done", receipts=(receipt,))
        self.journal.finish(name, "done", [receipt])

    def look(self, now_s: float, runs: Sequence[Run], **more: SourceState) -> None:
        self.now_s = now_s
        thread = self.judge.offer(estate(now_s, runs, **more))
        assert thread is not None
        thread.join(20)
        assert self.judge.failed is None


def test_a_plan_is_looked_at_until_it_is_decided(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    waiting = [run(1, RunState.PENDING), run(2, RunState.PENDING)]
    bench.look(-1, waiting)
    assert bench.verdicts.ids() == ()
    bench.verdicts.opened("p1", at(0), waiters(estate(-1, waiting), PLAN))
    bench.now_s = 0
    bench.apply()
    bench.look(5, waiting)
    bench.look(20, [run(1, RunState.RUNNING, 8), run(2, RunState.RUNNING, 12)])
    verdict = bench.verdicts.latest("p1")
    assert verdict is not None and not verdict.closed
    decided = {p.what: p.kept for p in verdict.promises}
    assert decided["start"] is True and decided["node"] is True
    assert decided["wait_p50_s"] is True and decided["wait_p90_s"] is True
    assert decided["gpus_allocated"] is None
    assert [r.rule for r in bench.verdicts.rule_records()] == ["start"]
    for now_s in range(300, 3900, 300):
        bench.look(now_s, [])
    verdict = bench.verdicts.latest("p1")
    assert verdict is not None and verdict.closed
    assert all(p.kept is not None for p in verdict.promises), verdict.promises
    size = (tmp_path / "verdicts" / "p1.jsonl").stat().st_size
    bench.look(4000, [])
    assert (tmp_path / "verdicts" / "p1.jsonl").stat().st_size == size  # closed: let alone


def test_the_accounting_is_asked_for_what_vanished_and_once_a_minute(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.apply()
    bench.look(5, [run(1, RunState.PENDING), run(2, RunState.PENDING)])
    assert bench.books.asked == []
    bench.look(10, [run(2, RunState.PENDING)])
    bench.look(40, [run(2, RunState.PENDING)])
    assert len(bench.books.asked) == 1
    bench.books.records = (
        UsageRecord(
            source="lab",
            native_id="1",
            raw_id="1",
            name=safe("job"),
            user="ann",
            account="ml",
            queue="gpu",
            qos=None,
            state=RunState.COMPLETED,
            submitted_at=at(-600),
            eligible_at=None,
            started_at=at(6),
            ended_at=at(8),
            nodes=("h01",),
        ),
    )
    bench.look(75, [run(2, RunState.PENDING)])
    bench.look(140, [run(2, RunState.PENDING)])
    assert len(bench.books.asked) == 2
    verdict = bench.verdicts.latest("p1")
    assert verdict is not None
    assert [(p.what, p.kept) for p in verdict.promises[:2]] == [("start", True), ("node", True)]


def test_a_silent_source_is_not_believed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.apply()
    bench.look(5, [run(1, RunState.PENDING)])
    bench.look(200, [run(1, RunState.PENDING)], state=SourceState.DOWN)
    verdict = bench.verdicts.latest("p1")
    assert verdict is not None and verdict.promises[0].kept is None
    assert bench.books.asked == []


def test_what_is_taken_back_is_closed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    name = bench.apply()
    bench.look(5, [run(1, RunState.PENDING)])
    bench.now_s = 10
    bench.change("c2", undoes=name)
    bench.look(20, [run(1, RunState.RUNNING, 15)])
    verdict = bench.verdicts.latest("p1")
    assert verdict is not None and verdict.undone and verdict.closed
    assert verdict.counted == (0, 0)


def test_tasks_of_an_array_are_one_family() -> None:
    task = run(7, RunState.RUNNING, 3, id="lab/7_2", array=ArrayPart("7", "2", 1))
    assert family(task) == family_of(task.id) == family_of("lab/7_[3-9%2]") == "lab/7"
    assert family_of("cluster/ab-12") == "cluster/ab-12"
    snapshot = estate(5, [task])
    look = look_at(snapshot, PLAN, {"lab/7"}, {}, stranded=False)
    assert [r.id for r in look.runs] == ["lab/7_2"]
    assert (look.gpus_total, look.gpus_allocated, look.gpus_free) == (2.0, 1.0, 1.0)
    again = look_at(snapshot, PLAN, {"lab/7"}, known([look]), stranded=True)
    assert again.runs == () and again.stranded_gpus is not None
