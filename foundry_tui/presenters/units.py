"""Values as short text with their unit. An unknown value is `—`, never 0."""

from __future__ import annotations

from datetime import UTC, datetime

from foundry_tui.estate.text import SafeText

UNKNOWN = SafeText("—")
"""Stands where a value is not known."""


def gpus(milli: int | None) -> SafeText:
    """Thousandths of a GPU as GPUs: `8`, `3.5`, `0.25`."""
    if milli is None:
        return UNKNOWN
    whole, rest = divmod(abs(milli), 1000)
    sign = "-" if milli < 0 else ""
    return SafeText(f"{sign}{whole}.{rest:03}".rstrip("0") if rest else f"{sign}{whole}")


def size(size_bytes: int | None) -> SafeText:
    """Bytes, 1024-based, to about two digits: `512M`, `1.5T`, `250G`."""
    if size_bytes is None:
        return UNKNOWN
    amount = float(size_bytes)
    for unit in "BKMGTP":
        if amount < 1023.5 or unit == "P":
            break
        amount /= 1024
    digits = 1 if amount < 9.95 and amount != int(amount) else 0
    return SafeText(f"{amount:.{digits}f}".removesuffix(".0") + unit)


def duration(duration_s: float | None) -> SafeText:
    """Seconds as the two largest units: `45s`, `9m30s`, `2h05m`, `3d04h`."""
    if duration_s is None:
        return UNKNOWN
    seconds = max(0, int(duration_s))
    if seconds < 60:
        return SafeText(f"{seconds}s")
    if seconds < 3600:
        return SafeText(f"{seconds // 60}m{seconds % 60:02}s")
    if seconds < 86_400:
        return SafeText(f"{seconds // 3600}h{seconds % 3600 // 60:02}m")
    return SafeText(f"{seconds // 86_400}d{seconds % 86_400 // 3600:02}h")


def age(age_s: float | None) -> SafeText:
    """Seconds as the largest unit, for how old data is: `3s`, `12m`, `5h`, `2d`."""
    if age_s is None:
        return UNKNOWN
    seconds = max(0, int(age_s))
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= length:
            return SafeText(f"{seconds // length}{unit}")
    return SafeText(f"{seconds}s")


def percent(value_pct: float | None) -> SafeText:
    """A percentage without decimals; what is more than nothing and below one is `<1%`."""
    if value_pct is None:
        return UNKNOWN
    return SafeText("<1%" if 0 < value_pct < 1 else f"{value_pct:.0f}%")


def number(value: float | None) -> SafeText:
    """A count or a measure: `17`, `0.98`, `1234.5`."""
    if value is None:
        return UNKNOWN
    if value == int(value):
        return SafeText(str(int(value)))
    return SafeText(f"{value:.2f}".rstrip("0").rstrip("."))


def whole(value: float | None) -> SafeText:
    """A measure without decimals: watts, degrees."""
    return UNKNOWN if value is None else SafeText(f"{value:.0f}")


def gpu_hours(hours: float | None) -> SafeText:
    """GPU-hours to two digits, whole from ten on: `0.4`, `8.7`, `125`."""
    if hours is None:
        return UNKNOWN
    return SafeText(f"{hours:.1f}".removesuffix(".0") if hours < 9.95 else f"{hours:.0f}")


def when(moment: datetime | None) -> SafeText:
    """A time in UTC without its year: `11-21 02:31Z`."""
    if moment is None:
        return UNKNOWN
    return SafeText(moment.astimezone(UTC).strftime("%m-%d %H:%MZ"))


def clock(moment: datetime) -> SafeText:
    """A time of day in UTC: `14:05Z`."""
    return SafeText(moment.astimezone(UTC).strftime("%H:%MZ"))


def since_s(moment: datetime | None, now: datetime) -> float | None:
    """Seconds from `moment` to `now`, never negative; None when `moment` is unknown."""
    return None if moment is None else max(0.0, (now - moment).total_seconds())
