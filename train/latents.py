"""Latents of the set's pictures: encoded once, kept as mean and spread, found again by content and never by name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import PrepError
from pipeline.images import UnreadableImage, load_cropped
from train.base import BaseModel
from train.colour import changed
from train.latentfiles import (
    Array,
    Damaged,
    file_bytes,
    latent_file,
    latent_name,
    lying,
    note_vae,
    read_latent,
    write_latent,
)
from train.views import Picture as Picture

PIXELS_AT_ONCE = 1024 * 1024
"""A batch for the VAE has as many pictures as together have this many pixels, but at least two and at most"""
MOST_AT_ONCE = 32
DECODERS = 4
AHEAD = 2
"""Batches that are decoded while the VAE works on one."""
HELD_BYTES = 2**30
"""Latents that were read stay in memory until they take this much."""
NAMED = 10
"""How many unreadable pictures an error names."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Latent:
    """Mean and standard deviation of the scaled latents, each (4, h, w) float32: a sample is mean + spread * noise."""

    mean: Tensor
    spread: Tensor


class LatentCache:
    """SET/cache/latents: one file for each (view of a picture, VAE). What is damaged is encoded again and noted in
    `mended`, as (the picture's file, why); a cache that does not write keeps what it mended in memory.

    The VAE computes in `dtype`. In half precision some VAEs overflow, SDXL's own among them: such pictures are encoded
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
        self._vae = base.vae_digest + ("" if dtype is torch.float32 else f" in {str(dtype).removeprefix('torch.')}")
        self._held: dict[str, Latent] = {}
        self._held_bytes = 0
        self._checked: set[str] = set()
        self.mended: list[tuple[Path, str]] = []
        self.overflowed = 0

    def name(self, picture: Picture) -> str:
        return latent_name(picture, self._vae)

    def file(self, picture: Picture) -> Path:
        return latent_file(self._folder, self.name(picture))

    def shape(self, picture: Picture) -> tuple[int, int, int]:
        """(C, h, w) of a picture's latent."""
        width, height = (side // self._base.latent_factor for side in picture.size)
        return self._base.vae.config.latent_channels, height, width

    def fill(self, pictures: Sequence[Picture], progress: Progress) -> None:
        """Encode what is missing or not as long as it must be, while other threads decode what comes next and write what
        is done. Files are judged by their sizes alone here, so that a full cache costs next to nothing; what they hold is
        checked when it is first read.

        Raises:
            PrepError: pictures cannot be read, all of them named once the others are done; or the VAE makes something
                of one that is not finite.
        """
        distinct, sizes = {self.name(picture): picture for picture in pictures}, lying(self._folder)
        one_of_each = {picture.size: picture for picture in distinct.values()}
        lengths = {size: file_bytes(self.shape(picture)) for size, picture in one_of_each.items()}
        missing = [picture for name, picture in distinct.items() if sizes.get(name) != lengths[picture.size]]
        self.mended += [
            (picture.file, f"its file has {sizes[name]} bytes")
            for picture in missing
            if (name := self.name(picture)) in sizes
        ]
        if self._writes:
            note_vae(self._folder, self._vae, self._base.name)
        unreadable: list[UnreadableImage] = []
        done = 0
        with ThreadPoolExecutor(DECODERS) as decoders, ThreadPoolExecutor(1) as writer:
            writing: deque[Future[None]] = deque()
            for batch, decoding in _decoding(batches_of(missing, self._pixels_at_once), decoders):
                read = _readable(batch, decoding, unreadable)
                if read:
                    pixels = [each for _, each in read]
                    writing.append(writer.submit(self._keep, [picture for picture, _ in read], *self._encoded(pixels)))
                if len(writing) > 1:
                    writing.popleft().result()
                done += len(batch)
                progress("caching latents", done, len(missing))
            for future in writing:
                future.result()
        _refuse(unreadable)

    @torch.no_grad()
    def _encoded(self, pixels: Sequence[Array]) -> tuple[Tensor, Tensor]:
        """Mean and spread of (H, W, 3) pictures in -1..1, each (B, C, h, w) on the device.

        A lone picture is encoded beside itself: libraries treat batches of one otherwise than larger ones, and a picture's
        latent shall not depend on which others are missing.
        """
        batch = torch.from_numpy(np.stack(pixels if len(pixels) > 1 else [*pixels, *pixels])).permute(0, 3, 1, 2)
        device = self._base.device
        batch = batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch.contiguous()
        mean, spread = self._coded(batch, self._dtype)
        if self._dtype is not torch.float32:
            overflowed = ~(torch.isfinite(mean) & torch.isfinite(spread)).flatten(1).all(1)
            if overflowed.any():
                mean[overflowed], spread[overflowed] = self._again(batch, overflowed)
                self.overflowed += int(overflowed[: len(pixels)].sum())
        return mean[: len(pixels)], spread[: len(pixels)]

    def _again(self, batch: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """In float32, for the rows marked; a lone one beside itself."""
        found = batch[rows]
        mean, spread = self._coded(found if len(found) > 1 else found.repeat(2, 1, 1, 1), torch.float32)
        return mean[: len(found)], spread[: len(found)]

    def _coded(self, batch: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        with torch.autocast(batch.device.type, dtype, enabled=dtype is not torch.float32):
            posterior = self._base.vae.encode(batch).latent_dist
        scale = self._base.vae.config.scaling_factor
        return posterior.mean.float() * scale, posterior.std.float() * scale

    def _keep(self, pictures: Sequence[Picture], means: Tensor, spreads: Tensor) -> None:
        """Write latents, the finite ones first."""
        means, spreads = means.cpu(), spreads.cpu()
        odd = []
        for picture, mean, spread in zip(pictures, means.numpy(), spreads.numpy(), strict=True):
            if np.isfinite(mean).all() and np.isfinite(spread).all():
                write_latent(self.file(picture), mean, spread)
            else:
                odd.append(picture.file)
        if odd:
            _not_finite(odd)

    def read(self, picture: Picture) -> Latent:
        """The latent of a view, checked against its checksum when it is first read; a damaged one is encoded again.

        Raises:
            PrepError: it is damaged, and so is the picture, or the VAE makes something of it that is not finite.
        """
        name = self.name(picture)
        held = self._held.get(name)
        if held is not None:
            return held
        try:
            file, first = latent_file(self._folder, name), name not in self._checked
            mean, spread = read_latent(file, self.shape(picture), check=first)
        except Damaged as damage:
            return self._mend(name, picture, str(damage))
        self._checked.add(name)
        latent = Latent(torch.from_numpy(mean), torch.from_numpy(spread))
        if self._held_bytes + 2 * mean.nbytes <= HELD_BYTES:
            self._held[name] = latent
            self._held_bytes += 2 * mean.nbytes
        return latent

    def _mend(self, name: str, picture: Picture, why: str) -> Latent:
        means, spreads = self._encoded([pixels_of(picture)])
        latent = Latent(means[0].cpu(), spreads[0].cpu())
        if not (torch.isfinite(latent.mean).all() and torch.isfinite(latent.spread).all()):
            _not_finite([picture.file])
        if self._writes:
            write_latent(latent_file(self._folder, name), latent.mean.numpy(), latent.spread.numpy())
        self.mended.append((picture.file, why))
        self._held[name] = latent
        return latent

    def remarks(self) -> tuple[str, ...]:
        """What was damaged or overflowed and was made again, in words."""
        found = []
        if self.mended:
            file, why = self.mended[0]
            found.append(
                f"cached latents that were damaged and made again: {len(self.mended)}, such as that of {file}: {why}"
            )
        if self.overflowed:
            found.append(
                f"pictures for which the VAE overflowed in {str(self._dtype).removeprefix('torch.')} and that were encoded "
                f'again in fp32: {self.overflowed}; with vae_precision = "fp32" they are encoded once'
            )
        return tuple(found)


def pixels_of(picture: Picture) -> Array:
    """(H, W, 3) float32 in -1..1: cropped to the bucket, in the view's colours, mirrored if it is."""
    pixels = np.asarray(load_cropped(picture.file, picture.bucket), np.float32)
    pixels = changed(pixels, picture.colour) if picture.colour else pixels
    return (np.ascontiguousarray(pixels[:, ::-1]) if picture.flip else pixels) / np.float32(127.5) - np.float32(1)


def batches_of(pictures: Sequence[Picture], pixels: int = PIXELS_AT_ONCE) -> Iterator[list[Picture]]:
    """Pictures of one size together, as many as have so many pixels."""
    for (width, height), same in groupby(sorted(pictures, key=lambda each: each.size), key=lambda each: each.size):
        group, count = list(same), min(MOST_AT_ONCE, max(2, pixels // (width * height)))
        yield from (group[start : start + count] for start in range(0, len(group), count))


def _decoding(
    batches: Iterator[list[Picture]], decoders: ThreadPoolExecutor
) -> Iterator[tuple[list[Picture], list[Future[Array]]]]:
    """Each batch with its pixels, which other threads work on some batches ahead."""
    waiting: deque[tuple[list[Picture], list[Future[Array]]]] = deque()
    for batch in batches:
        waiting.append((batch, [decoders.submit(pixels_of, picture) for picture in batch]))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


def _readable(
    batch: Sequence[Picture], decoding: Sequence[Future[Array]], unreadable: list[UnreadableImage]
) -> list[tuple[Picture, Array]]:
    """Pictures with their pixels; those that have none are added to `unreadable`."""
    found = []
    for picture, future in zip(batch, decoding, strict=True):
        try:
            found.append((picture, future.result()))
        except UnreadableImage as error:
            unreadable.append(error)
    return found


def _refuse(unreadable: Sequence[UnreadableImage]) -> None:
    if unreadable:
        listed = [f"{each.path}: {each.reason}" for each in unreadable[:NAMED]]
        listed += [f"… and {len(unreadable) - NAMED} more"] if len(unreadable) > NAMED else []
        raise PrepError(
            f"{len(unreadable)} pictures to be trained on cannot be read\n" + "\n".join(listed),
            "put them back, or leave them out with: prep check SET --force (twins: prep regularize SET --force)",
        )


def _not_finite(files: Sequence[Path]) -> None:
    raise PrepError(
        f"the VAE turns {files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''} into numbers that are not finite",
        "leave the picture out, or use another VAE",
    )
