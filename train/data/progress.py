"""Where a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A point of the run: after `step` batches, in or at the end of the `epoch`-th epoch (from 1; 0 before the start)."""

    step: int
    epoch: int
    ends_epoch: bool
    last: bool


START = Progress(0, 0, False, False)
