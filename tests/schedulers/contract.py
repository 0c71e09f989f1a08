"""What every scheduler adapter has to hold to, simulated or real.

`test_contract.py` runs these tests on each of them. What differs between adapters is in a
`Harness`: how to submit to it, and how to let its time pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import get_args

import pytest

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    ReceiptStatus,
    Release,
    Requeue,
    Resume,
    RunAct,
    Submit,
    Suspend,
)
from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.schedulers.ports import Bookkeeper, SchedulerActor, SchedulerReader, ScriptReader
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.harness import SAID_NO, SAID_YES, Harness, new_token

ALL_ACTS: tuple[type[Act], ...] = (
    *(Submit, Cancel, Hold, Release, Requeue),
    *(Suspend, Resume, ChangeRun, ChangeNode, ChangeQueue),
)


class Contract:
    """The tests. `harness` is the fixture of the adapter."""

    def test_the_ports_are_there(self, harness: Harness) -> None:
        assert isinstance(harness.adapter, SchedulerReader)
        assert isinstance(harness.adapter, SchedulerActor)
        assert harness.adapter.name
        assert harness.adapter.kind

    def test_a_probe_says_what_is_there(self, harness: Harness) -> None:
        probes = harness.adapter.probe()
        assert probes
        assert all(p.what and p.state and p.found for p in probes)

    def test_the_nouns_of_a_snapshot_fit_together(self, harness: Harness) -> None:
        estate = harness.adapter.snapshot()
        assert estate.nodes
        assert estate.queues
        assert_consistent(estate, harness.adapter.name)

    def test_a_running_run_holds_its_gpu(self, harness: Harness) -> None:
        run = harness.started()
        estate = harness.adapter.snapshot()
        assert_consistent(estate, harness.adapter.name)
        run = next(r for r in estate.runs if r.id == run.id)
        assert run.state is RunState.RUNNING
        assert (run.request.gpu_count, run.request.gpu_milli) == (1, 1000)
        assert run.started_at is not None
        (part,) = run.placement
        (gpu,) = [g for g in estate.gpus if run.id in g.runs]
        assert (gpu.node, (gpu.index,)) == (part.node, part.gpus)
        assert gpu.milli_allocated == 1000

    def test_a_preview_is_exact_and_changes_nothing(self, harness: Harness) -> None:
        token = new_token()
        before = {r.id for r in harness.adapter.snapshot().runs if r.state in LIVE}
        preview = harness.adapter.preview(harness.work("contract"), (), token)
        assert len(preview.items) == 1
        assert preview.refused == ()
        assert token in " ".join(preview.items[0].command)
        assert harness.adapter.find_submitted(token) is None
        assert before == {r.id for r in harness.adapter.snapshot().runs if r.state in LIVE}

    def test_a_submission_is_found_by_its_token(self, harness: Harness) -> None:
        token = new_token()
        preview, sent = harness.send(harness.work("by-token"), token=token)
        (receipt,) = sent
        assert receipt.status in SAID_YES
        harness.until(lambda: harness.adapter.find_submitted(token) is not None, "it is found")
        assert harness.adapter.find_submitted(token) == receipt.target
        run = harness.run(receipt.target)
        assert (run.submit_token, run.name, run.state in LIVE) == (token, "by-token", True)
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        assert settled.target == receipt.target

    def test_a_token_that_nobody_used_finds_nothing(self, harness: Harness) -> None:
        assert harness.adapter.find_submitted(new_token()) is None

    def test_what_the_scheduler_refuses_is_a_receipt(self, harness: Harness) -> None:
        token = new_token()
        preview, sent = harness.send(harness.impossible, token=token)
        (receipt,) = harness.adapter.read_back(preview, sent)
        assert receipt.status is ReceiptStatus.REFUSED
        assert receipt.message
        assert harness.adapter.find_submitted(token) is None

    def test_a_cancelled_run_ends(self, harness: Harness) -> None:
        run = harness.started()
        act = Cancel(source=harness.adapter.name, runs=(run.id,))
        preview, sent = harness.send(act, run)
        assert preview.items[0].owner == run.user
        assert preview.items[0].command
        assert preview.items[0].loss_gpu_s is not None
        assert [(r.target, r.status in SAID_YES) for r in sent] == [(run.id, True)]
        harness.until(lambda: harness.state(run) not in LIVE, f"{run.id} ends")
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE

    def test_an_unknown_run_is_no_exception(self, harness: Harness) -> None:
        target = f"{harness.adapter.name}/{harness.unknown}"
        preview, sent = harness.send(Cancel(source=harness.adapter.name, runs=(target,)))
        (receipt,) = harness.adapter.read_back(preview, sent)
        assert receipt.target == target
        assert receipt.status in SAID_NO
        assert receipt.message

    def test_an_id_that_is_none_is_refused(self, harness: Harness) -> None:
        for target in ("", "--all", "1; rm", "a/b/../c", "ALL"):
            act = Cancel(source=harness.adapter.name, runs=(target,))
            preview, sent = harness.send(act)
            (receipt,) = harness.adapter.read_back(preview, sent)
            assert receipt.status in SAID_NO, target

    def test_a_batch_gives_one_receipt_per_item(self, harness: Harness) -> None:
        first, second = harness.submitted("first"), harness.submitted("second")
        unknown = f"{harness.adapter.name}/{harness.unknown}"
        act = Cancel(source=harness.adapter.name, runs=(first.id, unknown, second.id))
        preview, sent = harness.send(act, first, second)
        assert [i.target for i in preview.items] == list(act.runs)
        assert [r.target for r in sent] == list(act.runs)
        harness.until(
            lambda: not {harness.state(first), harness.state(second)} & LIVE, "both ended"
        )
        settled = harness.adapter.read_back(preview, sent)
        assert [r.status in SAID_NO for r in settled] == [False, True, False]
        assert [r.status for r in settled].count(ReceiptStatus.DONE) == 2

    def test_hold_and_release_undo_each_other(self, harness: Harness) -> None:
        if harness.adapter.supports(Hold) is not None:
            return
        run = self._waiting(harness)
        name = harness.adapter.name
        for act, inverse, held in (
            (Hold(source=name, runs=(run.id,)), Release(source=name, runs=(run.id,)), True),
            (Release(source=name, runs=(run.id,)), Hold(source=name, runs=(run.id,)), False),
        ):
            preview, sent = harness.send(act, run)
            assert preview.inverse == inverse
            (settled,) = harness.adapter.read_back(preview, sent)
            assert (settled.target, settled.status) == (run.id, ReceiptStatus.DONE)
            run = harness.run(run.native_id)
            assert (run.state, run.held) == (RunState.PENDING, held)

    def test_a_hold_does_not_stop_what_runs(self, harness: Harness) -> None:
        if harness.adapter.supports(Hold) is not None:
            return
        run = harness.started()
        preview, sent = harness.send(Hold(source=harness.adapter.name, runs=(run.id,)), run)
        # Slurm itself takes the hold for the day when the run is requeued.
        assert [r.target for r in harness.adapter.read_back(preview, sent)] == [run.id]
        assert harness.state(run) is RunState.RUNNING

    def test_a_requeued_run_starts_anew(self, harness: Harness) -> None:
        if harness.adapter.supports(Requeue) is not None:
            return
        run = harness.started()
        preview, sent = harness.send(Requeue(source=harness.adapter.name, runs=(run.id,)), run)
        assert preview.inverse is None
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        harness.until(lambda: harness.state(run) is RunState.PENDING, "it waits again")

    def test_a_waiting_run_can_be_changed(self, harness: Harness) -> None:
        if harness.adapter.supports(ChangeRun) is not None:
            return
        run = self._waiting(harness)
        name = harness.adapter.name
        act = ChangeRun(source=name, runs=(run.id,), fields=(harness.change,))
        assert not harness.changed(run)
        preview, sent = harness.send(act, run)
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        assert harness.changed(harness.run(run.native_id))
        strange = ChangeRun(source=name, runs=(run.id,), fields=(("no_such_field", "1"),))
        with pytest.raises(ValueError, match="no_such_field"):
            harness.adapter.preview(strange, (run,), new_token())

    def test_a_change_of_a_run_is_taken_back_by_its_inverse(self, harness: Harness) -> None:
        if harness.adapter.supports(ChangeRun) is not None:
            return
        run = self._waiting(harness)
        act = ChangeRun(source=harness.adapter.name, runs=(run.id,), fields=(harness.change,))
        preview, sent = harness.send(act, run)
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        assert settled.before != settled.after or settled.before is None
        assert preview.inverse is not None
        changed = harness.run(run.native_id)
        preview, sent = harness.send(preview.inverse, changed)
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        back = harness.run(run.native_id)
        assert (back.request, back.queue, back.qos, back.state) == (
            *(run.request, run.queue, run.qos),
            run.state,
        )

    def test_a_run_can_come_back_held(self, harness: Harness) -> None:
        if harness.adapter.supports(Requeue) is not None:
            return
        run = harness.started()
        act = Requeue(source=harness.adapter.name, runs=(run.id,), hold=True)
        preview, sent = harness.send(act, run)
        assert preview.inverse is None
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        run = harness.run(run.native_id)
        assert (run.state, run.held) == (RunState.PENDING, True)
        _, sent = harness.send(Release(source=harness.adapter.name, runs=(run.id,)), run)
        assert [r.status in SAID_YES for r in sent] == [True]

    def test_a_drained_node_takes_no_runs_until_that_is_taken_back(self, harness: Harness) -> None:
        if harness.adapter.supports(ChangeNode) is not None:
            return
        name = next(n.name for n in harness.adapter.snapshot().nodes if n.placeable)
        act = ChangeNode(
            source=harness.adapter.name, nodes=(name,), state="drain", reason="contract"
        )
        preview, sent = harness.send(act)
        assert [(i.target, i.refusal) for i in preview.items] == [(name, None)]
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        harness.until(lambda: not self._placeable(harness, name), f"{name} is drained")
        again, sent = harness.send(act)
        assert again.refused
        assert again.inverse is None, "what is drained already is not resumed by an undo"
        assert [r.status in SAID_NO for r in sent] == [True]
        assert preview.inverse is not None
        preview, sent = harness.send(preview.inverse)
        (settled,) = harness.adapter.read_back(preview, sent)
        assert settled.status is ReceiptStatus.DONE
        harness.until(lambda: self._placeable(harness, name), f"{name} is back")
        unknown, sent = harness.send(
            ChangeNode(source=harness.adapter.name, nodes=("nowhere",), state="resume")
        )
        assert unknown.refused
        assert [r.status in SAID_NO for r in sent] == [True]

    def _placeable(self, harness: Harness, name: str) -> bool:
        return next(n for n in harness.adapter.snapshot().nodes if n.name == name).placeable

    def test_a_change_of_a_queue_is_taken_back_by_its_inverse(self, harness: Harness) -> None:
        if harness.queue_change is None or harness.adapter.supports(ChangeQueue) is not None:
            return
        name, fields = harness.queue_change

        def state() -> str:
            return next(q.state for q in harness.adapter.snapshot().queues if q.name == name)

        before = state()
        act: Act = ChangeQueue(source=harness.adapter.name, queue=name, fields=fields)
        for wanted in (dict(fields)["state"], before):
            preview, sent = harness.send(act)
            (settled,) = harness.adapter.read_back(preview, sent)
            assert settled.status is ReceiptStatus.DONE
            assert state() == wanted
            assert preview.inverse is not None
            act = preview.inverse

    def _waiting(self, harness: Harness) -> Run:
        """A run that waits for another one."""
        assert harness.after is not None
        token = new_token()
        _, (receipt,) = harness.send(harness.after(harness.started().native_id), token=token)
        assert receipt.status in SAID_YES
        harness.until(lambda: harness.adapter.find_submitted(token) is not None, "it is found")
        return harness.run(receipt.target)

    @pytest.mark.parametrize("act", ALL_ACTS, ids=lambda act: act.__name__)
    def test_what_is_not_supported_has_a_reason(self, harness: Harness, act: type[Act]) -> None:
        reason = harness.adapter.supports(act)
        assert reason is None or len(reason) > 10
        if reason is not None and act in get_args(RunAct):
            made = (
                ChangeRun(source=harness.adapter.name, runs=("1",), fields=())
                if act is ChangeRun
                else act(source=harness.adapter.name, runs=("1",))  # type: ignore[call-arg]
            )
            with pytest.raises(ValueError, match=reason[:10]):
                harness.adapter.preview(made, (), new_token())

    def test_submit_and_cancel_are_supported_everywhere(self, harness: Harness) -> None:
        assert harness.adapter.supports(Submit) is None
        assert harness.adapter.supports(Cancel) is None

    def test_an_estimate_submits_nothing(self, harness: Harness) -> None:
        run = harness.submitted()
        before = {r.id for r in harness.adapter.snapshot().runs}
        estimate = harness.adapter.estimate(run)
        assert estimate.how
        assert (estimate.starts_at is None) == (estimate.reason is not None)
        if harness.adapter.supports(ChangeRun) is None:
            changed = harness.adapter.estimate(run, changes=(harness.change,))
            assert changed.how == estimate.how
        if estimate.starts_at is not None:
            assert estimate.starts_at.tzinfo is UTC
            nodes = {n.name for n in harness.adapter.snapshot().nodes}
            assert {p.node for p in estimate.placement} <= nodes
            assert estimate.placement
        assert before == {r.id for r in harness.adapter.snapshot().runs}

    def test_a_script_can_be_estimated_before_it_is_submitted(self, harness: Harness) -> None:
        before = {r.id for r in harness.adapter.snapshot().runs}
        estimate = harness.adapter.estimate_submit(harness.work("not-yet"))
        assert estimate.how
        assert (estimate.starts_at is None) == (estimate.reason is not None)
        if estimate.starts_at is not None:
            assert estimate.starts_at.tzinfo is UTC
            assert estimate.starts_at >= harness.now() - timedelta(seconds=60)
            assert {p.node for p in estimate.placement} <= {
                n.name for n in harness.adapter.snapshot().nodes
            }
            assert estimate.placement
        refused = harness.adapter.estimate_submit(harness.impossible)
        assert refused.starts_at is None
        assert refused.reason
        assert before == {r.id for r in harness.adapter.snapshot().runs}

    def test_rights_are_those_of_the_owner_of_our_runs(self, harness: Harness) -> None:
        rights = harness.adapter.rights()
        run = harness.submitted()
        assert run.user == rights.user
        assert rights.may_change(run.user)
        assert rights.admin or not rights.may_change("somebody-else")
        assert rights.associations is not None or rights.reason

    def test_a_run_without_a_log_says_so(self, harness: Harness) -> None:
        run = harness.submitted()
        log = harness.adapter.logs(run, tail_lines=10)
        assert log.lines == () or run.state is not RunState.PENDING
        assert log.lines or log.reason
        ghost = Run(
            id=f"{harness.adapter.name}/{harness.unknown}",
            native_id=harness.unknown,
            source=harness.adapter.name,
            scheduler=run.scheduler,
            name=safe("ghost"),
            state=RunState.COMPLETED,
        )
        assert harness.adapter.logs(ghost, tail_lines=10).reason

    def test_details_are_the_schedulers_words(self, harness: Harness) -> None:
        run = harness.submitted("in-detail")
        words = harness.adapter.details(run)
        assert words
        assert all(k and v == safe(v, max_cells=10_000) for k, v in words.items())

    def test_a_source_with_scripts_tells_ours_and_why_it_has_none(self, harness: Harness) -> None:
        reader = harness.adapter
        if isinstance(reader, ScriptReader):
            run = harness.submitted("scripted")
            own = reader.batch_script(run.native_id, ended=False)
            assert own.data is not None and own.data.startswith(b"#!")
            ghost = reader.batch_script(harness.unknown, ended=False)
            assert ghost.data is None and ghost.reason and not ghost.interactive

    def test_names_are_made_safe_at_the_door(self, harness: Harness) -> None:
        evil = "a\x1b]52;c;AAAA\x07b\n9 forged\u202e"
        token = new_token()
        _, (receipt,) = harness.send(harness.work(evil), token=token)
        if receipt.status is ReceiptStatus.REFUSED:
            assert receipt.message == safe(receipt.message or "")
            return
        harness.until(lambda: harness.adapter.find_submitted(token) is not None, "it is found")
        estate = harness.adapter.snapshot()
        assert_consistent(estate, harness.adapter.name)
        run = next(r for r in estate.runs if r.native_id == receipt.target)
        assert run.name == safe(evil)
        assert run.name.isprintable()

    def test_the_halves_of_a_window_add_up(self, harness: Harness) -> None:
        harness.started()

        def add_up() -> bool:
            # Times are whole seconds, accounting may hear of a run later than the controller, and
            # on a shared lab other runs end between two questions.
            end = harness.now()
            start = end - timedelta(hours=6)
            middle = start + timedelta(hours=3, minutes=17)
            whole, first, second = (
                self._gpu_seconds(harness, Window(*w))
                for w in ((start, end), (start, middle), (middle, end))
            )
            return bool(whole) and whole == first + second

        harness.drive(30)
        harness.until(add_up, "the halves of a window are the whole, and the run's GPU is in it")

    def _gpu_seconds(self, harness: Harness, window: Window) -> Counter[tuple[str, object]]:
        """GPU-milli seconds within the window, by run and try."""
        accounting = harness.adapter.accounting(window)
        assert accounting.window == window
        assert accounting.rejects == ()
        found: Counter[tuple[str, object]] = Counter()
        for row in accounting.records:
            assert row.source == harness.adapter.name
            seconds = window.overlap_s(row.started_at, row.ended_at)
            found[row.raw_id, row.started_at] += seconds * (row.gpu_milli or 0)
        return +found

    def test_accounting_can_be_asked_for_some_users(self, harness: Harness) -> None:
        run = harness.started()
        assert run.user is not None

        def rows(user: str) -> tuple[UsageRecord, ...]:
            end = harness.now() + timedelta(seconds=1)
            window = Window(end - timedelta(hours=1), end)
            return harness.adapter.accounting(window, users=(user,)).records

        user = run.user
        harness.until(lambda: run.native_id in {r.native_id for r in rows(user)}, "it is counted")
        assert {r.user for r in rows(user)} == {user}
        assert rows("nobody") == ()

    def test_the_books_tell_each_try_once(self, harness: Harness) -> None:
        books = harness.adapter
        assert isinstance(books, Bookkeeper)
        run = harness.started()
        harness.drive(30)

        def tries(records: Iterable[UsageRecord]) -> Counter[tuple[object, ...]]:
            return Counter((r.raw_id, r.submitted_at, r.started_at, r.nodes) for r in records)

        def agree() -> bool:
            # on a shared lab other runs begin and end between two questions
            window = Window(harness.now() - timedelta(hours=6), harness.now())
            parts = list(books.usage(window))
            assert all(window.start <= p.window.start <= p.window.end <= window.end for p in parts)
            assert not any(p.rejects for p in parts)
            told = tries(r for part in parts for r in part.records)
            assert set(told.values()) <= {1}
            ours = {r.native_id for part in parts for r in part.records if r.user == run.user}
            return run.native_id in ours and told == tries(
                harness.adapter.accounting(window).records
            )

        harness.until(agree, "the parts are the whole, and our run is in it")

    def test_the_books_say_what_a_run_holds_and_who_pays(self, harness: Harness) -> None:
        books = harness.adapter
        assert isinstance(books, Bookkeeper)
        run = harness.started()
        assert run.user is not None
        found: list[UsageRecord] = []

        def counted() -> bool:
            window = Window(harness.now() - timedelta(hours=1), harness.now())
            parts = books.usage(window, users=(run.user or "",))
            found[:] = [r for p in parts for r in p.records if r.native_id == run.native_id]
            return bool(found)

        harness.drive(30)
        harness.until(counted, "the run is counted")
        (record,) = found
        assert record.gpus is not None
        assert [(h.count, h.milli, h.billed_milli, h.share) for h in record.gpus] == [
            (1, 1000, 1000, Share.WHOLE)
        ]
        assert record.doubt is None
        accounts = {a.name: a for a in books.accounts()}
        assert (record.account or record.queue) in accounts
        assert all(a.parent is None or a.parent in accounts for a in accounts.values())
        assert all((a.quota_gpu_milli or 0) >= 0 for a in accounts.values())

    def test_the_sources_own_totals_lie_within_the_window(self, harness: Harness) -> None:
        books = harness.adapter
        assert isinstance(books, Bookkeeper)
        harness.started()
        end = harness.now()
        window = Window(end - timedelta(hours=5, minutes=20), end)
        totals = books.own_totals(window)
        assert books.own_totals(Window(end, end)) is None
        if totals is not None:
            assert window.start <= totals.window.start < totals.window.end <= window.end
            assert totals.by
            assert totals.gpu_s.keys() <= {a.name for a in books.accounts()}
            assert all(gpu_s >= 0 for gpu_s in totals.gpu_s.values())
