"""How figures look on the page of the server itself."""

UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """A number of bytes: ``512 B``, ``1.4 MB``."""
    unit = 0
    while count >= 999.5 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if count >= 99.5 or not unit else f"{count:.1f} {UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """How long something took: ``0.4 ms``, ``85 ms``, ``2.4 s``."""
    if seconds is None:
        return "–"
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:,.0f} ms" if seconds < 0.9995 else f"{seconds:,.1f} s"


def amount(value: float) -> str:
    """A rate or a mean: ``0``, ``0.4``, ``12.5``, ``1,280``."""
    if not value:
        return "0"
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 0.095 else "<0.1"
