"""Field values: several numbers of a GPU in one call, each with a return code of its own."""

from __future__ import annotations

import math
from typing import Any

from foundry_tui.agent.nvml.driver import Code

CORRECTED, UNCORRECTED = 0, 1
VOLATILE = 0

MOVING = {"energy": 83, "mem_temp": 82, "power": 185}
"""Field values of every round (`nvmlDeviceGetFieldValues`): 185 is the mean power of 1 s."""
HEALTH = {
    "ecc_sbe": 3,
    "ecc_dbe": 4,
    "rows_correctable": 142,
    "rows_uncorrectable": 143,
    "row_pending": 144,
    "row_failure": 145,
}
"""Field values of the rounds with processes only: they move once in months."""
MILLI = {"power": 1000.0}
"""What the driver counts in thousandths."""
INSTEAD: dict[str, tuple[str, tuple[int, ...]]] = {
    "energy": ("nvmlDeviceGetTotalEnergyConsumption", ()),
    "power": ("nvmlDeviceGetPowerUsage", ()),
    "ecc_sbe": ("nvmlDeviceGetTotalEccErrors", (CORRECTED, VOLATILE)),
    "ecc_dbe": ("nvmlDeviceGetTotalEccErrors", (UNCORRECTED, VOLATILE)),
}
"""The call of its own for a field that this GPU or driver does not have in the batch."""
ROWS = ("rows_correctable", "rows_uncorrectable", "row_pending", "row_failure")
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Members of the union `nvmlValue_t` by `nvmlValueType_t`."""


def value_of(answer: Any) -> float | None:
    """A field's value by its type; None where the driver has none."""
    if answer.nvmlReturn != Code.SUCCESS or not 0 <= answer.valueType < len(_MEMBERS):
        return None
    value = float(getattr(answer.value, _MEMBERS[answer.valueType]))
    return value if math.isfinite(value) else None
