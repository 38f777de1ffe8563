"""The caption as shown at one moment of training.

In this order, each draw with a key of its own, so that one option changes nothing about another's draws:

1. the whole caption is left out, by chance or in every n-th epoch: then nothing of it is shown, its prefix neither;
2. of a caption of several lines one is drawn, or all are read as one;
3. wildcards are replaced by one of their parts;
4. the tags are split into those kept in front, those that move, and those kept at the end: by the keep separator where
   the caption holds it, else by the number of tags to keep;
5. tags between which the group separator stands are one from here on;
6. warm-up: only the first of the moving tags are there yet;
7. the moving tags are left out one by one by chance, and what remains is shuffled;
8. prefix and suffix are put around it, and no mark is left anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import floor

from pipeline.core.seeded import rng
from train.data.options import BatchOptions, CaptionOptions

Key = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class StepContext:
    """When a caption is shown: step and epoch, counted from 0 over the run, and the key of its draws, which its
    regularization image shares. `run` says how long the run is."""

    step: int
    epoch: int
    key: Key
    run: BatchOptions


def tags_of(caption: str) -> list[str]:
    """A caption's tags, whatever space stands around the commas."""
    return [tag for part in caption.split(",") if (tag := part.strip())]


def normalized(caption: str, separators: Sequence[str]) -> str:
    """A caption as it is read when nothing is shuffled or left out: one line, without the separators that part it."""
    held = [mark for mark in (*separators, "\n") if mark and mark in caption]
    if not held:
        return caption
    for mark in held:
        caption = caption.replace(mark, ",")
    return ", ".join(tags_of(caption))


def shown_caption(caption: str, triggers: Sequence[str], options: CaptionOptions, context: StepContext) -> str:
    """An image's caption as shown now; trigger words in front of it stay there if nothing else is said."""
    if is_dropped(options, context):
        return ""
    return affixed(_without_affixes(caption, triggers, options.keep_tags, options, context), options)


def shown_reg_image(
    caption: str, of: str, triggers: Sequence[str], options: CaptionOptions, context: StepContext
) -> str:
    """A regularization image's caption as shown beside its image, whose caption is `of`: the same draws leave out and
    move the same tags. Trigger words that it lacks are not counted among its tags to keep; `triggers` may hold class words,
    which stand for them and are."""
    if is_dropped(options, context):
        return ""
    before, now = leading(tags_of(of), triggers), leading(tags_of(caption), triggers)
    lacking = len(set(before) - set(tags_of(caption))) - len(set(now) - set(tags_of(of)))
    keep = None if options.keep_tags is None else max(0, options.keep_tags - lacking)
    return _without_affixes(caption, triggers, keep, options, context)


def class_words_of(caption: str, of: str) -> tuple[str, ...]:
    """The words in front of a regularization image's caption that its image's, `of`, has not: they stand for trigger words."""
    of_image = set(tags_of(of.replace("\n", ",")))
    return tuple(takewhile(lambda tag: tag not in of_image, tags_of(caption)))


def leading(tags: Sequence[str], triggers: Sequence[str]) -> list[str]:
    """The trigger words that stand in front."""
    return list(takewhile(lambda tag: tag in triggers, tags))


def caption_read(caption: str, options: CaptionOptions) -> str:
    """All that is said of an image: its caption with what stands around every caption, nothing left out."""
    return f"{options.caption_prefix} {caption} {options.caption_suffix}"


def affixed(text: str, options: CaptionOptions) -> str:
    """The text between prefix and suffix, with one comma each."""
    prefix, suffix = options.caption_prefix.strip(", "), options.caption_suffix.strip(", ")
    return ", ".join(part for part in (prefix, text, suffix) if part)


def _without_affixes(
    caption: str, triggers: Sequence[str], keep: int | None, options: CaptionOptions, context: StepContext
) -> str:
    text = _line(caption, options, context)
    if options.wildcards:
        draw = rng(*context.key, "wildcard")
        text = expand(text, lambda parts: parts[int(draw.integers(len(parts)))])
    return _arranged(text, triggers, keep, options, context)


def is_dropped(options: CaptionOptions, context: StepContext) -> bool:
    """Whether the whole caption is left out now: in every n-th epoch, counted from 1, or by chance."""
    every = options.caption_dropout_epochs
    if every and (context.epoch + 1) % every == 0:
        return True
    return options.caption_dropout > 0 and bool(rng(*context.key, "caption").random() < options.caption_dropout)


