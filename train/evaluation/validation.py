"""The loss on a fixed grid of timesteps and noise samples, the same in every look and for every adapter.

What a step of training reports jumps about with the images, timesteps and noise it has drawn. Here all of them are
fixed, so what changes from look to look is the model alone. It is the plain mean square of the model's own target, with no
weighting of timesteps and whatever the recipe's loss is, so that runs of other recipes can be held beside each other; not
so runs with and without zero_terminal_snr, whose noise differs.

Images that are held out tell whether the adapter learns what they have in common with the others: their loss falls, and
rises again where the others are learned by heart. The loss of images that are trained on keeps falling then. Where no
image is held out it is all there is, and tells a standstill only.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from statistics import fmean

import torch
from torch import Tensor, nn

from pipeline.core.errors import PrepError
from pipeline.store.training_log import BANDS
from train.adapters.adapter import Adapter
from train.data.caption_augmentation import affixed, expand, normalized
from train.data.dataset import Example
from train.data.latent_cache import LatentCache
from train.data.options import CaptionOptions
from train.device import halving
from train.distributed.world import ALONE, World
from train.evaluation.validation_history import Scores, Split
from train.models.base import BaseModel
from train.models.options import TextOptions
from train.models.sampling.noise_schedule import noised
from train.models.sampling.seeded_noise import normal
from train.models.text.conditioning import Conditioning, Sizes, size_ids, with_sizes
from train.models.text.text_encoding import TextStates, text_conditioning, token_rows
from train.optimization.objective import target

__all__ = ["Scores", "Validation"]
TOGETHER = 8
"""Samples evaluated at once; nothing depends on it but speed and memory, which without gradients is far less than a
step's."""
Conditioned = Callable[[Sequence[str]], Conditioning]


