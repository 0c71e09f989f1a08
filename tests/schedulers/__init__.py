"""Tests of the scheduler adapters."""

import pytest

# Their assertions are shared by several test files, and should explain themselves as well.
pytest.register_assert_rewrite("tests.schedulers.consistency", "tests.schedulers.contract")
