"""The form of a new run, by keys: typed, completed, estimated, agreed to, sent, opened, edited."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions import act
from foundry_tui.actions.act import Prepared
from foundry_tui.actions.errors import SourceMissing
from foundry_tui.actions.site import Options, Site, utc_now
from foundry_tui.config.model import Config, Screens
from foundry_tui.estate.run import Run
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.process import user_name
from foundry_tui.schedulers.simulated import build
from foundry_tui.tracking.ports import TrackerDown
from foundry_tui.tui import confirm
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import Confirm
from foundry_tui.tui.screens.run import RunPlace
from foundry_tui.tui.screens.submit import Submit
from foundry_tui.tui.suspending import Shell
from foundry_tui.tui.widgets.form import Send, Text
from tests.tui.estates import Stub, a_run, an_estate, live, on, screen, still, until
from tests.tui.opened import place, said, told, typed

SCRIPT = "#!/bin/sh\n#SBATCH --partition=short --time=60\nsleep 600\n"


@pytest.fixture(autouse=True)
def no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot types without a pause; that the panel waits for one is tested with the panel."""
    monkeypatch.setattr(confirm, "SILENCE_S", 0.0)


def at_once() -> Site:
    """The simulated estate as it goes on, in which nothing is held before it is sent."""
    site = still()
    sources = build(None, utc_now)
    site.schedulers = {source.name: source for source in sources}
    site.clock = sources[0].now
    site.config = replace(Config(), screens=Screens(hold_s=0.0))
    return site


def script(home: Path, text: str = SCRIPT) -> Path:
    """A batch script in the working folder."""
    path = home / "train.sh"
    path.write_text(text)
    path.chmod(0o700)
    return path


def runs(site: Site) -> set[str]:
    return {r.id for r in site.schedulers["sim-slurm"].snapshot().runs}


def value(app: Foundry, name: str) -> str:
    return place(app).query_one(f"#{name}", Text).value


def asking(app: Foundry) -> bool:
    return place(app).query_one(Confirm).asking


async def opened(app: Foundry, pilot: Pilot[int]) -> None:
    """The form, with what was last submitted in it, if there is any."""
    await pilot.press("n")
    await until(pilot, lambda: isinstance(app.place, Submit) and app.place.is_mounted)
    await pilot.pause()


async def ready(app: Foundry, pilot: Pilot[int], options: str = "") -> None:
    """The form with a script in it, at its last line."""
    await opened(app, pilot)
    await typed(pilot, "train.sh")
    await pilot.press("enter")
    await typed(pilot, options)
    await pilot.press("enter", "enter")
    await until(pilot, lambda: "--parsable" in screen(app))


async def agreed(app: Foundry, pilot: Pilot[int]) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: asking(app))
    await pilot.press("y")


async def submitted(app: Foundry, pilot: Pilot[int]) -> None:
    """The page of the run, whole."""

    def there() -> bool:
        return (
            isinstance(app.place, RunPlace) and app.place.is_mounted and "asks for" in screen(app)
        )

    await until(pilot, lambda: there() and said(app).startswith("submitted "))


def test_a_script_is_submitted_and_its_run_opened(home: Path) -> None:
    script(home)
    site = at_once()
    before = runs(site)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot, "--job-name=hello")
        assert "--job-name=hello" in screen(app)
        assert "#SBATCH --partition=short" in screen(app)
        await until(pilot, lambda: "estimate: starts" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: asking(app))
        assert "type y to submit it" in said(app)
        await pilot.press("enter", "space")
        assert asking(app)
        assert runs(site) == before
        await pilot.press("y")
        await submitted(app, pilot)
        (new,) = runs(site) - before
        assert said(app) == f"submitted {new}"
        await until(pilot, lambda: "hello" in screen(app))
        assert [type(s).__name__ for s in app.screen_stack][-2:] == ["Overview", "RunPlace"]
        await pilot.press("L")
        await until(pilot, lambda: "--parsable" in screen(app))
        assert "1 sent" in screen(app)
        assert "= done, after" in screen(app) or "= accepted, after" in screen(app)

    on(site, test)


