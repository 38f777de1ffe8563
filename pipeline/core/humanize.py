"""Figures as people read them."""

from __future__ import annotations


def percent(share: float) -> str:
    """0.034 → 3.4%, 0.43 → 43%; nothing that is not nothing is shown as 0%."""
    share = round(share, 6)
    if 0 < share < 0.1:
        return f"{share:.1%}" if share >= 0.0005 else "<0.1%"
    return f"{share:.0%}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 image, 2 images, 1 200 images."""
    return f"{grouped(number)} {noun if number == 1 else plural or noun + 's'}"


def grouped(number: float) -> str:
    """A whole number with its thousands set apart."""
    return f"{number:,.0f}".replace(",", "\u202f")


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "not finished"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def in_words(number: float) -> str:
    """Bytes in the unit people think in."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def in_gib(size: int) -> str:
    """Memory as cards and programs count it: "7.6 GiB", "0.24 GiB"."""
    gib = size / 2**30
    return f"{gib:.1f} GiB" if gib >= 1 else f"{gib:.2g} GiB"
