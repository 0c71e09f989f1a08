"""The one door to the NVIDIA driver: calls of NVML by name, with every refusal of one kind.

The bindings (`pynvml`, from nvidia-ml-py) are handed in by the caller, because importing them takes
longer than all else here.
"""

from __future__ import annotations

from typing import Any


class Code:
    """Return codes of NVML that are treated apart (`nvmlReturn_t` of the NVML reference)."""

    SUCCESS = 0
    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    ARGUMENT_VERSION_MISMATCH = 25
    GPU_NOT_FOUND = 28
    UNKNOWN = 999


class Refused(Exception):
    """A call that did not succeed: NVML's return code, and its own words for it."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class Driver:
    """NVML through its bindings."""

    def __init__(self, nvml: Any) -> None:
        self.nvml = nvml

    def ask(self, call: str, *args: Any) -> Any:
        """The answer of the function `call`. Text that is not UTF-8 comes with backslash escapes.

        Raises:
            Refused: NVML returned another code than success, or there is no such function.
        """
        function = getattr(self.nvml, call, None)
        if function is None:
            raise Refused(Code.FUNCTION_NOT_FOUND, "not in these bindings")
        try:
            return function(*args)
        except UnicodeDecodeError as error:  # the bindings decode strictly; the bytes are in here
            return error.object.decode("utf-8", "backslashreplace")
        except self.nvml.NVMLError as error:
            raise Refused(error.value, str(error)) from None
