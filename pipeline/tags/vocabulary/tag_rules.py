"""What a person rules about tags, in options and in a file, under the names that the taggers have for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.errors import PrepError
from pipeline.tags.vocabulary.aliases import Vocabulary, canonical, unknown_names
from pipeline.tags.vocabulary.rules_file import RuleFile, lists_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRules:
    """Rules given as options, as they were typed; in `prune` and `keep`, trigger word → tags with commas between."""

    rename: Mapping[str, str]
    blacklist: tuple[str, ...]
    thresholds: Mapping[str, float]
    prune: Mapping[str, str]
    keep: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRules:
    """All rules about single tags, as the taggers know them.

    `prune` and `keep` are trigger word → tags; `imply` and `distinct` are pairs of an exact and a general tag; `unknown`
    are the names in them that no tagger has a tag of.
    """

    rename: Mapping[str, str]
    blacklist: tuple[str, ...]
    thresholds: Mapping[str, float]
    prune: Mapping[str, tuple[str, ...]]
    keep: Mapping[str, tuple[str, ...]]
    imply: tuple[tuple[str, str], ...]
    distinct: frozenset[tuple[str, str]]
    unknown: tuple[str, ...]


def tag_rules(given: GivenRules, file: RuleFile, vocabulary: Vocabulary) -> TagRules:
    """Options and the lines of a file together; options go before lines.

    Raises:
        PrepError: a trigger word is both to prune a tag and to keep it.
    """
    known, categories = vocabulary.spelled, vocabulary.categories
    rename = {known(old): new for old, new in file.rename.items()}
    rename |= {known(old): canonical(new) for old, new in given.rename.items()}
    blacklist = tuple(
        each if set("*?[") & set(each) and each not in categories else known(each)
        for each in map(canonical, (*given.blacklist, *file.drop))
    )
    thresholds = {known(tag): value for tag, value in (*file.threshold.items(), *given.thresholds.items())}
    prune, keep = lists_of(file.prune, given.prune, known), lists_of(file.keep, given.keep, known)
    for trigger in prune.keys() & keep.keys():
        both = sorted(set(prune[trigger]) & set(keep[trigger]))
        if both:
            raise PrepError(
                f"{trigger} is both to prune and to keep: {', '.join(both)}", "take them from one of the lists"
            )
    return TagRules(
        rename=rename,
        blacklist=blacklist,
        thresholds=thresholds,
        prune=prune,
        keep=keep,
        imply=tuple((known(child), known(parent)) for child, parent in file.imply),
        distinct=frozenset((known(child), known(parent)) for child, parent in file.distinct),
        unknown=unknown_names(categories, rename, blacklist, thresholds),
    )
