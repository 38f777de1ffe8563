"""The validations of a run: SET/runs/NAME/validation.jsonl, one line for each, and which of them was the best. No torch here."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text

if TYPE_CHECKING:
    from train.distributed.world import World

FILE = "validation.jsonl"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A line: the mean losses after so many batches, None for a split without images; `concepts` and `bands` have them
    by concept and by band of timesteps, each as {"held_out": …, "train_subset": …}."""

    step: int
    epoch: int
    held_out: float | None
    train_subset: float | None
    concepts: Mapping[str, Mapping[str, float]]
    bands: Mapping[str, Mapping[str, float]]

    @property
    def loss(self) -> float:
        """What validations are compared by: the held-out loss, else that of the train subset."""
        found = self.train_subset if self.held_out is None else self.held_out
        assert found is not None, "a validation has images"
        return found


class ValidationHistory:
    """The validations so far, oldest first. Every process holds the same; only the main process writes the file.

    Validations are compared by the held-out loss. Where no image is held out, it is the loss of the train subset: on a
    fixed grid it is steady enough to be compared, but it keeps falling while the images are memorized, so the best
    validation is then nearly always the last, and patience ends a run that stands still, never one that overfits.
    """

    def __init__(self, file: Path, world: World | None = None) -> None:
        self._file, self._world, self._is_main_process = file, world, world is None or world.is_main_process
        self._evaluations = list(read_evaluations(file))

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        return tuple(self._evaluations)

    def trim(self, step: int) -> None:
        """Forget the validations after the step that a run resumes from."""
        if self._world is not None:
            self._world.wait()  # until every process has read the file
        self._evaluations = [evaluation for evaluation in self._evaluations if evaluation.step <= step]
        if self._is_main_process and self._file.exists():
            write_text(self._file, "".join(map(_line, self._evaluations)))

    def add(self, step: int, epoch: int, scores: Scores) -> Evaluation:
        """Note a validation, in the file too, and return it; it replaces an earlier one at the same step, and later ones."""
        evaluation = _evaluate(step, epoch, scores)
        earlier = [each for each in self._evaluations if each.step < step]
        again = len(earlier) < len(self._evaluations)
        self._evaluations = [*earlier, evaluation]
        if self._is_main_process and again:
            write_text(self._file, "".join(map(_line, self._evaluations)))
        elif self._is_main_process:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(_line(evaluation))
        return evaluation

    @property
    def best(self) -> int | None:
        """The step with the lowest loss, the first of equals; None before the first validation."""
        return self.best_of([evaluation.step for evaluation in self._evaluations])

    def best_of(self, steps: Collection[int]) -> int | None:
        """The best among some steps, such as those of which a snapshot is there; None if none of them was validated."""
        found = [evaluation for evaluation in self._evaluations if evaluation.step in set(steps)]
        return min(found, key=lambda evaluation: (evaluation.loss, evaluation.step)).step if found else None

    @property
    def waited(self) -> int:
        """Validations since the best one, for patience."""
        best = self.best
        return 0 if best is None else sum(evaluation.step > best for evaluation in self._evaluations)


def read_evaluations(file: Path) -> Iterator[Evaluation]:
    """The validations in a file, none where there is no file; a last line that was cut off when its process was killed is left
    out.

    Raises:
        PrepError: another line is damaged.
    """
    if not file.is_file():
        return
    with file.open(encoding="utf-8", newline="\n", errors="replace") as stream:
        lines = list(stream)
    for number, line in enumerate(lines, 1):
        try:
            yield _read(json.loads(line))
        except (ValueError, TypeError) as error:
            if number == len(lines) and not line.endswith("\n"):
                return
            raise PrepError(
                f"line {number} of {file} is no validation: {line.strip()[:80]!r}",
                "delete the file to go on without the earlier validations",
            ) from error


def _read(values: Mapping[str, Any]) -> Evaluation:
    evaluation = Evaluation(**values)
    losses = [loss for loss in (evaluation.held_out, evaluation.train_subset) if loss is not None]
    if not (isinstance(evaluation.step, int) and losses and all(math.isfinite(loss) for loss in losses)):
        raise ValueError("no step or no loss")
    return evaluation


def _evaluate(step: int, epoch: int, scores: Scores) -> Evaluation:
    sides = {
        name: side
        for name, side in (("held_out", scores.held_out), ("train_subset", scores.train_subset))
        if side is not None
    }
    means = {name: side.mean for name, side in sides.items()}
    return Evaluation(
        step,
        epoch,
        means.get("held_out"),
        means.get("train_subset"),
        _by_name({name: side.concepts for name, side in sides.items()}),
        _by_name({name: side.bands for name, side in sides.items()}),
    )


def _by_name(sides: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """{"held_out": {name: loss}, …} as {name: {"held_out": loss, …}}."""
    found: dict[str, dict[str, float]] = {}
    for side, losses in sides.items():
        for name, loss in losses.items():
            found.setdefault(name, {})[side] = loss
    return found


def _line(evaluation: Evaluation) -> str:
    return json.dumps(asdict(evaluation), ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True)
class Split:
    """Mean losses of the held-out images, or of the train subset: of all, by concept, and by band of timesteps."""

    mean: float
    concepts: Mapping[str, float]
    bands: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scores:
    """What one validation found. A split without images is None; `images` has the mean loss of every key in either."""

    held_out: Split | None
    train_subset: Split | None
    images: Mapping[str, float]

    @property
    def compared(self) -> float | None:
        """What validations are compared by: the mean held-out loss, else that of the train subset."""
        side = self.held_out or self.train_subset
        return side.mean if side else None
