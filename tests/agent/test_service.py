"""The agent as processes: it answers whatever becomes of the driver, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foundry_tui.agent.serving.run import once
from foundry_tui.agent.serving.supervise import Supervisor
from foundry_tui.agent.serving.watch import GRACE_S
from tests.agent.service import (
    AGENT,
    DEADLINE_S,
    GPU,
    Page,
    alive,
    environ,
    kill,
    serving,
    until,
)
from tests.lab.nvml.stub import StubHost


def run(*args: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The agent to its end."""
    return subprocess.run(
        [*AGENT, *args],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env=None if folder is None else environ(folder),
        check=False,
    )


def test_the_page_has_what_the_driver_says(host: StubHost) -> None:
    host.says("driver 580.95.05", GPU)
    with serving(host.folder, "--hostname", "gpu01") as service:
        page = service.page_with("DCGM_FI_DEV_GPU_UTIL", 37.0)
        assert page.status == 200
        assert page.value("DCGM_FI_DEV_POWER_USAGE") == 123.456
        assert page.value("DCGM_FI_DEV_FB_USED") == 1024.0
        labels = page.labels("foundry_gpu_info")[0]
        assert {"minor": "3", "Hostname": "gpu01", "UUID": "GPU-0"}.items() <= labels.items()
        assert page.value("foundry_agent_up") == 1
        assert page.value("foundry_agent_scrape_age_seconds") < GRACE_S


def test_only_the_collector_touches_the_driver(host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder) as service:
        service.page_with("DCGM_FI_DEV_GPU_UTIL")
        assert host.pids() == {service.child()}
        maps = Path(f"/proc/{service.process.pid}/maps").read_text()
        assert "libnvidia-ml" not in maps


def test_each_process_is_small(host: StubHost) -> None:
    """The budget of each is 30 MB; memory that is shared with others counts in part."""
    host.says(*[GPU.replace("GPU-0", f"GPU-{n}") for n in range(8)])
    with serving(host.folder) as service:
        service.page_with("DCGM_FI_DEV_GPU_UTIL", UUID="GPU-7")
        child = service.child()
        for pid in (service.process.pid, child):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            (pss,) = [line for line in rollup.splitlines() if line.startswith("Pss:")]
            assert int(pss.split()[1]) <= 30_000, pss


def test_other_paths_and_methods_get_nothing(host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder) as service:
        assert service.get("/-/healthy").status == 200
        for path in ("/", "/metrics/", "/etc/passwd", "/../metrics", "//metrics", "/debug/pprof"):
            assert service.get(path).status == 404
        connection = service.connect()
        connection.request("POST", "/metrics", body=b"x" * 100)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
        connection.close()


def test_gzip_and_a_connection_that_is_kept(host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder) as service:
        service.page_with("DCGM_FI_DEV_GPU_UTIL")
        connection = service.connect()
        for _ in range(3):
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.headers["Content-Encoding"] == "gzip"
            page = Page(200, gzip.decompress(body).decode())
            assert page.value("DCGM_FI_DEV_GPU_UTIL") == 37.0
        connection.close()


def test_a_gpu_that_is_lost_keeps_the_others(host: StubHost) -> None:
    host.says(GPU, GPU.replace("GPU-0", "GPU-1"), "fail 1 nvmlDeviceGetHandleByIndex_v2 15")
    with serving(host.folder) as service:
        page = service.page_with("DCGM_FI_DEV_GPU_UTIL", UUID="GPU-0")
        assert page.value("foundry_gpu_up", gpu="1") == 0
        assert page.value("foundry_gpu_up", gpu="0") == 1


def test_a_name_of_the_driver_forges_no_series(host: StubHost) -> None:
    host.says(GPU.replace("NVIDIA H100", '1"} 99 DCGM_FI_DEV_GPU_UTIL{gpu="0"} 100 \\'))
    with serving(host.folder) as service:
        page = service.page_with("DCGM_FI_DEV_GPU_UTIL")
        assert page.values("DCGM_FI_DEV_GPU_UTIL") == [37.0]


