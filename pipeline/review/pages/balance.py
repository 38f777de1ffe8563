"""The tree of concepts: what weights come to, tried before they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.concepts.balance import refuse_unknown
from pipeline.concepts.balance_warnings import warnings
from pipeline.concepts.exposure import Line, epoch_exposures, training_exposures
from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted, grouped
from pipeline.review.deciding.stages_now import keep_and_run, wanted_now
from pipeline.review.desk import Desk
from pipeline.review.pages.page import Page
from pipeline.review.server.answers import Document, reading, writing
from pipeline.stages import balance
from pipeline.store.manifest import Manifest

OFTEN = 100
"""Times an image is seen in a training from which it is learned by heart."""


def _options(desk: Desk) -> balance.Options:
    options: balance.Options = wanted_now(desk.root, balance.STAGE).options
    return options


def _view(manifest: Manifest, options: balance.Options) -> Document:
    if not manifest.kept():
        raise PrepError("no image is kept, so there is nothing to balance", "keep some first")
    found = balance.balanced_of(manifest, options)
    epoch = epoch_exposures(found.groups)
    training = training_exposures(epoch, options.for_steps or options.steps, options.epochs, options.batch_size)
    words = f"{grouped(epoch)} exposures an epoch, {grouped(training)} in the planned training, about"
    return {
        "nodes": [_node(line, training) for line in found.lines],
        "weights": dict(options.weights),
        "words": f"{counted(sum(group.images for group in found.groups), 'image')}, {words}",
        "warnings": warnings(found, balance.rules_of(options)),
    }


def _node(line: Line, training: float) -> dict[str, Any]:
    seen = line.seen(training)
    repeats = (
        f"{line.exact[0]:.3g}"
        if len(line.exact) == 1
        else f"{line.exact[0]:.3g}–{line.exact[-1]:.3g}"
        if line.exact
        else ""
    )
    return {
        "path": line.path,
        "depth": line.depth,
        "images": line.images,
        "weight": line.weight,
        "share": line.share,
        "target": line.target,
        "repeats": repeats,
        "seen": seen,
        "often": line.leaf and seen > OFTEN,
    }


def _show(desk: Desk, asked: Mapping[str, str]) -> Document:
    options = _options(desk)
    return desk.read(lambda manifest: _view(manifest, options))


def _weights(sent: Document) -> dict[str, float]:
    given = sent.get("weights")
    if not isinstance(given, dict) or not all(type(each) in (int, float) for each in given.values()):
        raise PrepError("weights are numbers by concept", "load the page again")
    return {str(concept): float(weight) for concept, weight in given.items()}


def _try(desk: Desk, sent: Document) -> Document:
    """What other weights would come to; nothing is written."""
    options = replace(_options(desk), weights=_weights(sent))
    return desk.read(lambda manifest: _view(manifest, options))


def _keep(desk: Desk, sent: Document) -> Document:
    """Write the weights into prep.toml and balance by them."""
    weights = _weights(sent)
    replace(_options(desk), weights=weights)
    with desk.write() as manifest:
        refuse_unknown(manifest.kept(), weights)
        outcome = keep_and_run(manifest, balance.STAGE, {"weights": weights})
    return {"run": 0, "words": f"weights kept in prep.toml; repeats of {counted(outcome.changed, 'image')} changed"}


PAGE = Page(
    "balance", "Balance", (reading("balance", _show), writing("balance/try", _try), writing("balance/keep", _keep))
)
