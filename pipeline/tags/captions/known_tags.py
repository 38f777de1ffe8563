"""The tags that the taggers know, what they are called in captions, and what a person rules about them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.store.reasons.reason import Data
from pipeline.store.reasons.tags import TagCause
from pipeline.store.records import Tagger
from pipeline.tags.captions.build import Names, ban
from pipeline.tags.captions.scores import vocabulary_of
from pipeline.tags.danbooru import tables
from pipeline.tags.danbooru.board_csv import read_implications
from pipeline.tags.statistics.mined_implications import MinedImplication, confirmed_pairs
from pipeline.tags.vocabulary.aliases import Vocabulary, resolved
from pipeline.tags.vocabulary.implications import BOARD, Implications
from pipeline.tags.vocabulary.rules_file import RuleFile
from pipeline.tags.vocabulary.tag_rules import GivenRules, TagRules, tag_rules
from pipeline.tags.vocabulary.token_count import Tokens, load_tokens


@dataclass(frozen=True, slots=True)
class KnownTags:
    """`banned` says why a tag is never in a caption, None for most; `tokens` are the base model's, None where its
    tokenizer was not given."""

    taggers: tuple[Tagger, ...]
    vocabulary: Vocabulary
    rules: TagRules
    names: Names
    banned: Callable[[str], TagCause | None]
    tokens: Tokens | None

    @property
    def by(self) -> str:
        """The taggers' names, for messages."""
        return " + ".join(tagger.name for tagger in self.taggers)

    @property
    def data(self) -> Data:
        """What a decision says of the taggers."""
        return {"by": [tagger.name for tagger in self.taggers], "taggers": [tagger.id for tagger in self.taggers]}

    def implications(
        self, mined: Sequence[MinedImplication], levels: Mapping[str, str], file: Path | None
    ) -> Implications:
        """What makes what needless: by a board's file, else Danbooru, by a person's rules, and by the set's own scores.

        Args:
            levels: class of tags → which are kept of it.
        Raises:
            PrepError: the file cannot be read, or a class or level is none.
        """
        board = read_implications(file) if file else tables.implications()
        name, rules = file.name if file else BOARD, self.rules
        return Implications(board, name, rules.imply, confirmed_pairs(mined), rules.distinct, levels)


def known_tags(
    taggers: tuple[Tagger, ...],
    given: GivenRules,
    file: RuleFile,
    left_out: Collection[str],
    tokenizer: Path | None,
) -> KnownTags:
    """Look up what rules name.

    Args:
        given: rules given as options.
        file: rules read from a file.
        left_out: categories that are in no caption.
        tokenizer: the base model's.
    Raises:
        PrepError: rules contradict each other, or the tokenizer cannot be read.
    """
    vocabulary = vocabulary_of(taggers)
    rules = tag_rules(given, file, vocabulary)
    names = Names(vocabulary, resolved(rules.rename))
    tokens = load_tokens(tokenizer) if tokenizer else None
    banned = ban(rules.blacklist, vocabulary.categories, left_out)
    return KnownTags(taggers, vocabulary, rules, names, banned, tokens)
