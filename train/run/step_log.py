"""What a run writes down about its steps: SET/runs/NAME/log.jsonl, one line a batch.

Losses stay on the device and are fetched together with those of the steps after them, so that no step waits for the
device. A line has step, epoch (from 1), loss (the objective), unet_lr, text_encoder_lr (as they act: with
adaptive optimizers d times the rate), gradient_norm (null where it was not finite, and half precision skipped the update),
images_per_second (of the steps fetched together, regularization images among them), memory_bytes (the most so far),
weights_norm (where the weights were saved); `images` and `regularization images` with [key, timestep, unweighted loss]
of each, and of the images the means by concept and by band of timesteps.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any, NoReturn, TextIO

import torch
from torch import Tensor

from pipeline.core.errors import PrepError
from pipeline.core.files import replacing
from pipeline.store.training_log import BANDS, lines
from train.distributed.world import ALONE, World

TOGETHER = 20
"""Steps whose losses are fetched from the device at once: each fetch waits until the device has caught up."""
SMOOTHED = 50
"""Steps whose mean the progress line shows."""
DIGITS = 6
TIMESTEPS = 1000
RATES = ("unet_lr", "text_encoder_lr")

Sample = tuple[str, int, float, str]
"""Key, timestep, loss, concept."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One step of one process: S samples, the last `regularization images` of which are regularization images.

    `loss` is this process's part of the objective (the parts of all processes add up to it) and `losses` (S,) the samples' own
    without any weight, both still on the device; `times` (S,) is on the CPU, `keys` and `concepts` have a name for each
    sample. `lrs` are the groups' learning rates as they act, `gradient_norm` is that of all processes' gradient where
    this step updated the weights, `seconds` what the step took this process, without waiting for the device.
    """

    step: int
    epoch: int
    loss: Tensor
    losses: Tensor
    times: Tensor
    keys: Sequence[str]
    concepts: Sequence[str]
    reg_images: int
    lrs: Sequence[float]
    gradient_norm: Tensor | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Step:
    """A step fetched from the device: one process's part of it, or all processes' together."""

    step: int
    epoch: int
    loss: float
    lrs: tuple[float, ...]
    gradient_norm: float | None
    seconds: float
    images: tuple[Sample, ...]
    reg_images: tuple[Sample, ...]

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.images + self.reg_images

    @property
    def finite(self) -> bool:
        return all(math.isfinite(loss) for loss in (self.loss, *(loss for _, _, loss, _ in self.samples)))


class RunLog:
    """Collects steps and writes them together; a loss that is not finite is found then, and its step named.

    Every process adds its part of every step and calls the same methods; the main process writes, and hands each line
    to `each` (TensorBoard, say).
    """

    def __init__(
        self,
        file: Path,
        state_file: Path,
        world: World = ALONE,
        each: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._file, self._state_file, self.world, self._each = file, state_file, world, each
        self._waiting: list[LogEntry] = []
        self._recent: deque[_Step] = deque(maxlen=TOGETHER)
        self._losses: deque[float] = deque(maxlen=SMOOTHED)
        self._norms: dict[int, float | Tensor] = {}
        self._rate = 0.0

    def trim(self, start: int) -> None:
        """Keep the lines of the `start` steps that the run resumes after, for the counts to go on from; drop what a
        killed run wrote later."""
        if self.world.is_main_process:
            with replacing(self._file) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
                if start:
                    with closing(lines(self._file)) as before:
                        self._keep(takewhile(lambda line: line["step"] <= start, before), stream)
        self.world.wait()

    def _keep(self, kept: Iterable[Mapping[str, Any]], stream: TextIO) -> None:
        for line in kept:
            stream.write(_written(line))
            self._losses.append(line["loss"])
            self._rate = line["unet_lr"]

    def add(self, entry: LogEntry) -> None:
        """Keep a step for later; the steps before it are written first where they are enough."""
        if len(self._waiting) >= TOGETHER:
            self.write()
        self._waiting.append(entry)

    def weights(self, step: int, norm: float | Tensor) -> None:
        """Note the norm of the adapter's weights after a step that is not written yet: the last one added."""
        assert self._waiting and self._waiting[-1].step == step, "the norm belongs to the step added last"
        self._norms[step] = norm.detach() if isinstance(norm, Tensor) else norm

    def smoothed(self) -> str:
        """Words for the progress line, such as "loss 0.1234, lr 5e-04"; "" before anything was fetched."""
        if not self._losses:
            return ""
        return f"loss {fmean(self._losses):.4f}, lr {self._rate:.1e}".replace(".0e", "e")

    def write(self) -> None:
        """Write what waits.

        Raises:
            PrepError: a loss is not finite, in every process; the steps before it are written.
        """
        if not self._waiting:
            return
        begun = perf_counter()
        shard = _fetched(self._waiting)
        waited = perf_counter() - begun
        steps = _together(self.world.gather([shard]))
        device = self._waiting[-1].loss.device
        self._waiting = []
        good = list(takewhile(lambda step: step.finite, steps))
        self._recent.extend(steps)
        self._losses.extend(step.loss for step in good)
        self._rate = steps[-1].lrs[0]
        if self.world.is_main_process:
            self._write_lines(good, waited, device)
        self._norms.clear()
        if len(good) < len(steps):
            bad = steps[len(good)]
            raise self._refusal(f"the loss is {_not_finite(bad)} at step {bad.step}; the batch held", [bad])

    def refuse_weights(self) -> NoReturn:
        """Say that the weights are not finite although every loss was, and name the last steps' images."""
        self.write()
        raise self._refusal("the adapter's weights are not finite any more; the last batches held", self._recent)

    def _write_lines(self, steps: Sequence[_Step], waited: float, device: torch.device) -> None:
        """`waited` are the seconds that the device still needed for these steps when they were fetched."""
        shown, seconds = sum(len(step.samples) for step in steps), waited + sum(step.seconds for step in steps)
        common = {
            "images_per_second": shown / seconds if seconds > 0 else None,
            "memory_bytes": _memory_bytes(device),
        }
        with self._file.open("a", encoding="utf-8", newline="\n") as stream:
            for step in steps:
                norm = self._norms.get(step.step)
                line = _line(step) | common | {"weights_norm": None if norm is None else float(norm)}
                kept = {key: _rounded(value) for key, value in line.items() if value is not None}
                stream.write(_written(kept))
                if self._each is not None:
                    self._each(kept)

    def _refusal(self, what: str, steps: Iterable[_Step]) -> PrepError:
        samples = [sample for step in steps for sample in step.samples]
        names = ", ".join(dict.fromkeys(name for name, *_ in samples))
        wrong = list(dict.fromkeys(name for name, _, loss, _ in samples if not math.isfinite(loss)))
        only = f"; it is not finite for {', '.join(wrong)} alone" if 0 < len(wrong) < len(samples) else ""
        if wrong and all(step.step == 1 for step in steps):  # before any update, and the weights and latents are finite
            return PrepError(
                f"{what} {names}{only}",
                "no weight was updated yet, so it is no learning rate: the base model's arithmetic overflows in this "
                'precision; use mixed_precision = "bf16" or "no"',
            )
        kept = f"the last good state is kept in {self._state_file}; " if self._state_file.exists() else ""
        return PrepError(
            f"{what} {names}{only}",
            f'{kept}lower the learning rate, or use mixed_precision = "bf16", or check these images',
        )