def test_a_job_spec_is_rendered_as_it_is_typed_and_submitted(home: Path) -> None:
    (home / "job.yaml").write_text(
        "name: hello\ncommand: |\n  sleep 600\nqueue: {slurm: short, runai: vision}\n"
        "gpus: 1\ntime_limit: 1h\npreemptible: true\n"
    )
    site = at_once()
    before = runs(site)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await typed(pilot, "job.yaml")
        await until(pilot, lambda: "--job-name=hello" in screen(app))
        assert "--partition=short" in screen(app)
        assert "preemptible: on Slurm" in screen(app)
        assert "sleep 600" in screen(app)
        await pilot.press("up", "right")
        await until(pilot, lambda: "POST /api/v1/workloads/trainings" in screen(app))
        assert "time_limit: Run:ai knows none" in screen(app)
        await pilot.press("left", "enter", "enter")
        await typed(pilot, "--gres=gpu:1")
        await until(pilot, lambda: "beside a job spec" in screen(app))
        await pilot.press("ctrl+u", "enter", "enter")
        await until(pilot, lambda: "--job-name=hello" in screen(app))
        await agreed(app, pilot)
        await submitted(app, pilot)
        (new,) = runs(site) - before
        assert said(app) == f"submitted {new}"

    on(site, test, size=(80, 30))


def test_what_fails_in_the_preflight_is_said_and_nothing_is_sent(home: Path) -> None:
    (home / "job.yaml").write_text(
        "name: hello\ncommand: sleep 600\nqueue: short\npreflight: [[sh, -c, echo dirty; exit 3]]\n"
    )
    site = at_once()
    before = runs(site)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await typed(pilot, "job.yaml")
        await until(pilot, lambda: "--job-name=hello" in screen(app))
        await pilot.press("enter", "enter", "enter")
        await agreed(app, pilot)
        await until(pilot, lambda: "nothing was sent" in said(app))
        assert "exit code 3; its last lines: dirty" in said(app)
        assert isinstance(app.place, Submit), "the form stays, to be mended"
        assert runs(site) == before

    on(site, test)


def test_escape_at_the_question_sends_nothing(home: Path) -> None:
    script(home)
    site = at_once()
    before = runs(site)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: asking(app))
        await pilot.press("escape")
        assert not asking(app)
        assert isinstance(app.focused, Send)
        await pilot.press("escape")
        assert not isinstance(app.place, Submit)
        assert runs(site) == before

    on(site, test)


def test_a_path_is_completed_as_it_is_typed(home: Path) -> None:
    script(home)
    (home / "trial.sh").write_text(SCRIPT)
    (home / "sub").mkdir()
    (home / "sub/deep.sh").write_text(SCRIPT)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await typed(pilot, "t")
        await until(pilot, lambda: [t.strip() for t in told(app)[1:]] == ["train.sh", "trial.sh"])
        await pilot.press("tab")
        await until(pilot, lambda: value(app, "script") == "tr")
        await typed(pilot, "a")
        await pilot.press("tab")
        await until(pilot, lambda: value(app, "script") == "train.sh")
        await until(pilot, lambda: told(app) == ())
        await pilot.press("tab")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "options")
        await pilot.press("up", "ctrl+u")
        await typed(pilot, "s")
        await pilot.press("tab")
        await until(pilot, lambda: value(app, "script") == "sub/")
        await pilot.press("tab")
        await until(pilot, lambda: value(app, "script") == "sub/deep.sh")
        await typed(pilot, "x")
        await pilot.press("tab")
        await until(pilot, lambda: "nothing there is called" in said(app))

    on(still(), test)


def test_escape_hides_the_paths_before_it_leaves(home: Path) -> None:
    script(home)
    (home / "trial.sh").write_text(SCRIPT)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await typed(pilot, "t")
        await until(pilot, lambda: bool(told(app)))
        await pilot.press("escape")
        assert told(app) == ()
        assert isinstance(app.place, Submit)
        await pilot.press("escape")
        assert not isinstance(app.place, Submit)

    on(still(), test)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "does not exist"),
        ("", "has no `#!`"),
        ("echo\n", "has no `#!`"),
    ],
)
def test_what_is_no_script_is_refused_before_it_is_sent(
    home: Path, text: str | None, why: str
) -> None:
    if text is not None:
        script(home, text)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await typed(pilot, "train.sh")
        await until(pilot, lambda: why in screen(app))
        await pilot.press("enter", "enter", "enter", "enter")
        await until(pilot, lambda: why in said(app) or asking(app))
        await pilot.press("y")
        assert not app.sender.told

    on(at_once(), test)


