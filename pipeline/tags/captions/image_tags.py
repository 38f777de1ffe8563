"""One image with the tags that its scores, the names and the blacklist leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.store.reasons.tags import TagCause
from pipeline.store.records import Image
from pipeline.tags.captions.build import Names, chosen_tags
from pipeline.tags.captions.selection import Combine, TaggerVote, best_rating, choose_together
from pipeline.tags.captions.triggers import names_in, spelled, subjects
from pipeline.tags.statistics.survey import SurveyedImage
from pipeline.tags.vocabulary.person_count import people, several_pictures
from pipeline.tags.vocabulary.quality_tags import flags_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChoice:
    """How the scores of an image become tags.

    `votes` and `combine` choose them (`choose_together`), `floor` is the probability below which a tag is not considered;
    `names` and `banned` are those of `chosen_tags`; `rating` asks for the most probable rating; `triggers` and
    `from_folder` are those of `subjects`, `spelling` that of `one_spelling`.
    """

    votes: tuple[TaggerVote, ...]
    combine: Combine
    floor: float
    largest_gap: bool
    rating: bool
    names: Names
    banned: Callable[[str], TagCause | None]
    triggers: Mapping[str, str]
    from_folder: bool
    spelling: Mapping[str, str]

    def of_image(self, image: Image, scores: Mapping[str, Mapping[str, float]]) -> SurveyedImage:
        """The image with its chosen tags; `scores` is tagger id → tag → probability."""
        choices = choose_together(scores, self.votes, self.combine, self.floor, self.largest_gap)
        rating = None
        if self.rating:
            ratings = (best_rating(scores[vote.name], vote.categories) for vote in self.votes if vote.name in scores)
            rating = next((found for found in ratings if found is not None), None)
        ledger = chosen_tags(choices, self.names, self.banned, rating)
        held = {tag: score for tag, score, chosen, _ in choices if chosen}
        counted = people(held)
        named = len(names_in(image.concept))
        return SurveyedImage(
            image.path,
            image.concept,
            spelled(subjects(image.concept, self.triggers, self.from_folder), self.spelling),
            bool(scores),
            max(counted or 0, named) if named > 1 else counted,
            ledger,
            rating,
            flags_of(held),
            not several_pictures(held),
        )
