"""Which caption options go together: what would do nothing, or something else than meant, is refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from train.options.recipe import Recipe


def caption_conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(what is wrong and why, what to type) of every caption option that cannot be so, or does nothing beside others."""
    yield from _values(recipe)
    yield from _marks(recipe)
    yield from _idle(recipe)


def _values(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for field, holds, needed in (
        ("tag_dropout", 0 <= recipe.tag_dropout < 1, "0 or more and below 1"),
        ("tag_warmup_steps", recipe.tag_warmup_steps >= 0, "0 or more"),
        ("tag_warmup_share", 0 <= recipe.tag_warmup_share <= 1, "from 0 to 1"),
        ("tag_warmup_min", recipe.tag_warmup_min >= 0, "0 or more"),
        ("caption_dropout_epochs", recipe.caption_dropout_epochs >= 0, "0 or more"),
    ):
        if not holds:
            yield f"{field} is {getattr(recipe, field)!r}, it must be {needed}", f"set {field} in [train]"
    if recipe.caption_dropout_epochs == 1:
        yield (
            "caption_dropout_epochs is 1, which would leave every caption of every epoch empty",
            "give 2 or more, or caption_dropout = 1.0 if that is meant",
        )


def _marks(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What is wrong with the marks that stand in captions, and with the texts put around them."""
    marks = {name: getattr(recipe, name) for name in ("keep_separator", "group_separator")}
    for name, mark in marks.items():
        if mark != mark.strip() or any(letter in mark for letter in ",\n\r"):
            yield f"{name} is {mark!r}", "give a mark without commas, spaces around it or line breaks, such as |||"
        if recipe.wildcards and any(brace in mark for brace in "{}"):
            yield f"{name} is {mark!r}, but braces are those of wildcards", "give a mark without { and }, such as |||"
    keep, group = marks.values()
    if keep and group and (keep in group or group in keep):
        yield (
            f"keep_separator {keep!r} and group_separator {group!r} cannot be told apart in a caption",
            'give marks of which none is part of the other, such as "|||" and ";;;"',
        )
    for name in ("caption_prefix", "caption_suffix"):
        text = getattr(recipe, name)
        held = [mark for mark in marks.values() if mark and mark in text]
        if held:
            yield f"{name} holds {held[0]!r}, which only parts captions", f"leave it out: a {name[8:]} never moves"
        if "\n" in text or "\r" in text:
            yield f"{name} has several lines", "write it on one line"


def _idle(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Options that would do nothing beside the others."""
    warmup = recipe.tag_warmup_steps > 0 or recipe.tag_warmup_share > 0
    if recipe.keep_tags is not None and not (recipe.shuffle_tags or recipe.tag_dropout or warmup):
        yield (
            f"keep_tags is {recipe.keep_tags}, but no tag is moved or left out",
            "leave it out, or use shuffle_tags, tag_dropout or a tag warm-up",
        )
    if recipe.tag_warmup_min != 1 and not warmup:
        yield (
            f"tag_warmup_min is {recipe.tag_warmup_min}, but there is no tag warm-up",
            "give tag_warmup_steps or tag_warmup_share too",
        )
    if recipe.tag_warmup_steps and recipe.tag_warmup_share:
        yield (
            f"tag_warmup_steps is {recipe.tag_warmup_steps} and tag_warmup_share {recipe.tag_warmup_share:g}",
            "give one of the two",
        )
    if recipe.steps is not None and recipe.tag_warmup_steps >= recipe.steps:
        yield (
            f"tag_warmup_steps is {recipe.tag_warmup_steps}, but the run ends after {recipe.steps}: the last tags "
            "would never be shown",
            "give fewer, or a share of the run such as tag_warmup_share = 0.3",
        )
    if recipe.steps is None and recipe.caption_dropout_epochs > recipe.epochs:
        yield (
            f"caption_dropout_epochs is {recipe.caption_dropout_epochs}, but the run has {recipe.epochs} epochs",
            "give a smaller number, or more epochs",
        )
    if recipe.caption_dropout == 1:
        yield from _never_shown(recipe)


def _never_shown(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What is asked of captions that are all left out."""
    for name in (
        "tag_dropout",
        "tag_warmup_steps",
        "tag_warmup_share",
        "caption_dropout_epochs",
        "wildcards",
        "caption_prefix",
        "caption_suffix",
    ):
        if getattr(recipe, name):
            yield f"{name} does nothing: caption_dropout is 1, so no caption is ever shown", f"leave {name} out"
