"""The panel below the form of a new run."""

from __future__ import annotations

from foundry_tui.jobs.record.prologue import lines
from foundry_tui.presenters.draft import HEAD_LINES, script_lines


def shown(script: str) -> list[str]:
    return [
        "".join(words for words, _ in line).strip()
        for line in script_lines(script.encode(), "x", lines())
    ]


def test_the_lines_for_the_record_do_not_hide_the_program() -> None:
    own = "\n".join(lines())
    assert len(own.splitlines()) > HEAD_LINES
    found = shown(f"#!/bin/sh\n#SBATCH --mem=1G\n\n{own}\n\nexec python train.py\n")
    count = len(own.splitlines())
    assert found[2:] == [
        "#!/bin/sh",
        "#SBATCH --mem=1G",
        f"# {count} lines that tell the record what it runs in",
        "exec python train.py",
    ]


def test_any_other_script_is_shown_as_it_is() -> None:
    assert shown("#!/bin/sh\n\ndate\n")[2:] == ["#!/bin/sh", "", "date"]
    long = shown("".join(f"echo {n}\n" for n in range(HEAD_LINES + 5)))
    assert long[-1] == "and 5 more lines"
