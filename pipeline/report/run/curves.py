"""How a run went, as curves: training and validation losses, concepts, bands of timesteps, learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.report.html.charts import COLOURS, FAINT, Chart, DrawnChart, Line, draw
from pipeline.report.run.facts import HELD_OUT, TRAIN_SUBSET, RunFacts
from pipeline.store.training_log import Curve, smooth, thinned

POINTS = 400
"""Points of a curve that are drawn."""
RATES = {"unet_lr": "U-Net", "text_encoder_lr": "text encoder"}
SPLITS = {HELD_OUT: "held out", TRAIN_SUBSET: "train subset"}


@dataclass(frozen=True, slots=True)
class CurvesView:
    """`speed` is the median of images a second, `memory` the most bytes; each is None where it is not known."""

    charts: tuple[DrawnChart, ...]
    speed: float | None
    memory: int | None


def curves_view(facts: RunFacts) -> CurvesView | None:
    """Every chart there is something for, None before the first step."""
    figures = facts.figures
    if not figures.steps and not facts.validations:
        return None
    charts = (
        _noisy("Training loss", "The objective with all its weights", "loss", facts),
        _validation(facts),
        _group("Loss by concept", "Moving means over the images of a concept.", figures.concepts, facts),
        _group(
            "Loss by timestep",
            "Moving means over four bands, from nearly clean images (0) to nearly pure noise (1000).",
            figures.bands,
        ),
        _named("Learning rate", "As applied: adaptive optimizers multiply it by their own estimate.", facts, RATES),
        _noisy("Gradient norm", "Before clipping", "gradient_norm", facts),
        _named("Weights norm", "Norm of the adapter's weights.", facts, {"weights_norm": "norm of the weights"}),
    )
    speeds = figures.curves.get("images_per_second")
    speed = sorted(speeds.values)[len(speeds.values) // 2] if speeds else None
    return CurvesView(tuple(draw(chart) for chart in charts if chart is not None), speed, figures.memory)


def _noisy(title: str, what: str, key: str, facts: RunFacts) -> Chart | None:
    """A figure of which every step says little: its moving mean over the steps themselves."""
    found = facts.figures.curves.get(key)
    if found is None:
        return None
    lines = (_line("every step", found, FAINT), _line("moving mean", smooth(found), "c0"))
    return Chart(title, f"{what}: every step faint, the moving mean over it.", lines)


def _validation(facts: RunFacts) -> Chart | None:
    lines = []
    for kind, (split, name) in zip(("c1", "c0"), SPLITS.items(), strict=True):
        points = [(each["step"], float(each[split])) for each in facts.validations if each.get(split) is not None]
        if points:
            steps, losses = tuple(step for step, _ in points), tuple(loss for _, loss in points)
            lines.append(Line(name, steps, losses, kind, dots=len(points) <= 60))
    if not lines:
        return None
    compared = lines[0]
    lowest = min(range(len(compared.values)), key=lambda place: (compared.values[place], compared.steps[place]))
    note = "The same images, noise and timesteps each time, unweighted."
    if compared.name == SPLITS[TRAIN_SUBSET]:
        note += " No image is held out: this loss keeps falling while images are memorized."
    return Chart(
        "Validation loss", note, tuple(lines), (compared.steps[lowest], f"best, step {compared.steps[lowest]}")
    )


def _group(title: str, note: str, found: Mapping[str, Curve], facts: RunFacts | None = None) -> Chart | None:
    """A line each, of as many as can be distinguished: those with most steps."""
    most = sorted(sorted(found), key=lambda name: -len(found[name].steps))[:COLOURS]
    if not most:
        return None
    if len(found) > COLOURS:
        note += f" The {COLOURS} of {len(found)} with most exposures; the table below has all."
    shown = [name for name in found if name in most] if facts is None else sorted(most)
    return Chart(title, note, tuple(_line(name, smooth(found[name]), f"c{place}") for place, name in enumerate(shown)))


def _named(title: str, note: str, facts: RunFacts, names: Mapping[str, str]) -> Chart | None:
    found = facts.figures.curves
    lines = [_line(name, found[key], f"c{place}") for place, (key, name) in enumerate(names.items()) if key in found]
    return Chart(title, note, tuple(lines)) if lines else None


def _line(name: str, curve: Curve, kind: str) -> Line:
    thin = thinned(curve, POINTS)
    return Line(name, thin.steps, thin.values, kind)
