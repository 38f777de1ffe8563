"""Choose the repeats of every image, so that each concept gets its target share of an epoch.

The folders of concepts are a tree: the whole is split among its branches, each branch among its own, by their weights
(1 each if not given), and images lying directly in a branch count as one more. Images of a concept with few of
them are shown more often. The exact figure is used by `prep train`, the whole one by exports to other trainers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.concepts.balance import Balanced, BalanceRules, balance, refuse_unknown, repeats_rows
from pipeline.concepts.balance_warnings import info, row, warnings
from pipeline.concepts.exposure import effective_size, epoch_exposures, training_exposures
from pipeline.concepts.shares import Rounding
from pipeline.core.errors import PrepError
from pipeline.images.duplicate_heirs import Inherited, heirs, inherited, words_on
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.placement import RepeatsSource
from pipeline.store.records import Decision, Plan
from pipeline.store.running.stage import Stage

NAME = "balance"
LIMIT = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    weights: Mapping[str, float] = field(default_factory=dict)
    """Concept path and its weight among its siblings, such as characters/fanart=2; in a path * stands for any one
    level and ** for any number of them, as in **/fanart=2; the path itself goes before a pattern, and of patterns the
    one with most letters beside * wins."""
    exponent: float = 0.0
    """How much the number of images counts beside the weights: 0 not at all, 1 leaves the folders' own proportions,
    between them large concepts get more than small ones, but less than their size."""
    min_repeat: float = 1.0
    """How often an image of the concept that needs it least is shown per epoch."""
    max_repeat: float | None = None
    """How often any image is shown at most; what this cuts goes to the sibling concepts."""
    user_repeats: Literal["keep", "ignore"] = "keep"
    """Images whose folder says how often they are shown (24_name, multiply.txt) keep that, and the others are
    balanced among themselves; ignore balances all. min_repeat and max_repeat do not touch what is kept."""
    rounding: Rounding = "floor"
    """How whole repeats are made of the exact ones, for exports."""
    for_steps: int | None = None
    """Tell how often each image is seen in this many batches, instead of in what [train] of prep.toml plans."""
    steps: int | None = field(default=None, metadata={"section": "train"})
    """Batches of the planned training."""
    epochs: int = field(default=10, metadata={"section": "train"})
    """Epochs of the planned training."""
    batch_size: int = field(default=4, metadata={"section": "train"})
    """Images a batch of the planned training."""

    def __post_init__(self) -> None:
        for concept, weight in self.weights.items():
            if not 1 / LIMIT <= weight <= LIMIT:
                raise PrepError(
                    f"the weight of {concept} is {weight:g}",
                    f"give a number above 0, {1 / LIMIT:f} to {LIMIT:.0f}; to leave it out of a training: "
                    f"prep train SET --without {concept}",
                )
        if not 0 <= self.exponent <= 1:
            raise PrepError(
                f"exponent is {self.exponent:g}", "give 0 for weights alone to 1 for the folders' own proportions"
            )
        if not 1 / LIMIT <= self.min_repeat <= LIMIT:
            raise PrepError(
                f"min_repeat is {self.min_repeat:g}",
                f"give a number above 0, at most {LIMIT:.0f}; 1 shows every image once or more",
            )
        if self.max_repeat is not None and not self.max_repeat >= self.min_repeat:
            raise PrepError(
                f"max_repeat is {self.max_repeat:g}, below min_repeat of {self.min_repeat:g}",
                "give a larger max_repeat",
            )
        if self.for_steps is not None and self.for_steps < 1:
            raise PrepError(f"for_steps is {self.for_steps}", "give 1 or more, the batches of a training")


def plan(manifest: Manifest, options: Options) -> Plan:
    """Repeats for every kept image."""
    kept = manifest.kept()
    if not kept:
        return Plan(NAME, ("repeats",), warnings=("no image is kept, so there is nothing to balance",))
    rules = rules_of(options)
    user_repeats, of_copies = _set_by_person(manifest, options)
    balanced = balanced_of(manifest, options)
    epoch = epoch_exposures(balanced.groups)
    training = training_exposures(epoch, options.for_steps or options.steps, options.epochs, options.batch_size)
    counts = {
        "exposures_an_epoch": round(epoch),
        "training_exposures": round(training),
        "effective_sample_size": round(effective_size(balanced.groups)),
    }
    return Plan(
        NAME,
        ("repeats",),
        repeats_rows(kept, user_repeats, balanced),
        info=info(balanced),
        warnings=(*warnings(balanced, rules), *words_on("repeats", of_copies)),
        counts=counts,
        table=tuple(row(line, training) for line in balanced.lines),
    )


def balanced_of(manifest: Manifest, options: Options) -> Balanced:
    """What the options come to for the kept images, of which there must be some.

    Raises:
        PrepError: a weight is that of no concept.
    """
    kept, rows = manifest.kept(), _set_by_person(manifest, options)[0]
    refuse_unknown(kept, options.weights)
    return balance(kept, {path: float(each.value) for path, each in rows.items()}, rules_of(options))


def _set_by_person(manifest: Manifest, options: Options) -> tuple[dict[str, Decision], Inherited[Decision]]:
    """Images whose repeats a person set, by a folder, a copy's folder or for themselves, with what copies gave."""
    rows = manifest.decisions("user_repeats") if options.user_repeats == "keep" else {}
    of_copies = inherited(heirs(manifest), rows, lambda one, other: one.value == other.value)
    rows |= {path: replace(row, path=path) for path, (row, _) in of_copies.values.items()}
    kept = {image.path for image in manifest.kept()}
    chosen = {path: row for path, row in chosen_repeats(manifest).items() if path in kept}
    return rows | chosen, of_copies


def chosen_repeats(manifest: Manifest) -> dict[str, Decision]:
    """What a person chose for single images, as what their folders say; it goes before that."""
    return {
        path: Decision(path, "user_repeats", value, RepeatsSource.BY_PERSON)
        for path, value in manifest.values("manual_repeats")
    }


def rules_of(options: Options) -> BalanceRules:
    """What is asked of shares and repeats."""
    return BalanceRules(
        weights=options.weights,
        exponent=options.exponent,
        min_repeat=options.min_repeat,
        max_repeat=options.max_repeat,
        rounding=options.rounding,
    )


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=("images", "keep", "user_repeats"),
    choices=("manual_repeats",),
    plan=plan,
)
