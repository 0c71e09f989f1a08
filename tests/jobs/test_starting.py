"""The templates: read as specs, rendered for every scheduler, and their programs run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.jobs.program import Program
from foundry_tui.jobs.reading import load
from foundry_tui.jobs.render import KINDS, render
from foundry_tui.jobs.spec import Launcher
from foundry_tui.jobs.starting import TEMPLATES, Fit, files
from foundry_tui.jobs.target import Target

FIT = Fit(queue="short", contained=True)
LAUNCHERS = {"ddp": Launcher.TORCHRUN, "fsdp": Launcher.TORCHRUN, "deepspeed": Launcher.DEEPSPEED}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_can_be_rendered_for_every_scheduler(template: str) -> None:
    made = dict(files(template, FIT))
    for name in (n for n in made if n.endswith(".yaml")):
        spec = load(name, made[name].encode())
        assert spec.launcher is LAUNCHERS.get(template, Launcher.NONE)
        assert spec.queue.everywhere == "short"
        assert spec.file is None or spec.file in made
        data = (made[spec.file] if spec.file else spec.script or "").encode()
        program = Program(f"/home/ann/{spec.file or name}", data, inline=spec.file is None)
        config = spec.deepspeed_config
        for kind in KINDS if template != "pipeline" else ():
            render(
                spec,
                Target(source=kind, kind=kind),
                program,
                work_dir="/home/ann",
                deepspeed=made[config].encode() if config else None,
            )


@pytest.mark.parametrize("template", TEMPLATES)
def test_programs_are_python_and_nothing_is_left_to_be_filled_in(template: str) -> None:
    for name, text in files(template, FIT):
        assert not any(line.startswith(("@", "# include:")) for line in text.splitlines())
        assert all(len(line) <= 100 for line in text.splitlines())
        if name.endswith(".py"):
            compile(text, name, "exec")
            assert "def log(metrics, step):" in text


def test_queue_account_and_image_are_those_of_the_site() -> None:
    on_slurm = dict(files("single", Fit(queue="no", accounts=("a", "b"), contained=False)))
    lines = on_slurm["foundry.yaml"].splitlines()
    assert 'queue: "no"' in lines
    assert "# account: NAME  # one of a, b" in lines
    assert "# image: python:3.12-slim" in lines
    unknown = dict(files("single", Fit(queues=("x", "y"))))["foundry.yaml"].splitlines()
    assert "# queue: NAME  # one of x, y" in unknown
    assert "# account: NAME" in unknown
    assert "image: python:3.12-slim" in unknown


def test_no_such_template() -> None:
    with pytest.raises(KeyError):
        files("common", FIT)


def run_in(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_the_first_program_trains_resumes_and_logs(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append({"path": self.path, "auth": self.headers["Authorization"]})
            seen[-1].update(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    (tmp_path / "train.py").write_text(dict(files("single", FIT))["train.py"])
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            first = run_in(
                tmp_path,
                "train.py",
                MLFLOW_TRACKING_URI=f"http://127.0.0.1:{server.server_port}",
                MLFLOW_RUN_ID="abc",
                MLFLOW_TRACKING_TOKEN="secret",
                FOUNDRY_PARAM_EPOCHS="3",
                FOUNDRY_CHECKPOINT=str(tmp_path / "kept"),
            )
        finally:
            server.shutdown()
            thread.join()
    assert [s["metrics"][0]["step"] for s in seen] == [0, 1, 2]
    assert {(s["path"], s["run_id"], s["auth"]) for s in seen} == {
        ("/api/2.0/mlflow/runs/log-batch", "abc", "Bearer secret")
    }
    losses = [s["metrics"][0]["value"] for s in seen]
    assert losses == sorted(losses, reverse=True)
    assert first.stdout.count("epoch") == 3
    again = run_in(
        tmp_path,
        "train.py",
        FOUNDRY_PARAM_EPOCHS="5",
        FOUNDRY_CHECKPOINT=str(tmp_path / "kept"),
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        MLFLOW_RUN_ID="abc",
    )
    assert [line.split()[1] for line in again.stdout.splitlines()[:2]] == ["3:", "4:"]
    assert again.stderr.startswith("not logged: ")


def test_the_steps_of_the_pipeline_follow_each_other(tmp_path: Path) -> None:
    made = dict(files("pipeline", FIT))
    (tmp_path / "pipeline.py").write_text(made["pipeline.py"])
    before: str | None = None
    for name in sorted(n for n in made if n.endswith(".yaml")):
        spec = load(name, made[name].encode())
        assert spec.needs == ((before,) if before else ())
        words = (spec.script or "").split()
        assert words[0] == "python3"
        done = run_in(tmp_path, *words[1:])
        before = spec.name
    assert float(done.stdout.split()[2]) < 0.1