def test_what_the_scheduler_would_refuse_is_told_by_its_estimate(home: Path) -> None:
    script(home)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot, "--partition=nowhere")
        await until(pilot, lambda: "it would not start: Invalid partition" in screen(app))

    on(still(), test)


def test_a_source_that_plans_no_starts_is_estimated_from_the_lists(home: Path) -> None:
    script(home)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("up", "right", "enter")
        await typed(pilot, "train.sh")
        await pilot.press("enter")
        await typed(pilot, "--project=vision --gpu-devices-request=8 --workers=30")
        await until(pilot, lambda: "estimate: it can never start: all 30 pods" in screen(app))

    on(still(), test, size=(200, 50))


def test_a_quote_that_is_open_names_its_line(home: Path) -> None:
    script(home)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await typed(pilot, "train.sh")
        await pilot.press("enter", "quotation_mark")
        await until(pilot, lambda: "options: No closing quotation" in screen(app))

    on(still(), test)


def test_another_source_spells_it_out_in_its_own_words(home: Path) -> None:
    script(home)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot)
        await pilot.press("up", "up", "up", "up", "right")
        await until(pilot, lambda: "to sim-runai" in screen(app) and "POST" in screen(app))
        await pilot.press("left")
        await until(pilot, lambda: "to sim-slurm" in screen(app))

    on(still(), test, size=(200, 50))


def test_without_a_tracking_server_it_is_sent_unlinked_only_when_told_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(home)
    site = at_once()
    tracker = site.tracker
    assert tracker is not None
    create = tracker.create

    def down(experiment: str, *, name: str, **given: Any) -> TrackedRun:
        if name == "train.sh":
            raise TrackerDown("a run", "no answer within 5 s")
        return create(experiment, name=name, **given)

    monkeypatch.setattr(tracker, "create", down)
    before = runs(site)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot)
        assert "MLFLOW_RUN_ID" in screen(app)
        await agreed(app, pilot)
        await until(pilot, lambda: "type unlinked" in said(app))
        await until(pilot, lambda: "no answer within 5 s" in screen(app))
        assert runs(site) == before
        await pilot.press("y", "escape")
        assert runs(site) == before
        await agreed(app, pilot)
        await until(pilot, lambda: "type unlinked" in said(app))
        await typed(pilot, "unlinked")
        await submitted(app, pilot)
        assert len(runs(site) - before) == 1
        last = app.log_of_commands.entries[-1]
        assert "MLFLOW" not in last.command

    on(site, test)


def test_an_earlier_try_that_may_have_arrived_is_asked_about(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(home)
    site = at_once()
    before = runs(site)

    def unclear(site: Site, prepared: Prepared) -> None:
        raise SourceMissing("an earlier try of this submit (c-1) may have reached sim-slurm")

    monkeypatch.setattr(act, "first_try", unclear)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot)
        await agreed(app, pilot)
        await until(pilot, lambda: "type new" in said(app))
        await until(pilot, lambda: "an earlier try" in screen(app))
        assert runs(site) == before
        await typed(pilot, "new")
        await submitted(app, pilot)
        assert len(runs(site) - before) == 1

    on(site, test)


def test_it_can_be_taken_back_while_it_is_held(home: Path) -> None:
    script(home)
    site = still()
    before = runs(site)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot)
        await agreed(app, pilot)
        await until(pilot, lambda: "submit train.sh" in app.sender.told)
        await pilot.press("u")
        assert "not sent: submit train.sh" in said(app)
        assert not app.sender.told
        assert runs(site) == before

    on(site, test)


def test_the_script_is_sent_as_it_is_when_it_is_asked_about(home: Path) -> None:
    path = script(home)
    site = at_once()

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot)
        path.write_text("no script any more")
        await pilot.press("enter")
        await until(pilot, lambda: asking(app))
        assert "has no `#!`" in screen(app)
        await pilot.press("y")
        assert not app.sender.told

    on(site, test)


