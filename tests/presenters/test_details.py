"""The detail view of a run, and what doctor says."""

from __future__ import annotations

from dataclasses import dataclass

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.details import doctor_text, run_details
from foundry_tui.presenters.page import Style
from tests.presenters.estate import NOW, RUNS


@dataclass(frozen=True)
class Found:
    what: str
    state: str
    found: SafeText
    mend: str | None = None


def test_a_running_run_in_full() -> None:
    words = {"work_dir": safe("/home/alice/x")}
    text = run_details(RUNS[0], now=NOW, style=Style(), details=words)
    assert text.split("\n") == [
        "lab/17 train-llama",
        "  state        running, ran 6h12m",
        "  user         alice",
        "  account      nlp",
        "  queue        prod",
        "  qos          normal",
        "  priority     —",
        "  asks for     6 GPUs, 48 CPUs, 256G memory",
        "  time limit   none",
        "  placement    a01:0-5",
        "  utilisation  92% of its GPUs",
        "  submitted    03-14 00:30Z",
        "  started      03-14 03:18Z",
        "",
        "In slurm's words",
        "  work_dir  /home/alice/x",
    ]


def test_a_waiting_array_tells_its_tasks_and_what_could_not_be_had() -> None:
    text = run_details(RUNS[3], now=NOW, style=Style(), missing=("slurmctld: no answer",))
    assert "pending, waited 2h00m" in text
    assert "4 GPUs for each of 40 tasks" in text
    assert "18, tasks 2-41" in text
    assert text.endswith("not known: slurmctld: no answer")


def test_a_name_cannot_drive_the_terminal() -> None:
    text = run_details(RUNS[5], now=NOW, style=Style())
    assert "\x1b" not in text
    assert "␛[2J" in text


def test_doctor_tells_state_and_mend_of_each_source() -> None:
    found = (
        Found("squeue", "found", safe("/usr/bin/squeue")),
        Found("slurmctld", "broken", safe("no answer " * 12), "systemctl restart " + "x" * 90),
    )
    text = doctor_text([("lab", "slurm", found), ("nvml", "nvml", ())], Style())
    lines = text.split("\n")
    assert lines[:2] == ["lab (slurm)", "  squeue     found   /usr/bin/squeue"]
    assert lines[2].startswith("  slurmctld  broken  no answer no answer")
    assert lines[3].startswith(" " * 21 + "no answer")
    assert lines[-1] == "nvml"
    (mend,) = [line for line in lines if "mend:" in line]
    assert mend.endswith("x" * 90), "a command that is cut cannot be copied"
    assert all(cells(SafeText(line)) <= 80 for line in lines if "mend:" not in line)


def test_doctor_colours_the_state_alone() -> None:
    found = (Found("found", "found", safe("it was found")),)
    text = doctor_text([("lab", "slurm", found)], Style(colour=True))
    assert text.split("\n")[1] == "  found  \x1b[32mfound\x1b[0m  it was found"