def test_a_call_that_hangs_does_not_hang_the_page(host: StubHost) -> None:
    """The values stay with their age for two windows; the child gets its one signal."""
    host.says(GPU)
    with serving(host.folder) as service:
        service.page_with("DCGM_FI_DEV_GPU_UTIL", 37.0)
        child = service.child()
        assert child is not None
        host.says(GPU, "hang nvmlDeviceGetUtilizationRates")
        page = service.page_with("foundry_agent_problem_info", problem="unresponsive")
        assert page.value("foundry_agent_up") == 0
        assert page.value("foundry_agent_scrape_age_seconds") > GRACE_S
        assert page.value("DCGM_FI_DEV_GPU_UTIL") == 37.0
        assert page.values("foundry_gpu_up") == []
        assert service.get("/-/healthy").text == "unresponsive\n"
        assert service.child() == child, "a second child was started beside the one that hangs"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(DEADLINE_S) == 0
        until(lambda: not alive(child))


def test_a_driver_that_hangs_at_once_is_told(
    host: StubHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.says("hang nvmlInitWithFlags")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(host.folder))
    supervisor = Supervisor(0.1, first_s=6.0)

    async def watch() -> list[str | None]:
        running = asyncio.ensure_future(supervisor.run())
        problems = [supervisor.known().problem]
        while problems[-1] != "unresponsive":
            await asyncio.sleep(0.05)
            problems.append(supervisor.known().problem)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return problems

    problems = asyncio.run(asyncio.wait_for(watch(), DEADLINE_S))
    assert problems[0] == "starting"
    assert set(problems) == {"starting", "unresponsive"}
    assert supervisor.known().age_s is None
    assert "within 6 s" in supervisor.known().reason


@pytest.mark.parametrize("how", ["killed", "library"])
def test_a_collector_that_crashes_is_started_again(host: StubHost, how: str) -> None:
    host.says(GPU)
    with serving(host.folder) as service:
        service.page_with("DCGM_FI_DEV_GPU_UTIL", 37.0)
        first = service.child()
        assert first is not None
        if how == "killed":
            kill(first)
        else:
            host.says(GPU, "crash nvmlDeviceGetUtilizationRates")
            until(lambda: not alive(first))
            host.says(GPU)
        assert alive(service.another_child(first))
        page = service.page_with("foundry_agent_up", 1.0)
        assert page.value("DCGM_FI_DEV_GPU_UTIL") == 37.0


@pytest.mark.parametrize("hangs", [False, True])
def test_the_collector_ends_with_whoever_started_it(host: StubHost, hangs: bool) -> None:
    host.says(GPU, *(["hang nvmlDeviceGetUtilizationRates"] if hangs else []))
    with serving(host.folder) as service:
        child = service.another_child()
        until(lambda: host.pids() == {child})
        kill(service.process.pid)
        until(lambda: not alive(child))


def test_sigterm_ends_both_quickly(host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder) as service:
        service.page_with("DCGM_FI_DEV_GPU_UTIL")
        child = service.child()
        assert child is not None
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(5.0) == 0
        until(lambda: not alive(child))
        assert "Traceback" not in service.said()


def test_once_prints_one_page(host: StubHost) -> None:
    host.says(GPU, "process 0 1 500000")
    done = run("--once", folder=host.folder)
    assert (done.returncode, done.stderr) == (0, "")
    page = Page(200, done.stdout)
    assert page.value("DCGM_FI_DEV_GPU_UTIL") == 37.0
    assert page.value("foundry_gpu_window_samples") == 2
    assert len(page.labels("foundry_gpu_job_info")) == 1


@pytest.mark.parametrize(
    ("code", "mend"), [(9, "modprobe nvidia"), (18, "reboot"), (999, "nvidia-smi")]
)
def test_once_without_a_driver_says_what_to_do(host: StubHost, code: int, mend: str) -> None:
    host.says(GPU, f"fail * nvmlInitWithFlags {code}")
    done = run("--once", folder=host.folder)
    assert done.returncode == 3
    assert mend in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert Page(200, done.stdout).value("foundry_agent_up") == 0


