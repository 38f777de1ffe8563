"""What a person should know about captions, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pipeline.store.reasons.tags import contradiction_figures, core_figures
from pipeline.store.values.contradiction import Contradiction
from pipeline.tags.captions.triggers import one_spelling, sharing_words, subjects, taken_words
from pipeline.tags.statistics.core_tags import Core, Traits
from pipeline.tags.statistics.mined_implications import MinedImplication
from pipeline.tags.statistics.survey import SurveyedImage
from pipeline.tags.vocabulary.aliases import Vocabulary
from pipeline.tags.vocabulary.token_count import Tokens, is_common, telling_tokens

SHOWN = 10
LEAST_LETTERS = 3
"""A trigger word of fewer letters and digits is too common to stand for anything."""
"""Names or warnings of one kind that are listed one by one."""
MOST_ROWS = 25
"""Lines of one kind that are printed; the rows of a plan hold all of them."""
Line = dict[str, str | float | None]


def many(paths: Sequence[str]) -> str:
    return f"{len(paths)} image{'s' * (len(paths) != 1)} (such as {paths[0]})"


def some(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def on_keys(option: str, what: str, keys: Iterable[str], known: Collection[str], there: Iterable[str]) -> Iterator[str]:
    """Keys of an option that stand for nothing in the set, and what they could be."""
    lost = [key for key in keys if key not in known]
    if lost:
        yield f"{option}: no {what} {', '.join(lost)}; there are: {some(sorted(there))}"


def on_files(unreadable: Sequence[str]) -> Iterator[str]:
    if unreadable:
        yield f"{many(unreadable)} with a caption file that is not UTF-8, not used and not touched; save it as UTF-8"


def on_flags(flags: Mapping[str, int], in_captions: bool) -> Iterator[str]:
    """How many images carry a watermark and the like."""
    for flag, count in sorted(flags.items()):
        silent = "" if in_captions else ": the caption is silent, the image is not"
        yield f"{count} image{'s' * (count != 1)} flagged {flag}{silent}"


def on_triggers(words: Collection[str], vocabulary: Vocabulary, tokens: Tokens | None) -> Iterator[str]:
    """Trigger words that blend with each other, or that mean something already."""
    if tokens is None:
        pairs, what = sharing_words(words), "share"
    else:
        pairs, what = sharing_words(words, lambda word: telling_tokens(tokens, word)), "share the token"
    blends = [
        f"the trigger words {one} and {other} {what} {part!r}, which lets them blend" for one, other, part in pairs
    ]
    yield from blends[:SHOWN]
    if len(blends) > SHOWN:
        yield f"{len(blends) - SHOWN} more pairs of trigger words share a part"
    taken = taken_words(words, vocabulary.categories)
    same = [word for word, tag in taken.items() if vocabulary.spelled(word) == tag]
    if same:
        yield f"trigger words that are tags already, with a meaning of their own: {some(same)}"
    parts = [f"{word} (as in {tag})" for word, tag in taken.items() if word not in same]
    if parts:
        yield f"trigger words that are common words, with a meaning of their own: {some(parts)}"
    if tokens is not None:
        common = [word for word in sorted(words) if word not in taken and is_common(tokens, word)]
        if common:
            yield f"trigger words that are one token, so the base model knows them already: {some(common)}"
    short = [word for word in sorted(words) if sum(map(str.isalnum, word)) < LEAST_LETTERS]
    if short:
        yield f"trigger words too short to stand for anything: {some(short)}"


def on_spellings(images: Sequence[SurveyedImage], given: Mapping[str, str], from_folder: bool) -> Iterator[str]:
    """Trigger words that differ in case only, and were made one."""
    words = [word for image in images for held in subjects(image.concept, given, from_folder) for word in held]
    one = one_spelling(words)
    if one:
        named = [f"{word} → {best}" for word, best in sorted(one.items())]
        yield f"trigger words that differ in case only are one, as text encoders read them alike: {some(named)}"


def on_contradictions(
    found: Mapping[str, Sequence[Contradiction]], fixed: Collection[tuple[str, str]]
) -> Iterator[str]:
    """How many images contradict the others of their concept, and what to type."""
    attributes: Counter[str] = Counter()
    paths: dict[str, list[str]] = {}
    for path, contradictions in found.items():
        for attribute in {each.attribute for each in contradictions if (path, each.attribute) not in fixed}:
            attributes[attribute] += 1
            paths.setdefault(attribute, []).append(path)
    for attribute, _ in sorted(attributes.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]:
        yield (
            f"{attribute}: {many(paths[attribute])} conflicting with the others of the concept, or with itself; "
            f'fix with --contradictions fix --fix "{attribute}", or name images'
        )


# --- rows worth printing


def core_lines(cores: Mapping[str, Mapping[str, Core]], traits: Traits) -> Iterator[Line]:
    """Every core tag with its figures, and what a person listed."""
    for trigger in sorted({*cores, *traits.pruned}):
        found = cores.get(trigger, {})
        listed = {tag: None for tag in traits.pruned.get(trigger, {}) if tag not in found}
        for tag in [*found, *listed]:
            then = "pruned" if tag in traits.pruned.get(trigger, {}) else "kept as asked"
            figures = core_figures(found[tag].data if tag in found else {})
            yield _line("core tag", trigger, tag, figures, then)


def contradiction_lines(
    found: Mapping[str, Sequence[Contradiction]], whom: Mapping[str, str], fixed: Collection[tuple[str, str]]
) -> Iterator[Line]:
    """Contradictions that are alike in one line, those in the fewest images first, as they are the likeliest errors."""
    groups: dict[tuple[str, str, str, str, str], list[tuple[str, Contradiction]]] = {}
    for path, contradictions in found.items():
        for each in contradictions:
            then = f"{each.fix}d".replace("dropd", "dropped").replace("addd", "added")
            done = then if (path, each.attribute) in fixed and each.fix != "look" else f"proposed: {each.fix}"
            groups.setdefault((whom[path], each.attribute, each.rival, each.dominant, done), []).append((path, each))
    for (subject, attribute, rival, dominant, done), held in sorted(
        groups.items(), key=lambda item: (len(item[1]), item[0])
    ):
        path, first = held[0]
        figures = f"{many([path for path, _ in held])}: {contradiction_figures(first.to_json())}"
        yield _line(
            f"conflicting: {attribute}" if rival else f"lacks: {attribute}", subject, rival or dominant, figures, done
        )


def mined_lines(found: Sequence[MinedImplication]) -> Iterator[Line]:
    """Mined implications, those of most images first."""
    for each in sorted(found, key=lambda each: (not each.confirmed, -each.images, each.child, each.parent)):
        what = "two names of one thing" if each.alike else "implied"
        then = "used" if each.confirmed else f"proposed: imply: {each.child} -> {each.parent}"
        yield _line(what, each.child, each.parent, each.figures, then)


def _line(found: str, of: str, tag: str, figures: str, then: str) -> Line:
    return {"found": found, "of": of, "tag": tag, "figures": figures, "then": then}