def _fetched(entries: Sequence[LogEntry]) -> list[_Step]:
    """Everything of these steps that is on the device, in one fetch."""
    tensors = [
        part.detach().reshape(-1).to(torch.float32)
        for entry in entries
        for part in (entry.loss, entry.losses, *(() if entry.gradient_norm is None else (entry.gradient_norm,)))
    ]
    numbers = iter(torch.cat(tensors).tolist())
    return [_step(entry, numbers) for entry in entries]


def _step(entry: LogEntry, numbers: Iterator[float]) -> _Step:
    """A step with the next of the fetched numbers, in the order in which `_fetched` put them."""
    loss = next(numbers)
    losses = list(islice(numbers, len(entry.losses)))
    norm = None if entry.gradient_norm is None else next(numbers)
    samples = tuple(zip(entry.keys, entry.times.tolist(), losses, entry.concepts, strict=True))
    images = len(samples) - entry.reg_images
    return _Step(
        entry.step,
        entry.epoch,
        loss,
        tuple(entry.lrs),
        norm,
        entry.seconds,
        samples[:images],
        samples[images:],
    )


def _together(parts: Sequence[Sequence[_Step]]) -> list[_Step]:
    """The steps of all processes from their parts, the main process's first."""
    return [
        replace(
            shard[0],
            loss=math.fsum(each.loss for each in shard)
            if all(math.isfinite(each.loss) for each in shard)
            else math.nan,
            images=tuple(sample for each in shard for sample in each.images),
            reg_images=tuple(sample for each in shard for sample in each.reg_images),
        )
        if len(shard) > 1
        else shard[0]
        for shard in zip(*parts, strict=True)
    ]


def _not_finite(step: _Step) -> float:
    """The number that is not finite: the objective, or the first sample's loss."""
    return next(loss for loss in (step.loss, *(loss for _, _, loss, _ in step.samples)) if not math.isfinite(loss))


def _line(step: _Step) -> dict[str, Any]:
    line: dict[str, Any] = {"step": step.step, "epoch": step.epoch, "loss": step.loss}
    line |= dict(zip(RATES, step.lrs, strict=False))
    if len(step.lrs) > len(RATES):
        line["learning_rates"] = step.lrs
    if step.gradient_norm is not None:
        line["gradient_norm"] = step.gradient_norm
    by_concept, by_band = defaultdict(list), defaultdict(list)
    for _, time, loss, concept in step.images:
        by_concept[concept].append(loss)
        by_band[BANDS[min(time * len(BANDS) // TIMESTEPS, len(BANDS) - 1)]].append(loss)
    return line | {
        "concepts": {name: fmean(losses) for name, losses in sorted(by_concept.items())},
        "bands": {name: fmean(by_band[name]) for name in BANDS if name in by_band},
        "images": [sample[:3] for sample in step.images],
        "reg_images": [sample[:3] for sample in step.reg_images] or None,
    }


def _rounded(value: Any) -> Any:
    """Floats to six significant digits, wherever they stand; what JSON cannot hold is None."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _written(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def _memory_bytes(device: torch.device) -> int | None:
    """The most memory that was taken: of the GPU, else of this process; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