def test_once_without_the_library(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    done = run("--once", folder=tmp_path)
    assert done.returncode == 3
    assert "libnvidia-ml.so.1" in done.stderr


def test_once_with_a_driver_that_hangs_ends(
    host: StubHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.says("hang nvmlInitWithFlags")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(host.folder))
    _, why = asyncio.run(once("gpu01", jobs=True, first_s=0.0))
    assert why is not None
    assert "no answer within" in why


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((GPU, "fail 0 * 15"), "no GPU can be read"),
        ((GPU, "fail 0 nvmlDeviceGetHandleByIndex_v2 4"), "/dev/nvidiactl"),
        (("driver 580.95.05",), "lists no GPU"),
    ],
)
def test_once_without_a_gpu_that_can_be_read_is_no_success(
    host: StubHost, lines: tuple[str, ...], words: str
) -> None:
    host.says(*lines)
    done = run("--once", folder=host.folder)
    assert done.returncode == 3
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_once_tells_what_a_process_does_from_one_list(host: StubHost) -> None:
    """A second list half a second later has no sample, which would read as doing nothing."""
    host.says(GPU, "process 0 1 500000", "sm 0 1 73 99")
    page = Page(200, run("--once", folder=host.folder).stdout)
    assert page.value("foundry_gpu_process_sm_util") == 73.0


def test_once_is_left_by_ctrl_c_without_a_traceback(host: StubHost) -> None:
    host.says("hang nvmlInitWithFlags")
    process = subprocess.Popen(
        [*AGENT, "--once"],
        env=environ(host.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(host.pids)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (130, "", "")
    until(lambda: not any(alive(pid) for pid in host.pids()))


def test_a_file_that_cannot_be_written_is_taken_away(host: StubHost, tmp_path: Path) -> None:
    """Here by a limit on the size of files, as on a disk that is full."""
    host.says(GPU)
    folder = tmp_path / "textfiles"
    folder.mkdir()
    path = folder / "foundry.prom"
    path.write_text("foundry_agent_up 1\n")
    process = subprocess.Popen(
        ["prlimit", "--fsize=100", *AGENT, "--textfile", str(folder), "--interval", "0.1"],
        env=environ(host.folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: not path.exists())
    finally:
        process.terminate()
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert err.count("File too large; trying again") == 1
    assert list(folder.iterdir()) == []


def test_a_page_in_a_file(host: StubHost, tmp_path: Path) -> None:
    host.says(GPU, "process 0 1 500000")
    folder = tmp_path / "textfiles"
    folder.mkdir()
    done = run("--once", "--textfile", str(folder), folder=host.folder)
    assert (done.returncode, done.stdout) == (0, "")
    (path,) = folder.iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("foundry.prom", 0o644)
    page = Page(200, path.read_text())
    assert page.value("DCGM_FI_DEV_GPU_UTIL") == 37.0
    assert page.labels("foundry_gpu_job_info") == []


def test_a_file_is_kept_up_to_date_and_taken_away_at_the_end(
    host: StubHost, tmp_path: Path
) -> None:
    host.says(GPU)
    folder = tmp_path / "textfiles"
    folder.mkdir()
    path = folder / "foundry.prom"
    process = subprocess.Popen(
        [*AGENT, "--textfile", str(folder), "--interval", "0.1"], env=environ(host.folder)
    )

    def ages() -> list[float]:
        if not path.exists():
            return []
        return Page(200, path.read_text()).values("foundry_agent_time_seconds")

    try:
        first = until(ages)
        until(lambda: ages() > first)
    finally:
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--listen", "0.0.0.0:0"), "--insecure does without"),
        (("--listen", "nonsense"), "HOST:PORT"),
        (("--token-file", "/nowhere"), "--token-file /nowhere"),
        (("--textfile", "/nowhere"), "no such folder"),
        (("--interval", "0"), "0.1 to 60"),
        (("--jobs", "--insecure"), "--jobs and --insecure"),
        (("--textfile", "/tmp", "--token-file", "x"), "leave out --token-file"),
        (("--listen", f"{'a' * 70}.example:1"), "is no host name"),
        (("--tls-cert", "/nowhere"), "give both"),
        (("--what",), "--what"),
    ],
)
def test_wrong_use_is_told_in_words(args: tuple[str, ...], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_of_foundry_hands_its_options_on(host: StubHost) -> None:
    host.says(GPU)
    done = subprocess.run(
        [sys.executable, "-m", "foundry_tui.cli", "agent", "--once", "--hostname", "gpu09"],
        capture_output=True,
        text=True,
        env=environ(host.folder),
        timeout=DEADLINE_S,
        check=True,
    )
    assert Page(200, done.stdout).labels("foundry_gpu_up")[0]["Hostname"] == "gpu09"
