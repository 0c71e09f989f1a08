"""A tracking server that goes away in the middle of a submit, and in the middle of a sync."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry
from tests.stories.test_tracking import ARGS, items, record, submitted

Script = Callable[..., str]


class Going:
    """A way to the server that ends behind the answer to a request whose path ends so."""

    def __init__(self, url: str) -> None:
        self.behind: str | None = None
        self.down = threading.Event()
        going = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.pass_on(None)

            def do_POST(self) -> None:
                self.pass_on(self.rfile.read(int(self.headers["Content-Length"])))

            do_PUT = do_POST

            def pass_on(self, body: bytes | None) -> None:
                if going.down.is_set():
                    self.close_connection = True
                    return
                kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                asked = urllib.request.Request(url + self.path, body, kind, method=self.command)
                try:
                    with urllib.request.urlopen(asked, timeout=30) as answer:
                        code, data = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    code, data = error.code, error.read()
                if going.behind is not None and self.path.endswith(going.behind):
                    going.down.set()
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def back(self) -> None:
        """The server is there again."""
        self.behind = None
        self.down.clear()


@pytest.fixture
def going(on_lab: Foundry, mlflow_server: MlflowLab) -> Iterator[Going]:
    made = Going(mlflow_server.url)
    on_lab.env["MLFLOW_TRACKING_URI"] = made.url
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_in_the_middle_of_a_submit(
    lab: SlurmLab, on_lab: Foundry, mlflow_server: MlflowLab, script: Script, going: Going
) -> None:
    going.behind = "runs/update"
    job, run_id = submitted(on_lab, script())
    lab.wait(job, "RUNNING")
    info, tags = record(mlflow_server, run_id)
    assert info["status"] == "SCHEDULED"
    assert "foundry.slurm.job_id" not in tags
    assert on_lab("sync").code == 3
    going.back()
    (item,) = items(on_lab)
    assert (item["run"], item["after"]) == (f"lab/{job}", "RUNNING")
    info, tags = record(mlflow_server, run_id)
    assert (info["status"], tags["foundry.slurm.job_id"]) == ("RUNNING", job)


def test_in_the_middle_of_a_sync(
    lab: SlurmLab, on_lab: Foundry, mlflow_server: MlflowLab, script: Script, going: Going
) -> None:
    made = [submitted(on_lab, script(f"exit {n}", name=f"job{n}.sh"), *ARGS) for n in range(3)]
    for number, (job, _) in enumerate(made):
        lab.wait(job, "FAILED" if number else "COMPLETED")
    going.behind = "runs/update"
    answer = on_lab("sync")
    assert answer.code == 3, answer
    going.back()
    left = {item["mlflow_run_id"] for item in items(on_lab)}
    assert len(left) >= 2
    statuses = [record(mlflow_server, run_id)[0]["status"] for _, run_id in made]
    assert statuses == ["FINISHED", "FAILED", "FAILED"]
    assert items(on_lab) == []
