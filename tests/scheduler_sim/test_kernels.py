"""The door to numba: open, shut by the environment, and where nothing can be kept on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from scheduler_sim import kernels


def doubled(x: int) -> int:
    return 2 * x


def test_without_numba_a_function_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_NUMBA", None)
    assert kernels.jit(doubled) is doubled


def test_the_environment_shuts_the_door() -> None:
    program = (
        "from scheduler_sim import kernels; import sys; print(kernels.FAST, 'numba' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FOUNDRY_NUMBA": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.skipif(not kernels.FAST, reason="numba is not installed")
def test_with_numba_a_function_is_compiled() -> None:
    compiled: Any = kernels.jit(doubled)
    assert compiled(4) == 8
    assert compiled.signatures


def test_without_a_folder_to_keep_it_in_a_function_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Numba:
        @staticmethod
        def njit(nogil: bool, cache: bool = False) -> Callable[[Any], Any]:
            def compiling(function: Callable[[int], int]) -> Callable[[int], int]:
                if cache:
                    raise RuntimeError("cannot cache function: no locator available")
                return lambda x: function(x) + int(nogil)

            return compiling

    monkeypatch.setattr(kernels, "_NUMBA", Numba)
    assert kernels.jit(doubled)(4) == 9


@pytest.mark.skipif(not kernels.FAST, reason="numba is not installed")
def test_compiled_loops_are_kept_by_the_state_of_all_sources() -> None:
    numba = pytest.importorskip("numba")
    if "NUMBA_CACHE_DIR" not in os.environ:
        assert str(kernels._cache_dir()) == numba.config.CACHE_DIR
    assert len(kernels._cache_dir().name) == 16
