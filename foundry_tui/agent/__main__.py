"""`python -m foundry_tui.agent`, and what the archive runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the collector where the serving process asks for it, else the agent."""
    if sys.argv[1:2] == ["--collect"]:
        # the collector imports nothing of the server: each of the two stays small
        from foundry_tui.agent.collector import main as collect

        sys.exit(collect(sys.argv[2:]))
    from foundry_tui.agent.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
