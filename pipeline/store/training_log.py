"""What a run's log comes to: how often every image was shown and how well it was predicted, and the curves over time."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text

COLUMNS = ("path", "concept", "repeats", "exposures", "mean_loss", "last_step", "reg_image_exposures")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""
BANDS = ("0-250", "250-500", "500-750", "750-1000")
"""Four equal parts of the 1000 timesteps, from nearly clean to nearly pure noise."""
LEAST_WINDOW, WINDOW_PART = 10, 20
"""A curve is the mean of its last values: at least so many, else this part of all."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often an image, or all of a concept, was shown: `loss` is the mean over these exposures (unweighted, as logged;
    None before the first), `last` the step of the last of them (0 for none), `regularization images` how often a
    regularization image of it was shown beside it."""

    exposures: int = 0
    loss: float | None = None
    last: int = 0
    reg_images: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure over the steps, at those where it was there."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LogSummary:
    """A log read to its end.

    `steps` are the lines, `last` the last step of all, `epochs` those begun; `missing` are the steps before the last that
    the log does not hold, as (first, last). `curves` has loss, unet_lr, text_encoder_lr, gradient_norm,
    weights_norm and images_per_second, each where the log has it, as they were logged. `memory` is the most in bytes.
    """

    steps: int
    last: int
    epochs: int
    missing: tuple[tuple[int, int], ...]
    images: Mapping[str, Tally]
    curves: Mapping[str, Curve]
    concepts: Mapping[str, Curve]
    bands: Mapping[str, Curve]
    memory: int | None

    @property
    def exposures(self) -> int:
        return sum(tally.exposures for tally in self.images.values())

    @property
    def reg_images(self) -> int:
        return sum(tally.reg_images for tally in self.images.values())


SCALARS = ("loss", "unet_lr", "text_encoder_lr", "gradient_norm", "weights_norm", "images_per_second")


def lines(file: Path) -> Generator[dict[str, Any], None, None]:
    """The lines of a log one after the other; a last one that a kill cut off is left out, and no file has none.

    Raises:
        PrepError: another line is no line of a log.
    """
    if not file.is_file():
        return
    with file.open(encoding="utf-8", errors="replace") as stream:
        for number, text in enumerate(stream, 1):
            try:
                line = json.loads(text)
                if not isinstance(line, dict) or not isinstance(line["step"], int):
                    raise ValueError("no step")
            except (ValueError, KeyError) as error:
                if not text.endswith("\n"):
                    return
                raise PrepError(
                    f"line {number} of {file} is damaged: {text.strip()[:80]!r}",
                    "take the line out, or train again with another --name",
                ) from error
            yield line


def read_figures(file: Path) -> LogSummary:
    """Read a log once, a line at a time.

    Raises:
        PrepError: a line other than the last is damaged.
    """
    tallies: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0, 0])
    found: dict[str, dict[str, list[tuple[int, float]]]] = {"": {}, "concepts": {}, "bands": {}}
    steps, epochs, memory = [], 0, 0
    for line in lines(file):
        steps.append(line["step"])
        epochs, memory = max(epochs, line.get("epoch", 0)), max(memory, line.get("memory_bytes", 0))
        _count(tallies, line)
        for group, values in (("", line), ("concepts", line.get("concepts", {})), ("bands", line.get("bands", {}))):
            for name in SCALARS if group == "" else values:
                if values.get(name) is not None:
                    found[group].setdefault(name, []).append((line["step"], values[name]))
    curves, concepts, bands = ({name: _curve(points) for name, points in group.items()} for group in found.values())
    return LogSummary(
        steps=len(steps),
        last=max(steps, default=0),
        epochs=epochs,
        missing=tuple(_missing(steps)),
        images={key: _tally(*counts) for key, counts in tallies.items()},
        curves=curves,
        concepts=concepts,
        bands={name: bands[name] for name in BANDS if name in bands},
        memory=memory or None,
    )


def _count(tallies: dict[str, list[float]], line: Mapping[str, Any]) -> None:
    for key, _, loss in line.get("images", ()):
        tally = tallies[key]
        tally[0] += 1
        tally[1] += loss
        tally[2] = max(tally[2], line["step"])
    for key, *_ in line.get("reg_images", ()):
        tallies[key][3] += 1


def _tally(exposures: float, losses: float, last: float, reg_images: float) -> Tally:
    return Tally(int(exposures), losses / exposures if exposures else None, int(last), int(reg_images))


def _curve(points: Sequence[tuple[int, float]]) -> Curve:
    return Curve(tuple(step for step, _ in points), tuple(value for _, value in points))


def _missing(steps: Sequence[int]) -> Iterator[tuple[int, int]]:
    before = 0
    for step in sorted(set(steps)):
        if step > before + 1:
            yield before + 1, step - 1
        before = step


def by_concept(images: Mapping[str, Tally], concepts: Mapping[str, str]) -> dict[str, Tally]:
    """The tallies of images put together by concept, by name; an image without one counts under ""."""
    grouped: dict[str, list[Tally]] = defaultdict(list)
    for key, tally in images.items():
        grouped[concepts.get(key, "")].append(tally)
    found = {}
    for concept, tallies in sorted(grouped.items()):
        exposures = sum(tally.exposures for tally in tallies)
        losses = sum(tally.loss * tally.exposures for tally in tallies if tally.loss is not None)
        found[concept] = _tally(exposures, losses, max(t.last for t in tallies), sum(t.reg_images for t in tallies))
    return found


def smooth(curve: Curve, window: int | None = None) -> Curve:
    """Every value's mean with the `window` - 1 before it, fewer at the start; without a window, a twentieth of them."""
    width = window or max(LEAST_WINDOW, len(curve.values) // WINDOW_PART)
    recent: deque[float] = deque(maxlen=width)
    means = []
    for value in curve.values:
        recent.append(value)
        means.append(fmean(recent))
    return Curve(curve.steps, tuple(means))


def thinned(curve: Curve, most: int) -> Curve:
    """At most `most` points of a curve, evenly chosen, the first and the last always among them."""
    count = len(curve.steps)
    if count <= most:
        return curve
    places = [round(place * (count - 1) / (most - 1)) for place in range(most)]
    return Curve(tuple(curve.steps[place] for place in places), tuple(curve.values[place] for place in places))


def images_csv(target: Path, figures: LogSummary, images: Mapping[str, Mapping[str, Any]]) -> None:
    """Write one row an image of the run, also for those that were never shown, by path.

    A text that a spreadsheet would take for a formula gets an apostrophe in front; `read_csv` takes it off.

    Args:
        images: every image of the run by its path, with its concept and its repeats.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for path in sorted(images.keys() | figures.images.keys()):
        about, tally = images.get(path, {}), figures.images.get(path, Tally())
        loss = "" if tally.loss is None else f"{tally.loss:.6g}"
        repeats = "" if about.get("repeats") is None else f"{about['repeats']:.6g}"
        shown = (tally.exposures, loss, tally.last or "", tally.reg_images)
        writer.writerow((_cell(path), _cell(str(about.get("concept", ""))), repeats, *shown))
    write_text(target, stream.getvalue())


def _cell(text: str) -> str:
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) else text


def _text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


@dataclass(frozen=True, slots=True)
class Row:
    """A row of images.csv; the repeats are None where it was not known."""

    path: str
    concept: str
    repeats: float | None
    tally: Tally


def read_csv(file: Path) -> tuple[Row, ...]:
    """What `images_csv` wrote.

    Raises:
        PrepError: it is another table, or a cell is no number.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return tuple(_row(cells) for cells in csv.DictReader(stream, strict=True))
    except (csv.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrepError(
            f"{file} is no table of a run's images: {error}", "it is written anew by: prep train"
        ) from error


def _row(cells: Mapping[str, str]) -> Row:
    repeats, loss = cells["repeats"], cells["mean_loss"]
    return Row(
        _text(cells["path"]),
        _text(cells["concept"]),
        float(repeats) if repeats else None,
        Tally(
            int(cells["exposures"]),
            float(loss) if loss else None,
            int(cells["last_step"] or 0),
            int(cells["reg_image_exposures"]),
        ),
    )
