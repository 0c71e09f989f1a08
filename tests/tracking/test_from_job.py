"""What a job itself puts onto its record with curl, on a server that asks for a login."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from foundry_tui.estate.recorded import ENVIRONMENT_FILE
from foundry_tui.jobs.record.prologue import lines
from foundry_tui.tracking.link import artifacts_address
from tests.lab.mlflow import MlflowLab
from tests.tracking.conftest import PASSWORD, logged_in
from tests.tracking.contract import new_word
from tests.tracking.wires import NOW, client


@pytest.mark.parametrize("known", [True, False])
def test_a_job_tells_its_environment_with_its_login(
    mlflow_login: MlflowLab, tmp_path: Path, known: bool
) -> None:
    ann = client(mlflow_login.url, logged_in("ann", PASSWORD), timeout_s=60)
    run = ann.create(new_word(), name="a", tags={}, started_at=NOW)
    address = artifacts_address(mlflow_login.url, run.artifact_uri)
    assert address is not None
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho numpy==1.2\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", "\n".join(lines())],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "TMPDIR": str(tmp_path),
            "MLFLOW_RUN_ID": run.run_id,
            "FOUNDRY_ARTIFACTS": address,
            "MLFLOW_TRACKING_USERNAME": "ann",
            "MLFLOW_TRACKING_PASSWORD": PASSWORD if known else "not-hers",
        },
        capture_output=True,  # which waits for what the job leaves behind
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, b"")
    told = ann.read_artifact(run, ENVIRONMENT_FILE, most_bytes=1 << 20)
    ann.close()
    if known:
        assert told is not None and b"numpy==1.2" in told
        assert done.stderr == b""
    else:
        assert told is None
        assert b"is not on its record" in done.stderr
