"""Latents of the set's pictures: encoded once, kept as mean and spread, found again by content and never by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.errors import PrepError
from pipeline.files import replacing
from pipeline.images import load_cropped
from train.base import BaseModel
from train.folder import folder_digest

VERSION = "1"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to encode: its content hash, its file, and its bucket decision ({"size", "scaled", "crop", …})."""

    content: str
    file: Path
    bucket: Any

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.bucket["size"]
        return width, height


@dataclass(frozen=True, slots=True)
class Latent:
    """Mean and standard deviation of the scaled latents, each (4, h, w) float32: a sample is mean + spread * noise."""

    mean: Tensor
    spread: Tensor


class LatentCache:
    """SET/cache/latents: one safetensors file for each (content, crop, VAE)."""

    def __init__(self, folder: Path, base: BaseModel) -> None:
        self._folder, self._base = folder, base
        self._vae = folder_digest(base.folder / "vae")

    def file(self, picture: Picture) -> Path:
        crop = {key: picture.bucket[key] for key in ("size", "scaled", "crop")}
        key = "\0".join([VERSION, picture.content, json.dumps(crop, sort_keys=True), self._vae])
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.safetensors"

    def fill(self, pictures: Sequence[Picture], progress: Progress, batch_size: int = 8) -> None:
        """Encode what is missing, decoding the next pictures while the VAE works on these."""
        distinct = {self.file(picture): picture for picture in pictures}
        missing = sorted(
            (picture for file, picture in distinct.items() if not file.exists()), key=lambda picture: picture.size
        )
        batches = [
            batch
            for _, same in groupby(missing, key=lambda picture: picture.size)
            for batch in _chunks(list(same), batch_size)
        ]
        done = 0
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(_pixels, batch) for batch in batches[:2]]
            for index, batch in enumerate(batches):
                if index + 2 < len(batches):
                    waiting.append(pool.submit(_pixels, batches[index + 2]))
                self._encode(batch, waiting[index].result())
                done += len(batch)
                progress("caching latents", done, len(missing))

    @torch.no_grad()
    def _encode(self, batch: list[Picture], pixels: Tensor) -> None:
        posterior = self._base.vae.encode(pixels.to(self._base.device)).latent_dist
        scale = self._base.vae.config.scaling_factor
        for picture, mean, spread in zip(batch, posterior.mean * scale, posterior.std * scale, strict=True):
            if not bool(torch.isfinite(mean).all() and torch.isfinite(spread).all()):
                raise PrepError(
                    f"the VAE turns {picture.file} into numbers that are not finite",
                    "leave the picture out, or use another VAE",
                )
            with replacing(self.file(picture)) as temporary:
                save_file({"mean": mean.cpu().contiguous(), "spread": spread.cpu().contiguous()}, temporary)

    def read(self, picture: Picture) -> Latent:
        """The cached latent.

        Raises:
            PrepError: the file is damaged or of another shape than the bucket.
        """
        file = self.file(picture)
        try:
            stored = load_file(file)
            latent = Latent(stored["mean"], stored["spread"])
        except Exception as error:
            raise PrepError(
                f"cached latent {file} cannot be read: {error}", f"delete {self._folder} and run again"
            ) from error
        width, height = (side // self._base.latent_factor for side in picture.size)
        if latent.mean.shape[1:] != (height, width):
            raise PrepError(
                f"cached latent {file} is {tuple(latent.mean.shape)}, not {height}×{width}",
                f"delete {self._folder} and run again",
            )
        return latent


def _chunks(items: list[Picture], size: int) -> Iterator[list[Picture]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _pixels(batch: list[Picture]) -> Tensor:
    """(B, 3, H, W) float32 in -1..1, cropped to the bucket."""
    arrays = [np.asarray(load_cropped(picture.file, picture.bucket), np.float32) for picture in batch]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1
