"""Latents of the set's images: encoded once, kept as mean and standard deviation, found again by content and never by name."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.core.decoding.image_io import UnreadableImage, load_cropped
from pipeline.core.errors import PrepError
from train.data.augmentation import ImageView as ImageView
from train.data.color_jitter import changed
from train.data.latent_files import (
    Array,
    Damaged,
    Needed,
    file_bytes,
    latent_file,
    latent_name,
    latent_shape,
    needed,
    note_vae,
    read_latent,
    vae_label,
    write_latent,
)
from train.device import halving, on_device
from train.models.base import BaseModel

PIXELS_AT_ONCE = 1024 * 1024
"""A batch for the VAE has as many images as together have this many pixels, one where it has more than half of them; at most"""
MOST_AT_ONCE = 32
DECODERS = 4
AHEAD = 2
"""Batches that are decoded while the VAE works on one."""
HELD_BYTES = 2**30
"""Latents that were read stay in memory until they take this much."""
NAMED = 10
"""How many unreadable images an error names."""
ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Latent:
    """Mean and standard deviation of the scaled latents, each (4, h, w) float32: a sample is mean + std * noise."""

    mean: Tensor
    std: Tensor


class LatentCache:
    """SET/cache/latents: one file for each (view of an image, VAE). What is damaged is encoded again and noted in
    `repaired`, as (the image's file, why); a cache that does not write keeps what it repaired in memory.

    The VAE computes in `dtype`. In half precision some VAEs overflow, SDXL's own among them: such images are encoded
    again in float32 and noted in `overflowed`. Latents of different precisions are different files.
    """

    def __init__(
        self,
        folder: Path,
        base: BaseModel,
        dtype: torch.dtype = torch.float32,
        writes: bool = True,
        pixels_at_once: int = PIXELS_AT_ONCE,
    ) -> None:
        self._folder, self._base, self._writes, self._pixels_at_once = folder, base, writes, pixels_at_once
        self._dtype = dtype
        self._vae = vae_label(base.vae_digest, str(dtype).removeprefix("torch."))
        self._held: dict[str, Latent] = {}
        self._held_bytes = 0
        self._checked: set[str] = set()
        self.repaired: list[tuple[Path, str]] = []
        self.overflowed = 0

    def name(self, image: ImageView) -> str:
        return latent_name(image, self._vae)

    def file(self, image: ImageView) -> Path:
        return latent_file(self._folder, self.name(image))

    def shape(self, image: ImageView) -> tuple[int, int, int]:
        """(C, h, w) of an image's latent."""
        return latent_shape(image, self._base.latent_factor, self._base.vae.config.latent_channels)

    def needed(self, images: Iterable[ImageView]) -> Needed:
        """The latents of views, with those that are missing or not as long as they must be; by the sizes of files alone,
        what they hold is checked when it is first read."""
        return needed(self._folder, images, self._vae, self._base.latent_factor, self._base.vae.config.latent_channels)

    def fill(self, images: Sequence[ImageView], progress: ProgressCallback) -> None:
        """Encode what is missing of these views, as `encode` does."""
        self.encode(self.needed(images), progress)

    def encode(self, found: Needed, progress: ProgressCallback) -> None:
        """Encode what is missing, while other threads decode what comes next and write what is done.

        Raises:
            PrepError: images cannot be read, all of them named once the others are done; or the VAE makes something
                of one that is not finite.
        """
        missing = list(found.missing.values())
        self.repaired += [
            (found.missing[name].file, f"its file has {size} bytes") for name, size in found.damaged.items()
        ]
        if self._writes:
            note_vae(self._folder, self._vae, self._base.name)
        unreadable: list[UnreadableImage] = []
        done = 0
        using = self._base.using("vae") if missing else contextlib.nullcontext()
        with using, ThreadPoolExecutor(DECODERS) as decoders, ThreadPoolExecutor(1) as writer:
            writing: deque[Future[None]] = deque()
            for batch, decoding in _decoding(batches_of(missing, self._pixels_at_once), decoders):
                read = _readable(batch, decoding, unreadable)
                if read:
                    for part, (means, stds) in halving(read, self._encoded_of, self._base.device, "caching latents"):
                        writing.append(writer.submit(self._keep, [image for image, _ in part], means, stds))
                if len(writing) > 1:
                    writing.popleft().result()
                done += len(batch)
                progress("caching latents", done, len(missing))
            for future in writing:
                future.result()
        _refuse(unreadable)

    def missing_bytes(self, found: Needed) -> int:
        """What `encode` would write."""
        return sum(file_bytes(self.shape(image)) for image in found.missing.values())

    def _encoded_of(self, read: Sequence[tuple[ImageView, Array]]) -> tuple[Tensor, Tensor]:
        return self._encoded([pixels for _, pixels in read])

    @torch.no_grad()
    def _encoded(self, pixels: Sequence[Array]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of (H, W, 3) images in -1..1, each (B, C, h, w) on the device.

        Libraries treat batches of one otherwise than larger ones, and an image's latent shall not depend on which others
        are missing: a large image is always encoded alone, for its memory, and a smaller one that is left alone beside itself.
        """
        doubled = len(pixels) == 1 and not alone(pixels[0].shape[0] * pixels[0].shape[1])
        batch = torch.from_numpy(np.stack([*pixels, *pixels] if doubled else pixels)).permute(0, 3, 1, 2)
        batch = on_device(batch.contiguous(), self._base.device)
        mean, std = self._coded(batch, self._dtype)
        if self._dtype is not torch.float32:
            overflowed = ~(torch.isfinite(mean) & torch.isfinite(std)).flatten(1).all(1)
            if overflowed.any():
                mean[overflowed], std[overflowed] = self._again(batch, overflowed)
                self.overflowed += int(overflowed[: len(pixels)].sum())
        return mean[: len(pixels)], std[: len(pixels)]

    def _again(self, batch: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """In float32, for the rows marked; a lone one that is not large beside itself."""
        found = batch[rows]
        doubled = len(found) == 1 and not alone(found.shape[-2] * found.shape[-1])
        mean, std = self._coded(found.repeat(2, 1, 1, 1) if doubled else found, torch.float32)
        return mean[: len(found)], std[: len(found)]

    def _coded(self, batch: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        with torch.autocast(batch.device.type, dtype, enabled=dtype is not torch.float32):
            posterior = self._base.vae.encode(batch).latent_dist
        scale = self._base.vae.config.scaling_factor
        return posterior.mean.float() * scale, posterior.std.float() * scale

    def _keep(self, images: Sequence[ImageView], means: Tensor, stds: Tensor) -> None:
        """Write latents, the finite ones first."""
        means, stds = means.cpu(), stds.cpu()
        odd = []
        for image, mean, std in zip(images, means.numpy(), stds.numpy(), strict=True):
            if np.isfinite(mean).all() and np.isfinite(std).all():
                write_latent(self.file(image), mean, std)
            else:
                odd.append(image.file)
        if odd:
            _not_finite(odd)

    def read(self, image: ImageView) -> Latent:
        """The latent of a view, checked against its checksum when it is first read; a damaged one is encoded again.

        Raises:
            PrepError: it is damaged, and so is the image, or the VAE makes something of it that is not finite.
        """
        name = self.name(image)
        held = self._held.get(name)
        if held is not None:
            return held
        try:
            file, first = latent_file(self._folder, name), name not in self._checked
            mean, std = read_latent(file, self.shape(image), check=first)
        except Damaged as damage:
            return self._mend(name, image, str(damage))
        if first and not (np.isfinite(mean).all() and np.isfinite(std).all()):
            return self._mend(name, image, "it holds numbers that are not finite")
        self._checked.add(name)
        latent = Latent(torch.from_numpy(mean), torch.from_numpy(std))
        if self._held_bytes + 2 * mean.nbytes <= HELD_BYTES:
            self._held[name] = latent
            self._held_bytes += 2 * mean.nbytes
        return latent

    def encoded(self, image: ImageView) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of a view as the VAE makes them now, each (C, h, w) on the CPU; nothing is written.

        Raises:
            UnreadableImage: it cannot be read.
        """
        with self._base.using("vae"):
            means, stds = self._encoded([pixels_of(image)])
        return means[0].cpu(), stds[0].cpu()

    def _mend(self, name: str, image: ImageView, why: str) -> Latent:
        latent = Latent(*self.encoded(image))
        if not (torch.isfinite(latent.mean).all() and torch.isfinite(latent.std).all()):
            _not_finite([image.file])
        if self._writes:
            write_latent(latent_file(self._folder, name), latent.mean.numpy(), latent.std.numpy())
        self.repaired.append((image.file, why))
        self._held[name] = latent
        return latent

    def warnings(self) -> tuple[str, ...]:
        """What was damaged or overflowed and was made again, in words."""
        found = []
        if self.repaired:
            file, why = self.repaired[0]
            found.append(
                f"cached latents that were damaged and made again: {len(self.repaired)}, such as that of {file}: {why}"
            )
        if self.overflowed:
            found.append(
                f"images for which the VAE overflowed in {str(self._dtype).removeprefix('torch.')} and that were encoded "
                f'again in fp32: {self.overflowed}; with vae_precision = "fp32" they are encoded once'
            )
        return tuple(found)


def pixels_of(image: ImageView) -> Array:
    """(H, W, 3) float32 in -1..1: cropped to the bucket, in the view's colours, mirrored if it is."""
    pixels = np.asarray(load_cropped(image.file, image.bucket), np.float32)
    pixels = changed(pixels, image.colour) if image.colour else pixels
    return (np.ascontiguousarray(pixels[:, ::-1]) if image.flip else pixels) / np.float32(127.5) - np.float32(1)


def alone(area: int) -> bool:
    """Whether an image of so many pixels is always encoded alone."""
    return 2 * area > PIXELS_AT_ONCE


def at_once(area: int, pixels: int = PIXELS_AT_ONCE) -> int:
    """How many images of `area` pixels are encoded at once where a batch has `pixels`."""
    return 1 if alone(area) else min(MOST_AT_ONCE, max(2, pixels // area))


def batches_of(images: Sequence[ImageView], pixels: int = PIXELS_AT_ONCE) -> Iterator[list[ImageView]]:
    """Images of one size together, as many as have so many pixels."""
    for (width, height), same in groupby(sorted(images, key=lambda each: each.size), key=lambda each: each.size):
        group, count = list(same), at_once(width * height, pixels)
        yield from (group[start : start + count] for start in range(0, len(group), count))


def _decoding(
    batches: Iterator[list[ImageView]], decoders: ThreadPoolExecutor
) -> Iterator[tuple[list[ImageView], list[Future[Array]]]]:
    """Each batch with its pixels, which other threads work on some batches ahead."""
    waiting: deque[tuple[list[ImageView], list[Future[Array]]]] = deque()
    for batch in batches:
        waiting.append((batch, [decoders.submit(pixels_of, image) for image in batch]))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


def _readable(
    batch: Sequence[ImageView], decoding: Sequence[Future[Array]], unreadable: list[UnreadableImage]
) -> list[tuple[ImageView, Array]]:
    """Images with their pixels; those that have none are added to `unreadable`."""
    found = []
    for image, future in zip(batch, decoding, strict=True):
        try:
            found.append((image, future.result()))
        except UnreadableImage as error:
            unreadable.append(error)
    return found


def _refuse(unreadable: Sequence[UnreadableImage]) -> None:
    if unreadable:
        listed = [f"{each.path}: {each.reason}" for each in unreadable[:NAMED]]
        listed += [f"… and {len(unreadable) - NAMED} more"] if len(unreadable) > NAMED else []
        raise PrepError(
            f"{len(unreadable)} images to be trained on cannot be read\n" + "\n".join(listed),
            "put them back, or leave them out with: prep check SET --force (regularization images: prep regularize SET --force)",
        )


def _not_finite(files: Sequence[Path]) -> None:
    raise PrepError(
        f"the VAE turns {files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''} into numbers that are not finite",
        "leave the image out, or use another VAE",
    )
