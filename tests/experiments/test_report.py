"""A report in one Markdown file."""

from __future__ import annotations

from markdown_it import MarkdownIt

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.experiments.compare import compare
from foundry_tui.experiments.nouns import Evidence
from foundry_tui.experiments.report import Chart, report
from tests.experiments.records import NOW, run, sided

CODE = {"mlflow.source.git.commit": "aa11", "foundry.git.dirty": "false", "mlflow.user": "ann"}


def part(text: str, title: str) -> list[str]:
    """The lines of one part of a report."""
    lines = text.splitlines()
    begin = lines.index(f"## {title}") + 1
    end = next((n for n in range(begin, len(lines)) if lines[n].startswith("## ")), len(lines))
    return [line for line in lines[begin:end] if line]


def test_two_runs() -> None:
    env = [safe("numpy==2.1"), safe("six==1"), safe("torch==2")]
    told = [Evidence(environment=tuple(env)), Evidence(environment=(*env[:2], safe("torch==3")))]
    one = run(
        1,
        name="base|line",
        params={"bs": "32", "lr": "1e-3"},
        metrics={"loss": 0.5, "foundry/gpu_hours": 8.0},
        tags=CODE,
        inputs=[("c4", "sha256:11")],
    )
    two = run(
        2,
        name="<b>wide</b>",
        params={"bs": "32", "lr": "5e-4"},
        metrics={"loss": 0.25},
        tags={**CODE, "foundry.reason": "out of memory"},
        status=TrackStatus.FAILED,
    )
    text = report(
        compare(sided(one, two, evidence=told)),
        server="http://mlflow",
        made_at=NOW,
        charts=[Chart("loss of *base*", ("⣀⣀ ``` 1", "0"))],
        notes=["sampled | thinned"],
    )
    assert part(text, "Parameters") == [
        "|  | base&#124;line | &lt;b&gt;wide&lt;/b&gt; | differs |".replace("|  |", "|   |"),
        "| --- | --- | --- | --- |",
        "| lr | 1e-3 | 5e-4 | yes |",
        "| bs | 32 | 32 |   |",
    ]
    assert part(text, "Metrics")[-1] == "| loss | 0.5 | 0.25 | yes |"
    assert part(text, "Cost")[-1] == "| foundry/gpu\\_hours | 8 | not known |   |"
    assert "| torch | 2 | 3 | yes |" in part(text, "Environment")
    assert part(text, "Environment")[0] == "2 more are alike."
    assert part(text, "Data")[-1] == "| c4 | sha256:11 | not known |   |"
    assert part(text, "Curves")[:2] == ["### loss of \\*base\\*", "````text"]
    assert "no data is recorded" in part(text, "Not known")[-1]
    again = part(text, "To reproduce")
    assert again[1:3] == [f"foundry reproduce {r.run_id}" for r in (one, two)]
    assert again[-1] == "Note: sampled &#124; thinned"
    assert "out of memory" in "".join(part(text, "Runs"))
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<b>wide" not in rendered and rendered.count("<table>") == 8


def test_one_run_has_no_column_of_differences() -> None:
    told = [Evidence(environment=(safe("numpy==2.1"),), spec={"gpus": safe("8")})]
    text = report(
        compare(sided(run(1, params={"lr": "1"}, tags=CODE), evidence=told)),
        server="http://mlflow",
        made_at=NOW,
    )
    assert text.startswith("# Run train\n")
    assert part(text, "Parameters") == ["|   | train |", "| --- | --- |", "| lr | 1 |"]
    assert part(text, "Environment")[-1] == "| numpy | 2.1 |"
    assert part(text, "Spec")[-1] == "| gpus | 8 |"
    assert "## Curves" not in text and "## Metrics" not in text