def _line(caption: str, options: CaptionOptions, context: StepContext) -> str:
    """One line of the caption, or all of it."""
    if options.caption_lines == "all" or "\n" not in caption:
        return caption
    lines = [line for part in caption.splitlines() if (line := part.strip())]
    return lines[int(rng(*context.key, "line").integers(len(lines)))] if lines else ""


def _arranged(
    text: str, triggers: Sequence[str], keep: int | None, options: CaptionOptions, context: StepContext
) -> str:
    """Steps 4 to 7: the tags put in their places, and the separators taken out."""
    done, warmup = warmup_at(options, context)
    if not (options.shuffle_tags or options.tag_dropout or warmup):
        return normalized(text, options.separators)
    head, moving, tail = split_at_separators(text.replace("\n", ","), triggers, keep, options.keep_separator)
    moving = moving[: warmed_up(len(moving), options.tag_warmup_min, done, warmup)]
    if options.tag_dropout:
        chances = rng(*context.key, "tags").random(len(moving))
        moving = [tag for tag, chance in zip(moving, chances, strict=True) if chance >= options.tag_dropout]
    if options.shuffle_tags:
        moving = [moving[index] for index in rng(*context.key, "order").permutation(len(moving))]
    return ", ".join(normalized(tag, (options.group_separator,)) for tag in (*head, *moving, *tail))


def split_at_separators(
    caption: str, triggers: Sequence[str], keep: int | None, separator: str
) -> tuple[list[str], list[str], list[str]]:
    """The tags kept in front, those that move, and those kept at the end: as the separator says, else the first `keep`
    are kept, or the trigger words in front. A third separator and further ones are nothing but commas."""
    if separator and separator in caption:
        head, moving, *tail = caption.split(separator, 2)
        return tags_of(head), tags_of(moving), tags_of(tail[0].replace(separator, ",")) if tail else []
    tags = tags_of(caption)
    index = len(leading(tags, triggers)) if keep is None else keep
    return tags[:index], tags[index:], []


def warmup_at(options: CaptionOptions, context: StepContext) -> tuple[float, float]:
    """(how much of the warm-up is done, how much there is): in steps, or in epochs for a share of a run of epochs."""
    if options.tag_warmup_steps:
        return context.step, options.tag_warmup_steps
    if context.run.steps is not None:
        return context.step, options.tag_warmup_share * context.run.steps
    return context.epoch, options.tag_warmup_share * context.run.epochs


def warmed_up(tags: int, minimum: int, done: float, warmup: float) -> int:
    """How many of the moving tags are there: `least` at first, then evenly more, all at the end of the warm-up:
    least + ⌊(tags - least) · done / warmup⌋."""
    if done >= warmup or tags <= minimum:
        return tags
    return minimum + floor((tags - minimum) * done / warmup)


_BRACES = re.compile(r"\{\{|\}\}|[{}|]|[^{}|]+")


def expand(text: str, choose: Callable[[list[str]], str]) -> str:
    """Replace every {a|b|c} by the one of its parts that `choose` gives; {{ and }} are braces to be shown.

    A brace without its partner stays as it is written, as does a group within a group; see `unpaired`.
    """
    shown, parts = [], list[str]()
    for piece in _BRACES.findall(text):
        if piece == "{" and not parts:
            parts = [""]
        elif piece == "}" and parts:
            shown.append(choose(parts))
            parts = []
        elif piece == "|" and parts:
            parts.append("")
        else:
            plain = piece[0] if piece in ("{{", "}}") else piece
            if parts:
                parts[-1] += plain
            else:
                shown.append(plain)
    return "".join(shown) + ("{" + "|".join(parts) if parts else "")


def unpaired(text: str) -> bool:
    """Whether a caption holds a brace without its partner, or a group within a group."""
    inside = False
    for piece in _BRACES.findall(text):
        if piece in "{}" and inside == (piece == "{"):
            return True
        inside = piece == "{" if piece in "{}" else inside
    return inside


def longest(caption: str, options: CaptionOptions) -> str:
    """The caption at its longest, as it is read with nothing left out: what the limit of tokens is held against."""
    lines = caption.splitlines() if options.caption_lines == "one" else [caption]
    text = max(lines, key=len, default="")
    if options.wildcards:
        text = expand(text, lambda parts: max(parts, key=len))
    return affixed(normalized(text, options.separators), options)
