"""The door to child processes: nothing a child does may reach its caller but bytes or an error."""

from __future__ import annotations

import errno
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from foundry_tui.process import NotFound, TimedOut, TooMuch, attach, find, run

PYTHON = sys.executable
DEADLINE_S = 10.0


def python(code: str, *args: str) -> list[str]:
    return [PYTHON, "-S", "-E", "-c", textwrap.dedent(code), *args]


def until(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true before a deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody reaps counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError as error:
        assert error.errno in (errno.ENOENT, errno.ESRCH)
        return True


def program(folder: Path, name: str, text: str = "#!/bin/sh\necho ran\n") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_output_and_exit_code_come_back_as_they_are() -> None:
    done = run(
        python("import os; os.write(1, b'a\\xff\\n'); os.write(2, b'b'); os._exit(3)"),
        timeout_s=DEADLINE_S,
    )
    assert (done.code, done.out, done.err) == (3, b"a\xff\n", b"b")
    assert done.argv[0] == PYTHON
    assert 0 < done.wall_s < DEADLINE_S


def test_a_child_that_dies_of_a_signal_has_a_negative_code() -> None:
    done = run(python("import os; os.kill(os.getpid(), 9)"), timeout_s=DEADLINE_S)
    assert done.code == -9


def test_arguments_never_meet_a_shell() -> None:
    evil = ["$(id)", "; echo hurt", "a\nb", "*", "\udcff"]
    done = run(
        python("import os, sys; os.write(1, b'|'.join(map(os.fsencode, sys.argv[1:])))", *evil),
        timeout_s=DEADLINE_S,
    )
    assert done.out == b"$(id)|; echo hurt|a\nb|*|\xff"


def test_the_deadline_ends_child_and_grandchildren(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        children = [os.getpid()]
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                children = [os.getpid()]
                break
        with open(sys.argv[1] + str(children[0]), "w"):
            pass
        time.sleep(600)
    """
    with pytest.raises(TimedOut, match=r"gave no answer within 2 s"):
        run(python(code, f"{tmp_path}/"), timeout_s=2)
    pids = [int(p.name) for p in tmp_path.iterdir()]
    assert len(pids) == 3
    assert until(lambda: all(map(gone, pids)))


def test_a_grandchild_that_holds_the_pipes_is_ended_after_its_parent(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, time
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open(sys.argv[1], "w") as file:
                file.write(str(os.getpid()))
            time.sleep(600)
    """
    with pytest.raises(TimedOut):
        run(python(code, f"{tmp_path}/pid"), timeout_s=2)
    pid = int((tmp_path / "pid").read_text())
    assert until(lambda: gone(pid))


def test_what_a_child_leaves_behind_is_ended_when_it_ends_well(tmp_path: Path) -> None:
    code = """
        import os, sys, time
        pid = os.fork()
        if pid == 0:
            os.close(1), os.close(2)
            time.sleep(600)
        os.write(1, str(pid).encode())
    """
    done = run(python(code), timeout_s=DEADLINE_S)
    assert done.code == 0
    assert until(lambda: gone(int(done.out)))


def test_a_child_that_closes_its_pipes_and_lives_on_meets_the_deadline(tmp_path: Path) -> None:
    code = """
        import os, sys, time
        with open(sys.argv[1], "w") as file:
            file.write(str(os.getpid()))
        os.close(1), os.close(2)
        time.sleep(600)
    """
    with pytest.raises(TimedOut):
        run(python(code, f"{tmp_path}/pid"), timeout_s=2)
    assert until(lambda: gone(int((tmp_path / "pid").read_text())))


def test_the_deadline_holds_for_a_child_that_never_stops_printing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("foundry_tui.process._CHUNK", 1)  # so that there is always more to read
    with pytest.raises(TimedOut):
        run(
            python("import os\nwhile True: os.write(1, b'.' * 4096)"),
            timeout_s=0.5,
            max_bytes=5_000_000,
        )


def test_a_flood_is_cut_at_the_cap() -> None:
    code = "import os\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"
    with pytest.raises(TooMuch, match="more than 1000000 bytes"):
        run(python(code), timeout_s=DEADLINE_S, max_bytes=1_000_000)


def test_output_of_exactly_the_cap_is_kept() -> None:
    done = run(python("print('x' * 999, end='')"), timeout_s=DEADLINE_S, max_bytes=999)
    assert len(done.out) == 999


def test_a_megabyte_goes_through_standard_input_and_back() -> None:
    data = bytes(range(256)) * 4096
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
    assert run(python(code), timeout_s=DEADLINE_S, stdin=data).out == data[::-1]


def test_a_child_that_does_not_read_its_input_is_no_fault() -> None:
    done = run(python("print('done')"), timeout_s=DEADLINE_S, stdin=b"x" * (1 << 20))
    assert (done.code, done.out) == (0, b"done\n")


@pytest.mark.parametrize("stdin", [None, b""])
def test_without_input_the_child_reads_the_end_at_once(stdin: bytes | None) -> None:
    done = run(
        python("import sys; print(repr(sys.stdin.read()))"), timeout_s=DEADLINE_S, stdin=stdin
    )
    assert done.out == b"''\n"


def test_a_child_sees_the_allowed_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/other.conf")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("LD_PRELOAD", "")
    done = run(
        python("import os; print(*sorted(os.environ), os.environ['SLURM_CONF'])"),
        timeout_s=DEADLINE_S,
        env={"EXTRA": "1"},
    )
    names = done.out.decode().split()
    assert {"SLURM_CONF", "/etc/slurm/other.conf", "EXTRA", "LC_ALL", "PATH"} <= set(names)
    assert not {"SLURM_JOB_ID", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD"} & set(names)


def test_a_child_runs_in_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    done = run(python("import os; print(os.getcwd())"), timeout_s=DEADLINE_S, cwd=str(tmp_path))
    assert done.out.decode().strip() == str(tmp_path.resolve())


@pytest.mark.parametrize("argv", [["foundry-no-such-program"], ["/no/such/program"], ["./here"]])
def test_a_missing_program_is_named(argv: list[str]) -> None:
    with pytest.raises(NotFound, match=argv[0]):
        run(argv, timeout_s=DEADLINE_S)


def test_what_cannot_be_run_is_not_found(tmp_path: Path) -> None:
    text = tmp_path / "notes"
    text.write_text("no program")
    text.chmod(0o755)
    for argv in ([str(tmp_path)], [str(text)], [PYTHON, "a\0b"]):
        with pytest.raises(NotFound):
            run(argv, timeout_s=DEADLINE_S)
    with pytest.raises(NotFound, match="nowhere"):
        run(python("pass"), timeout_s=DEADLINE_S, cwd=str(tmp_path / "nowhere"))


def test_relative_and_world_writable_folders_of_the_path_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = program(tmp_path / "good", "tool")
    for name, mode in (("open", 0o777), ("sticky", 0o1777)):
        program(tmp_path / name, "tool")
        (tmp_path / name).chmod(mode)
    monkeypatch.chdir(tmp_path)
    bad = f"good::.:{tmp_path}/open:{tmp_path}/sticky:{tmp_path}/missing"
    with pytest.raises(NotFound, match="no folder of it is trusted"):
        find("tool", bad)
    assert find("tool", f"{bad}:{good.parent}") == str(good)


def test_folders_of_another_user_and_of_ones_group_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(program(tmp_path / "here", "tool").parent)
    assert find("tool", path) == f"{path}/tool"
    real = Path.stat

    def seen(uid: int, mode: int) -> None:
        def stat(self: Path) -> os.stat_result:
            words = list(real(self))
            if str(self) == path:
                words[0], words[4] = 0o40000 | mode, uid
            return os.stat_result(words)

        monkeypatch.setattr(Path, "stat", stat)

    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    for uid, mode in ((0, 0o755), (0, 0o2775), (4711, 0o755)):
        seen(uid, mode)
        assert find("tool", path) == f"{path}/tool"
    for uid, mode in ((4712, 0o755), (4711, 0o775), (4711, 0o757), (0, 0o777)):
        seen(uid, mode)
        with pytest.raises(NotFound, match=f"{path}/tool is passed over, because others can"):
            find("tool", path)


def test_a_child_sees_nothing_that_no_source_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "/x")
    done = run(python("import os; print(*sorted(os.environ))"), timeout_s=DEADLINE_S)
    assert not set(done.out.decode().split()) & {
        "KUBECONFIG",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }


def test_the_child_gets_the_checked_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "open", "tool")
    (tmp_path / "open").chmod(0o777)
    program(tmp_path / "good", "wrapper", "#!/bin/sh\necho $PATH\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/open:{tmp_path}/good:/usr/bin:/bin")
    done = run(["wrapper"], timeout_s=DEADLINE_S)
    assert done.out.decode().strip() == f"{tmp_path}/good:/usr/bin:/bin"


def test_a_path_of_the_caller_is_used_and_checked(tmp_path: Path) -> None:
    program(tmp_path / "good", "tool")
    done = run(["tool"], timeout_s=DEADLINE_S, env={"PATH": f"{tmp_path}/good:/usr/bin:/bin"})
    assert done.out == b"ran\n"
    (tmp_path / "good").chmod(0o777)
    with pytest.raises(NotFound):
        run(["tool"], timeout_s=DEADLINE_S, env={"PATH": f"{tmp_path}/good"})


def test_no_descriptor_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run(python("pass"), timeout_s=DEADLINE_S, stdin=b"x")
        with pytest.raises(TimedOut):
            run(["sleep", "600"], timeout_s=0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_program_gets_the_terminal_and_its_code_is_told(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = tmp_path / "seen"
    code = """
        import os, signal, sys
        default = signal.getsignal(signal.SIGQUIT) is signal.SIG_DFL
        print(default, sys.argv[2], file=open(sys.argv[1], "w"))
        os.kill(os.getppid(), signal.SIGINT)
        sys.exit(7)
    """
    assert attach(python(code, str(seen), "a b")) == 7
    assert seen.read_text() == "True a b\n"
    assert signal.getsignal(signal.SIGINT) is before
    assert attach(python("import os; os.kill(os.getpid(), 9)")) == -9
    with pytest.raises(NotFound):
        attach(["/nowhere/edit"])


def test_who_watches_hears_every_line_while_it_is_printed_and_can_end_the_child() -> None:
    heard: list[bytes] = []
    code = "import time; print('one', flush=True); time.sleep(60)"
    pid = "import os; print(os.getpid(), flush=True); import time; time.sleep(60)"

    class Enough(Exception):
        pass

    def watch(chunk: bytes) -> None:
        heard.append(chunk)
        if b"\n" in b"".join(heard):
            raise Enough

    with pytest.raises(Enough):
        run(python(code), timeout_s=DEADLINE_S, watch=watch)
    assert b"".join(heard) == b"one\n"
    heard.clear()
    with pytest.raises(Enough):
        run(python(pid), timeout_s=DEADLINE_S, watch=watch)
    assert until(lambda: gone(int(b"".join(heard))))


def test_who_watches_is_asked_also_while_nothing_is_printed() -> None:
    asked: list[bytes] = []

    class Enough(Exception):
        pass

    def watch(chunk: bytes) -> None:
        asked.append(chunk)
        if len(asked) == 3:
            raise Enough

    with pytest.raises(Enough):
        run(python("import time; time.sleep(60)"), timeout_s=DEADLINE_S, watch=watch)
    assert asked == [b"", b"", b""]
    done = run(python("print('all')"), timeout_s=DEADLINE_S, watch=lambda _: None)
    assert done.out == b"all\n"
