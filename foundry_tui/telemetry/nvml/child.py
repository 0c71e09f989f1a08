"""The child that talks to the NVIDIA driver for `nvml.py`: two rounds, one line of JSON, the end.

A call into NVML can hang for ever when the driver is sick, and the vendor's library can crash the
process that loaded it. So the calls happen here and `nvml.py` waits with a deadline.
"""

from __future__ import annotations

import sys
import time

from foundry_tui.agent.nvml.gpm import LEAST_S
from foundry_tui.agent.nvml.reader import Reader
from foundry_tui.agent.wire import encode


def main() -> None:
    """Print the second round: what hardware counters tell needs one before it."""
    import pynvml

    reader = Reader(pynvml)
    reader.read(time.time(), processes=False)
    if reader.counting:
        time.sleep(1.1 * LEAST_S)
    found = reader.read(time.time(), processes=True)
    reader.close()
    sys.stdout.buffer.write(encode(found))


if __name__ == "__main__":
    main()
