"""Sample images generated while a run trains: the same prompts and seeds each time, to be compared over time.

SET/runs/NAME/progress holds base/01.png and so on, generated once without the adapter, a folder such as `step 000100` for
each time they were generated with it, prompts.json, which lists the prompts, and grid.png, all of them on one sheet.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from torch import nn

from pipeline.core.errors import PrepError
from pipeline.core.files import replacing, write_text
from pipeline.images.sheets.sample_grid import Column, Row, Thumbnails, draw_grid, kept_columns, most_columns
from train.adapters.adapter import Adapter
from train.distributed.world import ALONE, World
from train.models.base import BaseModel
from train.models.infotext import CHUNK, infotext, save_png
from train.models.options import TextOptions
from train.models.precision import DTYPES
from train.models.sampling.generate import Sampling, generate
from train.models.storage import HALVES
from train.models.text.prompts import Request

FOLDER, BASE, LISTING, GRID = "progress", "base", "prompts.json", "grid.png"
STEP = re.compile(r"step (\d{6,})")
EPOCH = re.compile(r"Training epoch: (\d+)")

ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How sample images are generated: how many at once, how prompts are read, in which precision, on which schedule."""

    batch_size: int
    text: TextOptions
    mixed_precision: str
    zero_terminal_snr: bool


class SampleCallback:
    """Generates the images of a run's prompts; `requests` are those that `filled_in` made. `folder` is the run's.

    Generating leaves training as it was: nothing is drawn from a global generator, no gradient is kept, and the adapter,
    which trains at strength 1, is put back to it. Several processes share the prompts.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        base: BaseModel,
        adapter: Adapter,
        folder: Path,
        generation: Generation,
        world: World = ALONE,
    ) -> None:
        self.requests, self.base, self.adapter, self.world = tuple(requests), base, adapter, world
        self.generation = generation
        self.folder, self._thumbnails = folder / FOLDER, Thumbnails()

    def trim(self, step: int) -> tuple[str, ...]:
        """Make ready to go on after `step`, 0 for a run that begins: samples of later steps are deleted.

        Where a run goes on with other prompts or settings of them, earlier samples are moved aside, and the warning
        that is returned says where.
        """
        warnings: tuple[str, ...] = ()
        if self.world.is_main_process and self.requests:
            if self._listing() not in (None, self._wanted()):
                warnings = self._begin_anew(step)
            for generated, folder in self._generated():
                if generated > step:
                    shutil.rmtree(folder)
            write_text(self.folder / LISTING, json.dumps(self._wanted(), indent=2, ensure_ascii=False) + "\n")
        self.world.wait()
        return warnings

    def generate(self, step: int, epoch: int, progress: ProgressCallback) -> None:
        """Generate every prompt with the adapter as it is after `step`, and without it where that is not done yet."""
        if not self.requests:
            return
        shard = self.world.shard(list(range(len(self.requests))))
        bare = [index for index in shard if not self._file(self.folder / BASE, index).is_file()]
        jobs = [
            (0.0, bare, BASE, {}),
            (1.0, shard, f"step {step:06}", {"Training step": step, "Training epoch": epoch}),
        ]
        done, total = 0, len(bare) + len(shard)
        for strength, indices, name, more in jobs:
            for index, image in self._images(indices, strength):
                text = infotext(self.requests[index], self.base.name, {**self._facts(), **more})
                save_png(image, self._file(self.folder / name, index), text)
                done += 1
                if self.world.is_main_process:
                    progress("generating samples", done, total)
        self.world.wait()
        if self.world.is_main_process:
            self._draw()

    def _images(self, indices: Sequence[int], strength: float) -> Iterator[tuple[int, PIL.Image.Image]]:
        """(index, image) of some of the prompts with the adapter at a strength, a batch at a time."""
        how, dtype = self.generation, DTYPES[self.generation.mixed_precision]
        for start in range(0, len(indices), how.batch_size):
            chosen = indices[start : start + how.batch_size]
            computed = torch.autocast(self.base.device.type, dtype) if dtype in HALVES else contextlib.nullcontext()
            with self._evaluating(strength), computed:
                made = generate(
                    self.base,
                    [self.requests[index] for index in chosen],
                    Sampling(
                        clip_skip=how.text.clip_skip,
                        max_tokens=how.text.max_tokens,
                        zero_terminal=how.zero_terminal_snr,
                    ),
                    how.batch_size,
                )
            yield from zip(chosen, made, strict=True)

    @contextlib.contextmanager
    def _evaluating(self, strength: float) -> Iterator[None]:
        """The adapter at a strength, and no layer dropping anything out; both as before afterwards."""
        held = [getattr(self.base, field.name) for field in fields(self.base)]
        parts = [self.adapter, *(part for each in held for part in (each if isinstance(each, tuple) else (each,)))]
        roots = [part for part in parts if isinstance(part, nn.Module)]
        modes = {module: module.training for root in roots for module in root.modules()}
        self.adapter.set_strength(strength)
        try:
            for root in roots:
                root.eval()
            yield
        finally:
            self.adapter.set_strength(1.0)
            for module, training in modes.items():
                module.training = training

    # --- files

    def _file(self, folder: Path, index: int) -> Path:
        return folder / f"{index + 1:02}.png"

    def _facts(self) -> dict[str, object]:
        return {"Clip skip": self.generation.text.clip_skip} if self.generation.text.clip_skip > 1 else {}

    def _wanted(self) -> Mapping[str, Any]:
        """All that the base model's images depend on."""
        return {
            "base": Path(self.base.name).name,
            "digest": self.base.digest,
            "prediction": self.base.prediction,
            "sampler": "DDIM",
            "clip_skip": self.generation.text.clip_skip,
            "max_tokens": self.generation.text.max_tokens,
            "mixed_precision": self.generation.mixed_precision,
            "zero_terminal_snr": self.generation.zero_terminal_snr,
            "prompts": [{**asdict(request), "size": list(request.size)} for request in self.requests],
        }

    def _listing(self) -> Any:
        """What prompts.json holds, None if there is none."""
        try:
            return json.loads((self.folder / LISTING).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            return ()

    def _generated(self) -> list[tuple[int, Path]]:
        """(step, folder) of every set of samples that is there, in their order."""
        found = [(STEP.fullmatch(folder.name), folder) for folder in self.folder.glob("step *") if folder.is_dir()]
        return sorted((int(match[1]), folder) for match, folder in found if match)

    def _begin_anew(self, step: int) -> tuple[str, ...]:
        """Move the folder of other prompts aside, or at a run's start empty it of an earlier run's samples."""
        if step == 0:
            for folder in (self.folder / BASE, *(folder for _, folder in self._generated())):
                shutil.rmtree(folder, ignore_errors=True)
            (self.folder / GRID).unlink(missing_ok=True)
            return ()
        number = 1
        while (aside := self.folder.with_name(f"{FOLDER} {number}")).exists():
            number += 1
        self.folder.rename(aside)
        return (f"the prompts are not those used before step {step}; their samples are kept in {aside}",)

    def _draw(self) -> None:
        """Draw the sheet of all that is there."""
        rows = [
            Row(request.prompt, f"seed {request.seed}, {request.size[0]}x{request.size[1]}", request.size)
            for request in self.requests
        ]
        generated = self._generated()
        generated = [generated[at] for at in kept_columns([step for step, _ in generated], most_columns(rows) - 1)]
        indices = range(len(rows))
        columns = [Column("base", "without adapter", [self._file(self.folder / BASE, index) for index in indices])]
        for step, folder in generated:
            files = [self._file(folder, index) for index in indices]
            columns.append(Column(f"step {step:,}", f"epoch {epoch_of(files[0])}".rstrip(), files))
        with replacing(self.folder / GRID) as temporary:
            draw_grid(rows, columns, self._thumbnails).save(temporary, "PNG", compress_level=4)


def epoch_of(file: Path) -> str:
    """The epoch in an image's infotext, "" if none can be read."""
    try:
        with PIL.Image.open(file) as image:
            found = EPOCH.findall(str(image.info.get(CHUNK, "")).rsplit("\n", 1)[-1])
    except (OSError, PrepError, ValueError):
        return ""
    return found[-1] if found else ""