def test_the_last_values_are_offered_again(home: Path) -> None:
    script(home)
    site = at_once()

    async def first(app: Foundry, pilot: Pilot[int]) -> None:
        await ready(app, pilot, "--mem=4G")
        await agreed(app, pilot)
        await submitted(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: value(app, "options") == "--mem=4G")

    async def second(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await until(pilot, lambda: value(app, "script") == "train.sh")
        assert value(app, "options") == "--mem=4G"

    on(site, first)
    (kept,) = site.state.glob("last-submit.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    on(at_once(), second)
    kept.write_text("{")

    async def third(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        assert value(app, "script") == ""

    on(at_once(), third)


def test_read_only_has_no_form(home: Path) -> None:
    site = still()
    site.options = Options(demo=True, read_only=True)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("n")
        assert "read-only" in said(app)
        assert not isinstance(app.place, Submit)

    on(site, test)


def test_in_a_small_window_the_form_stands(home: Path) -> None:
    script(home)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await typed(pilot, "train.sh")
        assert "train.sh" in screen(app)

    on(still(), test, size=(40, 12))


# -- the terminal given away


@contextmanager
def given_away() -> Iterator[None]:
    """A pilot has no terminal to give away."""
    yield


def an_editor(home: Path, body: str) -> Path:
    path = home / "my editor"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


def test_the_script_is_opened_in_the_editor_and_looked_at_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script(home)
    editor = an_editor(home, 'printf "%s\\n" "$#" "$1" > seen; echo "# edited" >> "$2"; exit 3')
    monkeypatch.setenv("VISUAL", f"'{editor}' --wait")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        monkeypatch.setattr(app, "suspend", given_away)
        await ready(app, pilot)
        await pilot.press("E")
        assert (home / "seen").read_text() == "2\n--wait\n"
        assert path.read_text().endswith("# edited\n")
        assert said(app) == "the editor ended with 3"
        await until(pilot, lambda: "# edited" in screen(app))
        await pilot.press("up", "f4")
        assert path.read_text().count("# edited") == 2

    on(still(), test)


def test_an_editor_that_is_missing_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(home)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "/nowhere/edit")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await opened(app, pilot)
        await pilot.press("f4")
        assert said(app) == "edit: script: there is no path to open"
        await typed(pilot, "train.sh")
        await pilot.press("f4")
        assert "terminal cannot be given away" in said(app)
        monkeypatch.setattr(app, "suspend", given_away)
        await pilot.press("f4")
        assert said(app) == "edit: /nowhere/edit is no program that can be run"

    on(still(), test)


# -- a shell in a run


def test_a_simulated_run_has_no_shell_and_says_why(home: Path) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "S")
        await until(pilot, lambda: "simulated: there is no machine" in said(app))

    on(still(), test)


def shell_site() -> Site:
    mine = a_run(7, user=user_name())
    return live(Stub(an_estate([mine])))


def test_a_shell_is_agreed_to_and_its_exit_code_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foundry_tui.actions import shell

    def argv(site: Site, run: Run) -> tuple[str, ...]:
        return ("/bin/sh", "-c", f"echo {run.native_id} > shell; exit 7")

    monkeypatch.setattr(shell, "argv", argv)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        monkeypatch.setattr(app, "suspend", given_away)
        await pilot.press("2", "S")
        await until(pilot, lambda: asking(app))
        assert "/bin/sh -c 'echo 7" in screen(app)
        await pilot.press("enter")
        assert not (home / "shell").exists()
        await pilot.press("y")
        await until(pilot, lambda: said(app) == "the shell in 7 ended with 7")
        assert (home / "shell").read_text() == "7\n"
        (entry,) = app.log_of_commands.entries
        assert (entry.answer, entry.good) == ("ended with 7", False)
        assert isinstance(app.place, Shell)

    on(shell_site(), test)


def test_a_source_without_shells_says_so(home: Path) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "S")
        await until(pilot, lambda: "lab gives no shells" in said(app))

    on(shell_site(), test)
