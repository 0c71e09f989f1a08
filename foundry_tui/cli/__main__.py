"""`python -m foundry_tui.cli`."""

import sys

from foundry_tui.cli import main

sys.exit(main())
