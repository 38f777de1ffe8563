"""Which tags of captions the text encoder does not see, and caption options that find nothing to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.core.errors import PrepError
from pipeline.store.reasons.tagging import TrainReason
from pipeline.store.records import Decision
from train.plan.planned import MOST_NAMED, PlannedRun

if TYPE_CHECKING:
    from train.options.recipe import Recipe

COMMON = 3
"""Captions that a tag stands in before it pays to learn its tokens."""


def truncated_tags(run: PlannedRun, options: Recipe) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
    """A row for every image whose caption is too long, or a warning why that is not known."""
    from pipeline.tags.vocabulary.token_count import TagTokens, load_tokens
    from train.data.caption_augmentation import longest, tags_of
    from train.models.loading.vocabulary import vocabulary_folder
    from train.models.locate import find_folder
    from train.models.text.tokens import Limit

    try:
        folder = find_folder(options.model.base, options.model.revision, download=False)
        vocabulary = vocabulary_folder(folder, options.model.tokenizer, download=False)
        tokens = TagTokens(load_tokens(vocabulary))
    except PrepError as error:
        return (), (
            f"which tags the limit of {options.text.max_tokens} tokens truncates is not known: {error.message}",
        )
    texts = [longest(example.caption, options.captions) for example in run.training]
    counts = Counter(tag for text in texts for tag in set(tags_of(text)))
    tokens.learn([tag for tag, count in counts.items() if count >= COMMON])
    limit, rows = Limit(tokens.of_text, options.text.max_tokens), []
    for example, text in zip(run.training, texts, strict=True):
        lost, count = limit.lost(tags_of(text))
        if count:
            over = {"limit": options.text.max_tokens, "over": count}
            rows.append(Decision(example.entry.key, "truncated_tags", lost, TrainReason.TRUNCATED, over))
    return tuple(rows), ()


def caption_notes(run: PlannedRun, cut: Sequence[Decision], options: Recipe) -> tuple[str, ...]:
    """What of the captions is not read, and options that find nothing in them."""
    warnings = []
    if cut:
        named = "; ".join(f"{row.path}: {_shortened(', '.join(row.value))}" for row in cut[:MOST_NAMED])
        way = f", or give max_tokens = {options.text.max_tokens + 75}" if options.text.max_tokens < 225 else ""
        other = " (other tags each time, as they are shuffled)" if options.captions.shuffle_tags else ""
        warnings.append(
            f"{len(cut)} captions have more than {options.text.max_tokens} tokens, the rest is not read{other}: {named}"
            f"{' …' if len(cut) > MOST_NAMED else ''}; shorten them with prep curate{way}"
        )
    if options.captions.wildcards:
        warnings += _brace_notes(run)
    if options.captions.group_separator and not _any_holds(run, options.captions.group_separator):
        warnings.append(f"group_separator does nothing: no caption holds {options.captions.group_separator}")
    if options.captions.caption_lines == "one" and not _any_holds(run, "\n"):
        warnings.append("caption_lines does nothing: no caption has a second line")
    return tuple(warnings)


def _brace_notes(run: PlannedRun) -> list[str]:
    from train.data.caption_augmentation import unpaired

    texts = {example.entry.key: example.caption for example in run.training}
    braced = {path: text for path, text in texts.items() if "{" in text or "}" in text}
    if not braced:
        return ["wildcards does nothing: no caption holds {a|b}"]
    alone = [path for path, text in braced.items() if unpaired(text)]
    if not alone:
        return []
    return [
        f"{len(alone)} captions hold a brace without its partner, which stays as it is written, such as {alone[0]}; "
        "write {{ or }} for a brace that is to be shown"
    ]


def _any_holds(run: PlannedRun, mark: str) -> bool:
    return any(mark in example.caption for example in run.training)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
