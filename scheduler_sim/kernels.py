"""The one door to numba: compiled loops where it is installed, plain Python where it is not.

`FAST` says which. A caller that would be too slow in plain Python asks it and takes its numpy path
instead; both paths give the same result to the last bit. The environment variable FOUNDRY_NUMBA=0
turns numba off.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def _numba() -> Any:
    if os.environ.get("FOUNDRY_NUMBA") == "0":
        return None
    try:
        numba = importlib.import_module("numba")
    except ImportError:  # also what numba raises for a numpy it does not know
        return None
    if "NUMBA_CACHE_DIR" not in os.environ:
        numba.config.CACHE_DIR = str(_cache_dir())
    return numba


def _cache_dir() -> Path:
    """Where compiled loops are kept: a folder of their own for each state of the sources.

    numba looks only at the file of a function itself. With one folder for all, loops compiled
    before a change in another file were loaded after it, and crashed.
    """
    from platformdirs import user_cache_path

    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.rglob("*.py")):
        digest.update(f"{source.relative_to(here)}\n".encode() + source.read_bytes())
    return user_cache_path("foundry") / "numba" / digest.hexdigest()[:16]


_NUMBA = _numba()

FAST = _NUMBA is not None
"""Whether `jit` compiles."""

KEPT = _NUMBA is None or Path(_NUMBA.config.CACHE_DIR).exists()
"""Whether there was nothing to compile, or the loops had been before, when this process began."""


def jit(function: Function) -> Function:
    """The function compiled at its first call and kept on disk; the function itself without numba.

    Where no folder can be written to keep it in, it is compiled again by every process.
    """
    if _NUMBA is None:
        return function
    try:
        compiled: Function = _NUMBA.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = _NUMBA.njit(nogil=True)(function)
    return compiled
