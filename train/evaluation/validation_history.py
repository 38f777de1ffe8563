"""The looks of a run: SET/runs/NAME/validation.jsonl, one line for each, and which of them was the best. No torch here."""

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
    """A line: the mean losses after so many batches, None for a side without images; `concepts` and `bands` have them
    by concept and by band of timesteps, each as {"held": …, "watched": …}."""

    step: int
    epoch: int
    held: float | None
    watched: float | None
    concepts: Mapping[str, Mapping[str, float]]
    bands: Mapping[str, Mapping[str, float]]

    @property
    def loss(self) -> float:
        """What looks are compared by: the loss of what is held out, else of what is watched."""
        found = self.watched if self.held is None else self.held
        assert found is not None, "a look has images"
        return found


class ValidationHistory:
    """The looks so far, oldest first. In every process of a team it holds the same; only the leader writes the file.

    Looks are compared by the loss of held-out images. Where none are, it is that of the images that are watched: on
    their fixed grid it is steady enough to be compared, but it falls on while they are learned by heart, so the best look
    is then nearly always the last, and waiting for a better one ends a run that stands still, never one that overfits.
    """

    def __init__(self, file: Path, team: World | None = None) -> None:
        self._file, self._team, self._leads = file, team, team is None or team.leads
        self._looks = list(read_evaluations(file))

    @property
    def looks(self) -> tuple[Evaluation, ...]:
        return tuple(self._looks)

    def trim(self, step: int) -> None:
        """Forget the looks after the step that a run is taken up from."""
        if self._team is not None:
            self._team.wait()  # until every process has read the file
        self._looks = [look for look in self._looks if look.step <= step]
        if self._leads and self._file.exists():
            write_text(self._file, "".join(map(_line, self._looks)))

    def add(self, step: int, epoch: int, scores: Scores) -> Evaluation:
        """Note a look, in the file too, and give it back; it stands for one that was taken at the same step before, and
        for later ones."""
        look = _look(step, epoch, scores)
        earlier = [each for each in self._looks if each.step < step]
        again = len(earlier) < len(self._looks)
        self._looks = [*earlier, look]
        if self._leads and again:
            write_text(self._file, "".join(map(_line, self._looks)))
        elif self._leads:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(_line(look))
        return look

    @property
    def best(self) -> int | None:
        """The step with the lowest loss, the first of equals; None before the first look."""
        return self.best_of([look.step for look in self._looks])

    def best_of(self, steps: Collection[int]) -> int | None:
        """The best among some steps, such as those of which a snapshot is there; None if no look was taken at any."""
        found = [look for look in self._looks if look.step in set(steps)]
        return min(found, key=lambda look: (look.loss, look.step)).step if found else None

    @property
    def waited(self) -> int:
        """Looks since the best one, for patience."""
        best = self.best
        return 0 if best is None else sum(look.step > best for look in self._looks)


def read_evaluations(file: Path) -> Iterator[Evaluation]:
    """The looks in a file, none where there is no file; a last line that was cut off when its process was killed is left
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
                f"line {number} of {file} is no look at the validation loss: {line.strip()[:80]!r}",
                "delete the file to go on without the earlier looks",
            ) from error


def _read(values: Mapping[str, Any]) -> Evaluation:
    look = Evaluation(**values)
    losses = [loss for loss in (look.held, look.watched) if loss is not None]
    if not (isinstance(look.step, int) and losses and all(math.isfinite(loss) for loss in losses)):
        raise ValueError("no step or no loss")
    return look


def _look(step: int, epoch: int, scores: Scores) -> Evaluation:
    sides = {name: side for name, side in (("held", scores.held), ("watched", scores.watched)) if side is not None}
    means = {name: side.mean for name, side in sides.items()}
    return Evaluation(
        step,
        epoch,
        means.get("held"),
        means.get("watched"),
        _by_name({name: side.concepts for name, side in sides.items()}),
        _by_name({name: side.bands for name, side in sides.items()}),
    )


def _by_name(sides: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """{"held": {name: loss}, …} as {name: {"held": loss, …}}."""
    found: dict[str, dict[str, float]] = {}
    for side, losses in sides.items():
        for name, loss in losses.items():
            found.setdefault(name, {})[side] = loss
    return found


def _line(look: Evaluation) -> str:
    return json.dumps(asdict(look), ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True)
class Split:
    """Mean losses of the images that are held out, or of those watched: of all, by concept, and by band of timesteps."""

    mean: float
    concepts: Mapping[str, float]
    bands: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scores:
    """What one look found. A side without images is None; `images` has the mean loss of every key on either side."""

    held: Split | None
    watched: Split | None
    images: Mapping[str, float]

    @property
    def compared(self) -> float | None:
        """What looks are compared by: the mean loss of what is held out, else of what is watched."""
        side = self.held or self.watched
        return side.mean if side else None
