"""The loss of every image of a set over a grid of timesteps and noise samples, without and with an adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from train.adapters.adapter import Adapter
from train.data.dataset import Example
from train.data.options import CaptionOptions
from train.evaluation.outliers import ImageLoss
from train.evaluation.validation import Evaluator, Grid, evaluating, plain_caption

ProgressCallback = Callable[[str, int, int], None]


def losses_per_image(
    evaluator: Evaluator,
    adapter: Adapter | None,
    examples: Sequence[Example],
    captions: CaptionOptions,
    grid: Grid,
    progress: ProgressCallback,
) -> tuple[ImageLoss, ...]:
    """The mean loss of every image over the grid, in the order given: plain mean squares, with the same noise without the
    adapter and with it.

    The adapter must be attached; its strength is 1 afterwards.

    Raises:
        PrepError: a loss is not finite; the images are named.
    """
    base, texts = evaluator.base, [plain_caption(example, captions) for example in examples]

    def losses(what: str) -> list[float]:
        found = evaluator.losses(examples, texts, grid, lambda done, total: progress(what, done, total))
        return [float(loss) for loss in found.double().mean((1, 2))]

    keys = [example.entry.key for example in examples]
    if adapter is None:
        with evaluating(base.unet, *base.text_encoders):
            return tuple(map(ImageLoss, keys, losses("evaluating the base model")))
    try:
        with evaluating(base.unet, *base.text_encoders, adapter):
            adapter.set_strength(0.0)
            without = losses("evaluating the base model")
            adapter.set_strength(1.0)
            return tuple(map(ImageLoss, keys, without, losses("evaluating the adapter")))
    finally:
        adapter.set_strength(1.0)
