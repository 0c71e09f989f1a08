"""Verdicts as text, as the lines of a screen, as records and as rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from foundry_tui.estate.text import cells, safe
from foundry_tui.estate.verdict import Kept, RuleRecord, Verdict
from foundry_tui.presenters import csvout
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.records.verdicts import promise_record, rule_record, verdict_record
from foundry_tui.presenters.rows.verdicts import VERDICT_ROWS
from foundry_tui.presenters.verdicts import rule_lines, verdict_lines, verdict_text, verdicts_text

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERDICT = Verdict(
    plan="661e2b374414",
    applied_at=T0,
    judged_at=T0 + timedelta(minutes=9),
    closed=False,
    moves=3,
    moves_done=2,
    promises=(
        Kept(what="start", promised=90, measured=12, kept=True, unit="s", move="m1", rule="start"),
        Kept(what="node", promised="h01", measured="h02", kept=False, move="m1", rule="start"),
        Kept(what="wait_p50_s", promised=600, measured=None, kept=None, unit="s", why="3 of 8"),
        Kept(what="wait_s of user ann", promised=60.0, measured=45.0, kept=True, unit="s"),
        Kept(what="gpus_allocated", promised=31.5, measured=None, kept=None, unit="GPUs"),
    ),
)
RULES = (RuleRecord(rule="start", kept=1, decided=2),)


def test_the_list_says_what_was_kept_of_what_was_decided() -> None:
    text = verdicts_text([VERDICT], RULES, Style(width=100))
    head, row, *rest = text.splitlines()
    assert head.split() == ["PLAN", "APPLIED", "STATE", "MOVES", "KEPT", "OPEN", "BROKEN"]
    assert row.split()[-6:] == ["open", "2/3", "2/3", "2", "m1", "node"]
    assert rest[-1].split() == ["start", "1", "2", "50%"]


def test_one_plan_shows_promised_beside_measured() -> None:
    text = verdict_text(VERDICT, RULES, Style(width=120))
    assert "2 of 3 moves were carried out: 2 of 3 decided promises kept, 2 open" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["m1", "start", "starts", "within", "1m30s", "12s", "kept"] in rows
    assert ["m1", "start", "on", "nodes", "h01", "h02", "broken"] in rows
    assert ["plan", "wait", "p50", "10m00s", "—", "open", "3", "of", "8"] in rows
    assert ["plan", "wait", "of", "user", "ann", "1m00s", "45s", "kept"] in rows


def test_lines_fit_the_screen() -> None:
    for width in (40, 78):
        lines = [*verdict_lines(VERDICT, width), *rule_lines(RULES, width)]
        assert all(cells(safe("".join(t for t, _ in line))) <= width for line in lines)
    tones = {text.split(":")[0].strip(): tone for line in lines for text, tone in line}
    assert (tones["kept"], tones["broken"], tones["open"]) == ("good", "bad", "dim")


def test_records_and_csv_have_the_same_fields() -> None:
    record = verdict_record(VERDICT)
    assert (record["kept"], record["decided"], record["open"]) == (2, 3, 2)
    assert record["promises"][2]["measured"] is None
    assert list(csvout.COLUMNS["verdicts"]) == [k for k in record if k != "promises"]
    row = {"plan": VERDICT.plan, **promise_record(VERDICT.promises[0])}
    assert list(csvout.COLUMNS["promises"]) == list(row)
    assert rule_record(RULES[0])["share"] == 0.5


def test_rows_tell_a_broken_promise_without_colour() -> None:
    assert VERDICT_ROWS.glyph(VERDICT) == "x"
    assert len(VERDICT_ROWS.cells(VERDICT, T0)) == len(VERDICT_ROWS.columns)
    assert VERDICT_ROWS.get(VERDICT, T0)("broken") == "m1 node"
