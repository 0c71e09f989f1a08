"""`python -m foundry_tui.schedulers.runai.fake`: serve the fake until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys

from foundry_tui.schedulers.runai.fake.demo import fill
from foundry_tui.schedulers.runai.fake.server import FakeRunai


def main(arguments: list[str] | None = None) -> int:
    """Print the address, then serve. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m foundry_tui.schedulers.runai.fake",
        description="A fake Run:ai control plane on this machine: 6 nodes, 40 GPUs, 3 projects.",
        epilog=f"Log in with client id {FakeRunai.client_id} and secret {FakeRunai.client_secret}.",
    )
    parser.add_argument("--port", type=int, default=0, help="port; 0 (default): any free one")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how many times as fast as real time it runs"
    )
    parser.add_argument("--empty", action="store_true", help="begin without workloads")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        parser.error("--port must be 0 to 65535")
    if not 0 < options.speed <= 100_000:
        parser.error("--speed must be more than 0 and at most 100000")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with FakeRunai(port=options.port, speed=options.speed) as fake:
            if not options.empty:
                fill(fake)
            print(fake.url, flush=True)
            signal.pause()
    except KeyboardInterrupt:
        pass
    except OSError as error:
        print(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
