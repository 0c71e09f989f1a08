"""Independent tasks on several processes, and an end that leaves none of them behind.

Workers ignore Ctrl-C: the parent ends them, and they leave by themselves where the parent was
killed. A task that fails does not end the others: its reason comes back in place of a result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn, TypeVar

from scheduler_sim.cli.errors import SimError

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no result."""

    reason: str


def cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def attempt(work: Callable[[Task], Result], task: Task) -> Result | Failure:
    """The result, or the reason why there is none; a fault of the program itself goes through."""
    try:
        return work(task)
    except (SimError, ValueError) as error:
        return Failure(str(error))
    except MemoryError:
        return Failure("the memory of this machine is not enough; try a smaller --jobs")
    except OSError as error:
        return Failure(f"{error.filename or 'input or output'}: {error.strerror or error}")


def run_all(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int | None,
    done: Callable[[Task, Result | Failure], None],
) -> None:
    """Tell `done` of each task as it ends, in any order; no processes where one job is enough.

    `work`, the tasks and the results must be picklable.

    Raises:
        SimError: a worker was killed from outside, for example for its memory.
        KeyboardInterrupt: Ctrl-C; the workers are gone then.
    """
    count = min(jobs or cores(), len(tasks))
    if count <= 1:
        for task in tasks:
            done(task, attempt(work, task))
        return
    context = multiprocessing.get_context("spawn")
    with (
        _sigterm_ends(),
        ProcessPoolExecutor(count, mp_context=context, initializer=_enlist) as executor,
    ):
        try:
            running: dict[Future[Result | Failure], Task] = {
                executor.submit(attempt, work, task): task for task in tasks
            }
            for future in as_completed(running):
                done(running[future], future.result())
        except BaseException as error:
            executor.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            if isinstance(error, BrokenProcessPool):
                raise SimError(
                    "a worker process was killed from outside, perhaps for want of memory; "
                    "try again with a smaller --jobs"
                ) from None
            raise


def _enlist() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _sigterm_ends() -> Iterator[None]:
    """While workers run, SIGTERM ends them too: the exit is an exception, not a sudden death."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
