"""The parts of the noise schedule by which losses are told apart. No torch here."""

from __future__ import annotations

BANDS = ("0-250", "250-500", "500-750", "750-1000")
"""Four equal parts of the 1000 timesteps, from nearly clean to nearly pure noise."""


def band_of(time: int, timesteps: int) -> str:
    """The name of the band that a timestep lies in: with 1000 of them, 300 is in 250-500."""
    return BANDS[time * len(BANDS) // timesteps]
