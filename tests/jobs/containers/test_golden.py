"""What each launcher looks like in containers. FOUNDRY_GOLDEN=1 writes the files anew, to be read.

The bodies for Run:ai are judged against its published OpenAPI document where that is at hand.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from foundry_tui.jobs.spec import Launcher
from foundry_tui.schedulers.kai import manifest
from tests.jobs.containers.made import SHAPES, cases, document, rendered
from tests.schedulers.runai.openapi import judge_request

FOLDER = Path(__file__).parents[1] / "golden"


class Readable(yaml.SafeDumper):
    """Texts of several lines as they stand, so that an eye can read them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Readable.add_representer(str, _text)


@pytest.mark.parametrize(("kind", "launcher", "shape"), cases())
def test_it_is_what_was_read_by_eye(
    kind: str, launcher: Launcher, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "user_name", lambda: "ann")
    made = rendered(replace(SHAPES[shape], launcher=launcher), kind)
    told = [*(f"# {o}" for o in made.submit.options), *(f"# {n}" for n in made.notes)]
    shown = yaml.dump(document(made, kind), Dumper=Readable, sort_keys=False, width=10_000)
    text = "\n".join(told) + "\n" + shown
    path = FOLDER / kind / f"{launcher}-{shape}.yaml"
    if os.environ.get("FOUNDRY_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(
    ("launcher", "shape"), [(launcher, shape) for kind, launcher, shape in cases() if kind != "kai"]
)
def test_run_ai_documents_such_a_body(launcher: Launcher, shape: str) -> None:
    made = document(rendered(replace(SHAPES[shape], launcher=launcher), "runai"), "runai")
    path = "distributed" if "numWorkers" in made["spec"] else "trainings"
    body = {**made, "projectId": "1", "clusterId": str(uuid.uuid4())}
    assert judge_request("POST", f"/api/v1/workloads/{path}", body) == []
