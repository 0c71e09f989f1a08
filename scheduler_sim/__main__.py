"""`python -m scheduler_sim`."""

import sys

from scheduler_sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