def band_of(time: int, timesteps: int) -> str:
    """The name of the band that a timestep lies in: with 1000 of them, 300 is in 250-500."""
    return BANDS[time * len(BANDS) // timesteps]


@dataclass(frozen=True, slots=True)
class Grid:
    """`times` are the timesteps at which an image is evaluated, `noises` how many noise samples there are for each, keyed by
    `seed`, the image's content and the timestep."""

    times: tuple[int, ...]
    noise_samples: int
    seed: int


def even_grid(count: int, noise_samples: int, seed: int, timesteps: int) -> Grid:
    """`count` timesteps, the middles of equal parts: of 1000, four are 125, 375, 625, 875."""
    return Grid(tuple((2 * index + 1) * timesteps // (2 * count) for index in range(count)), noise_samples, seed)


def plain_caption(example: Example, options: CaptionOptions) -> str:
    """An image's caption with nothing shuffled or left out; of wildcards the first, of lines to draw from the first."""
    text = example.caption
    if options.caption_lines == "one":
        text = next((line for part in text.splitlines() if (line := part.strip())), "")
    if options.wildcards:
        text = expand(text, lambda parts: parts[0])
    return affixed(normalized(text, options.separators), options)


def size_conditioning(example: Example) -> Sizes:
    """SDXL's conditioning on an image's sizes."""
    image = example.image
    return size_ids(image.bucket, image.original, image.flip)


@contextlib.contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """Models in evaluation mode, and afterwards each of their modules as it was."""
    before = [(module, module.training) for model in models for module in model.modules()]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


Cell = tuple[int, int, int]
"""A sample: the image's place among the examples, the timestep's and the noise's on the grid."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """What it takes to ask the UNet: `alphas_cumprod` (T,) is alpha-bar of every timestep, `conditioned` the text encoder's side,
    `dtype` the precision of the arithmetic."""

    base: BaseModel
    latents: LatentCache
    alphas_cumprod: Tensor
    conditioned: Conditioned
    max_tokens: int
    dtype: torch.dtype = torch.float32
    world: World = ALONE
    together: int = TOGETHER

    @torch.no_grad()
    def losses(
        self,
        examples: Sequence[Example],
        captions: Sequence[str],
        grid: Grid,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Tensor:
        """(N, times, noise samples) mean square error of each sample, on the CPU; the same in every process of the team.

        Raises:
            PrepError: a loss is not finite; the images are named.
        """
        rows = [len(token_rows(self.base, [caption], self.max_tokens)[0]) for caption in captions]
        shapes = [(example.image.size, count) for example, count in zip(examples, rows, strict=True)]
        cells = sorted(
            (
                (index, time, noise)
                for index in range(len(examples))
                for time in range(len(grid.times))
                for noise in range(grid.noise_samples)
            ),
            key=lambda cell: (shapes[cell[0]], cell),
        )
        found = torch.zeros(len(examples), len(grid.times), grid.noise_samples, device=self.base.device)
        shard, done = self.world.shard(cells), 0
        with self.base.using("unet", *(() if isinstance(self.conditioned, TextStates) else ("text",))):
            if isinstance(self.conditioned, TextStates):
                self.conditioned.read_ahead([[captions[index]] for index in sorted({cell[0] for cell in shard})])
            for _, same in groupby(shard, key=lambda cell: shapes[cell[0]]):
                for whole in _parts(list(same), self.together):
                    for batch, losses in halving(
                        whole, lambda part: self._batch(part, examples, captions, grid), self.base.device, "validation"
                    ):
                        found[tuple(torch.tensor(batch).T.to(found.device))] = losses
                        done += len(batch)
                        progress(done, len(shard))
        return _finite(self.world.all_reduce_sum(found).cpu(), examples)

    def _batch(self, batch: Sequence[Cell], examples: Sequence[Example], captions: Sequence[str], grid: Grid) -> Tensor:
        """(B,) losses of samples of one shape."""
        device = self.base.device
        means = {index: self.latents.read(examples[index].image).mean for index in {cell[0] for cell in batch}}
        clean = torch.stack([means[index] for index, _, _ in batch])
        noise = torch.stack(
            [
                normal(
                    tuple(means[index].shape),
                    "validation",
                    grid.seed,
                    examples[index].image.content,
                    grid.times[time],
                    number,
                )
                for index, time, number in batch
            ]
        )
        times = torch.tensor([grid.times[time] for _, time, _ in batch]).to(device)
        clean, noise, alpha_prod = clean.to(device), noise.to(device), self.alphas_cumprod[times]
        distinct = list(dict.fromkeys(captions[index] for index, _, _ in batch))
        with torch.autocast(device.type, self.dtype, enabled=self.dtype is not torch.float32):
            read = self.conditioned(distinct)[[distinct.index(captions[index]) for index, _, _ in batch]]
            conditioning = with_sizes(read, [size_conditioning(examples[index]) for index, _, _ in batch])
            predicted = self.base.predict(noised(clean, noise, alpha_prod), times, conditioning)
        wanted = target(clean, noise, alpha_prod, self.base.prediction)
        return (predicted.float() - wanted).square().mean((1, 2, 3))


def _parts(items: Sequence[Cell], size: int) -> Iterator[Sequence[Cell]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _finite(found: Tensor, examples: Sequence[Example]) -> Tensor:
    bad = [example.entry.key for example, row in zip(examples, found, strict=True) if not bool(row.isfinite().all())]
    if bad:
        named = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        raise PrepError(
            f"the validation loss is not finite for {named}",
            'lower the learning rate, or use mixed_precision = "bf16", or check these images',
        )
    return found


def conditioner(base: BaseModel, text: TextOptions, trained: bool) -> Conditioned:
    """Captions to conditioning: of a text encoder that is not trained each is read once, else anew each time."""
    if trained:
        return partial(text_conditioning, base, clip_skip=text.clip_skip, max_tokens=text.max_tokens)
    return TextStates(base, text.clip_skip, text.max_tokens)


class Validation:
    """Looks at held-out images and at some of those trained on; calling it is one look.

    With several processes each looks at its share, and all get the same scores. The adapter must be attached, at the weights
    that would be saved.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        adapter: Adapter,
        grid: Grid,
        held: Sequence[Example],
        train_subset: Sequence[Example],
        captions: CaptionOptions,
    ) -> None:
        self._examples, self._held = [*held, *train_subset], len(held)
        self._captions = [plain_caption(example, captions) for example in self._examples]
        self._grid, self._looker = grid, evaluator
        self._timesteps = len(evaluator.alphas_cumprod)
        self._models = (evaluator.base.unet, *evaluator.base.text_encoders, adapter)

    def __call__(self) -> Scores:
        with evaluating(*self._models):
            losses = self._looker.losses(self._examples, self._captions, self._grid).double()
        held, train_subset = slice(0, self._held), slice(self._held, None)
        keys = [example.entry.key for example in self._examples]
        return Scores(
            self._side(self._examples[held], losses[held]),
            self._side(self._examples[train_subset], losses[train_subset]),
            dict(zip(keys, losses.mean((1, 2)).tolist(), strict=True)),
        )

    def _side(self, examples: Sequence[Example], losses: Tensor) -> Split | None:
        if not examples:
            return None
        concepts = defaultdict[str, list[float]](list)
        for example, loss in zip(examples, losses.mean((1, 2)).tolist(), strict=True):
            concepts[example.concept].append(loss)
        bands = defaultdict[str, list[float]](list)
        for time, loss in zip(self._grid.times, losses.mean((0, 2)).tolist(), strict=True):
            bands[band_of(time, self._timesteps)].append(loss)
        return Split(
            float(losses.mean()),
            {concept: fmean(found) for concept, found in sorted(concepts.items())},
            {band: fmean(found) for band, found in bands.items()},
        )
