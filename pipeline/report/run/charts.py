"""How a run went, as curves: losses, the looks at the validation loss, concepts, bands of timesteps, rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.report.html.charts import COLOURS, FAINT, Chart, Line, drawn
from pipeline.report.html.markup import Html, element, join
from pipeline.report.run.facts import RunFacts

if TYPE_CHECKING:
    from pipeline.store.training_log import Curve

POINTS = 400
"""Points of a curve that are drawn."""
RATES = {"unet_lr": "U-Net", "text_encoder_lr": "text encoder"}


def curves(facts: RunFacts) -> Html:
    """Every chart there is something for."""
    figures = facts.figures
    charts = (
        _swinging("Loss in training", "The objective with all its weights", "loss", facts),
        _looks(facts),
        _group("Loss by concept", "Moving means over the images of a concept.", figures.concepts, facts),
        _group(
            "Loss by timestep",
            "Moving means over four bands, from nearly clean images (0) to nearly pure noise (1000).",
            figures.bands,
        ),
        _named(
            "Learning rate", "As it acts: with adaptive optimizers, their own estimate times the rate.", facts, RATES
        ),
        _swinging("Gradient", "Its norm before it is clipped", "gradient_norm", facts),
        _named("Weights", "Norm of the adapter's weights.", facts, {"weights_norm": "norm of the weights"}),
    )
    shown = [drawn(chart) for chart in charts if chart is not None]
    words = "A loss in training swings with the timesteps that are drawn; only means over many steps tell anything."
    return join(element("p", words, class_="lead"), element("div", *shown, class_="charts"), _speed(facts))


def _speed(facts: RunFacts) -> Html | str:
    figures, words = facts.figures, []
    speeds = figures.curves.get("images_per_second")
    if speeds:
        middle = sorted(speeds.values)[len(speeds.values) // 2]
        words.append(
            f"{middle:.3g} images a second, regularization images among them, in the middle of the run's steps."
        )
    if figures.memory:
        words.append(f"At most {figures.memory / 2**30:.2f} GiB of memory.")
    return element("p", " ".join(words), class_="lead") if words else ""


def _swinging(title: str, what: str, key: str, facts: RunFacts) -> Chart | None:
    """A figure of which every step says little: its moving mean over the steps themselves."""
    from pipeline.store.training_log import smooth

    found = facts.figures.curves.get(key)
    if found is None:
        return None
    lines = (_line("every step", found, FAINT), _line("moving mean", smooth(found), "c0"))
    return Chart(title, f"{what}: every step faint, the moving mean over it.", lines)


def _looks(facts: RunFacts) -> Chart | None:
    sides = {"held": "held out", "watched": "trained on"}
    lines = []
    for kind, (side, name) in zip(("c1", "c0"), sides.items(), strict=True):
        points = [(look["step"], float(look[side])) for look in facts.looks if look.get(side) is not None]
        if points:
            steps, losses = tuple(step for step, _ in points), tuple(loss for _, loss in points)
            lines.append(Line(name, steps, losses, kind, dots=len(points) <= 60))
    if not lines:
        return None
    compared = lines[0]
    lowest = min(range(len(compared.values)), key=lambda place: (compared.values[place], compared.steps[place]))
    note = "The same images, noises and timesteps each time, unweighted."
    if compared.name == sides["watched"]:
        note += " No image is held out: this loss falls on while images are learned by heart."
    return Chart("Validation", note, tuple(lines), (compared.steps[lowest], f"best, step {compared.steps[lowest]}"))


def _group(title: str, note: str, found: Mapping[str, Curve], facts: RunFacts | None = None) -> Chart | None:
    """A line each, of as many as can be told apart: those with most steps."""
    from pipeline.store.training_log import smooth

    most = sorted(sorted(found), key=lambda name: -len(found[name].steps))[:COLOURS]
    if not most:
        return None
    if len(found) > COLOURS:
        note += f" The {COLOURS} of {len(found)} that were shown most; the table below has all."
    shown = [name for name in found if name in most] if facts is None else sorted(most)
    return Chart(title, note, tuple(_line(name, smooth(found[name]), f"c{place}") for place, name in enumerate(shown)))


def _named(title: str, note: str, facts: RunFacts, names: Mapping[str, str]) -> Chart | None:
    found = facts.figures.curves
    lines = [_line(name, found[key], f"c{place}") for place, (key, name) in enumerate(names.items()) if key in found]
    return Chart(title, note, tuple(lines)) if lines else None


def _line(name: str, curve: Curve, kind: str) -> Line:
    from pipeline.store.training_log import thinned

    thin = thinned(curve, POINTS)
    return Line(name, thin.steps, thin.values, kind)
