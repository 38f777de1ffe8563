"""When gradients that were accumulated over several batches become an update: pure counting, nothing to save or restore."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from train.data.dataset import Example
from train.data.options import BatchOptions
from train.data.sampler import epoch_counts


@dataclass(frozen=True, slots=True)
class UpdateWindows:
    """A run of `total` batches with an update after every `steps` of them, and after the last.

    `ends` are the batches at which an epoch ends that closes its window too, as accelerate's dataloaders do it for
    kohya-ss/sd-scripts: () where windows run on over the epochs.
    """

    steps: int
    total: int
    ends: tuple[int, ...] = ()

    def closes(self, done: int) -> bool:
        """Whether an update follows the batch after which `done` are done."""
        begin, _ = self._window(done - 1)
        return done == self.total or done in self.ends or (done - begin) % self.steps == 0

    def updates(self, done: int) -> int:
        """Updates in the first `done` batches; the last one may see fewer than `steps`."""
        begin, before = self._window(max(0, done - 1))
        return before + -(-(done - begin) // self.steps)

    @property
    def all_updates(self) -> int:
        return self.updates(self.total)

    def _window(self, batch: int) -> tuple[int, int]:
        """Where the epoch of a batch, counted from 0, begins, and how many updates come before it."""
        place = bisect_right(self.ends, batch)
        if not place:
            return 0, 0
        lengths = [end - begin for begin, end in zip((0, *self.ends), self.ends[:place], strict=False)]
        return self.ends[place - 1], sum(-(-length // self.steps) for length in lengths)


def accumulation_steps(options: BatchOptions, examples: Sequence[Example]) -> int:
    """Batches to an update: as given, or as many as there are buckets ("Tutorial: Lycoris/LoCon Training using Kohya_SS",
    Civitai)."""
    return options.gradient_accumulation_steps or len({example.entry.bucket for example in examples})


def update_windows(options: BatchOptions, seed: int, examples: Sequence[Example], total: int) -> UpdateWindows:
    """When the weights are updated in a run of `total` batches."""
    steps = accumulation_steps(options, examples)
    if options.accumulation_window == "run" or steps == 1:
        return UpdateWindows(steps, total)
    ends = list[int]()
    for end in accumulate(
        counted.batches for counted in epoch_counts([each.entry for each in examples], options.batch_size, seed)
    ):
        if end >= total:
            break
        ends.append(end)
    return UpdateWindows(steps, total, tuple(ends))
