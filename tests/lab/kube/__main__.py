"""`python -m tests.lab.kube`: the lab in the foreground, to try things by hand; Ctrl-C ends it."""

import contextlib
import signal
import sys
import time
from types import FrameType

from tests.lab.kube import build
from tests.lab.kube.cluster import running
from tests.lab.plugin import new_lab_folder


def main() -> None:
    """Start, say how to reach it, wait. SIGTERM ends it like Ctrl-C, while it starts too."""
    signal.signal(signal.SIGTERM, _end)
    with contextlib.suppress(KeyboardInterrupt):
        build.build()
        started = time.monotonic()
        with running(new_lab_folder()) as lab:
            print(f"started in {time.monotonic() - started:.1f} s", file=sys.stderr)
            print(f"export KUBECONFIG={lab.kubeconfig()}")
            for user in ("alice", "bob", "viewer"):
                print(f"# {user}: {lab.kubeconfig(user)}")
            print(f"# scheduler {lab.scheduler_url}  metrics {lab.metrics_url}")
            print(
                f"# fair-share simulator {lab.fairshare_url}/simulate  logs {lab.root}/log",
                flush=True,
            )
            while True:
                signal.pause()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
