"""What one step shows the UNet: latents, noise and timesteps, each drawn for its image alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.core.seeded import rng
from train.data.augmentation import ImageView, drawn_view, reg_image_view
from train.data.batches import Batch
from train.data.caption_augmentation import StepContext, class_words_of, shown_caption, shown_reg_image
from train.data.dataset import Example
from train.data.latent_cache import LatentCache
from train.data.options import BatchOptions, CaptionOptions
from train.data.regularization import RegImage
from train.models.sampling.seeded_noise import normal
from train.models.text.conditioning import Sizes, size_ids
from train.optimization.noise import drawn_noise
from train.optimization.options import NoiseOptions

Key = tuple[str, int, int, int, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """An image shown in a step, or with `reg_image` a regularization image beside that of its example. `key` is that of its
    draws, which a regularization image may share with its image, and `time_key` that of its timestep; `index` its place
    among all samples of the step, whichever process works on it."""

    example: Example
    image: ImageView
    key: Key
    index: int
    reg_image: RegImage | None = None
    time_key: Key | None = None

    @property
    def preserved(self) -> bool:
        """Whether the base model's own prediction is to be learned."""
        return self.reg_image is not None and self.reg_image.preserved


@dataclass(frozen=True, slots=True)
class Inputs:
    """Samples of one step on the CPU: images, then the regularization images that go with them.

    `clean`, `noise` (to be predicted) and `mixed` (mixed in; the same tensor unless it is perturbed) are (B, C, h, w),
    `times` (B,).
    """

    samples: tuple[Sample, ...]
    clean: Tensor
    noise: Tensor
    mixed: Tensor
    times: Tensor

    @property
    def reg_images(self) -> int:
        """How many of the samples are regularization images."""
        return sum(sample.reg_image is not None for sample in self.samples)


def draw_inputs(
    batch: Batch,
    noise: NoiseOptions,
    seed: int,
    latents: LatentCache,
    timesteps: int,
    *,
    regularized: bool = True,
    rows: Sequence[int] | None = None,
) -> Inputs:
    """Draw a step's samples: a pure function of the batch's place in the run, its images, the options and the seed.

    Args:
        regularized: whether regularization images are shown beside their images.
        rows: which of the batch's examples to draw, all if not given; what is drawn for one does not depend on the others.
    """
    samples = samples_of(batch, seed, regularized=regularized, rows=rows)
    clean, drawn, times = [], [], []
    for sample in samples:
        latent = latents.read(sample.image)
        std = latent.std * normal(tuple(latent.mean.shape), *sample.key, sample.index, "latent")
        clean.append(latent.mean + std)
        drawn.append(drawn_noise(clean[-1], noise, *sample.key))
        times.append(int(rng(*(sample.time_key or sample.key), "timestep").integers(0, timesteps)))
    wanted = _stacked([predicted for predicted, _ in drawn])
    mixed = _stacked([fed for _, fed in drawn]) if noise.ip_noise_gamma else wanted
    return Inputs(samples, _stacked(clean), wanted, mixed, torch.tensor(times, dtype=torch.int64))


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """Of no parts a tensor without rows, for a process that has no sample in a short batch."""
    return torch.stack(list(parts)) if parts else torch.empty(0)


def samples_of(
    batch: Batch, seed: int, *, regularized: bool = True, rows: Sequence[int] | None = None
) -> tuple[Sample, ...]:
    """Which views and regularization images a step shows, those of the examples in `rows`: views are dealt,
    regularization images take turns, both by how often the example was shown before."""
    wanted = range(len(batch.examples)) if rows is None else sorted(rows)
    names = exposures_of(batch)
    images, reg_images = [], []
    index = len(batch.examples)
    for row, example in enumerate(batch.examples):
        earlier = batch.earlier[row] if batch.earlier else 0
        key = ("sample", seed, batch.epoch, batch.step, names[row])
        reg_image = example.reg_image(earlier) if regularized else None
        if reg_image is not None and reg_image.share < 1 and rng(*key, "regularized").random() >= reg_image.share:
            reg_image = None
        if row in wanted:
            view = drawn_view(example.shown(), earlier, seed, example.entry.key)
            images.append(Sample(example, view, key, row))
            if reg_image is not None:
                reg_images.append(_beside(reg_image, Sample(example, view, key, row), index))
        index += reg_image is not None
    return (*images, *reg_images)


def _beside(reg_image: RegImage, of: Sample, index: int) -> Sample:
    """A regularization image as it is shown beside its image: what is not shared is drawn by a key of its own."""
    view = of.image if reg_image.preserved else reg_image_view(reg_image.image, of.image)
    own = (*of.key[:-1], f"{of.key[-1]} beside")
    key, time_key = (of.key if reg_image.shared == "noise" else own), (None if reg_image.shared == "bucket" else of.key)
    return Sample(of.example, view, key, index, reg_image, time_key)


def exposures_of(batch: Batch) -> list[str]:
    """A name for each exposure in a batch: the image's key, and for one that stands there again also which time it is,
    so that it gets other draws."""
    keys = [example.entry.key for example in batch.examples]
    return [f"{key} again {again}" if (again := keys[:index].count(key)) else key for index, key in enumerate(keys)]


def shown_captions(samples: Sequence[Sample], batch: Batch, options: CaptionOptions, length: BatchOptions) -> list[str]:
    """Each sample's caption as it is shown in a batch of a run so long; a regularization image's by the draws of its image."""
    texts = []
    for sample in samples:
        example, reg_image = sample.example, sample.reg_image
        context = StepContext(batch.step, batch.epoch, sample.key, length)
        if reg_image is None:
            texts.append(shown_caption(example.caption, example.triggers, options, context))
        else:
            words = class_words_of(reg_image.caption, example.caption) if reg_image.matched else ()
            triggers = (*example.triggers, *words)
            texts.append(shown_reg_image(reg_image.caption, example.caption, triggers, options, context))
    return texts


def sizes_of(image: ImageView) -> Sizes:
    """SDXL's conditioning on an image's size and crop."""
    return size_ids(image.bucket, image.original, image.flip)
