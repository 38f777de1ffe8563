"""Whose scores count, and what they say of every image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.core.errors import PrepError
from pipeline.images.duplicate_heirs import heirs
from pipeline.store.manifest import Manifest
from pipeline.store.records import THE_SET, Image, Tagger
from pipeline.tags.captions.selection import BOORU, TaggerVote
from pipeline.tags.captions.thresholds import limits_of
from pipeline.tags.vocabulary.aliases import Vocabulary

NO_TAGGER = "none"
_BATCH = 500


def chosen_taggers(manifest: Manifest, asked: str, booru: bool = True) -> tuple[Tagger, ...]:
    """The taggers whose scores count: those asked for (names joined by +), else those that `prep tag` used last, else any.

    Args:
        booru: tags from image boards count too, whichever tagger is asked for.
    Raises:
        PrepError: there are no scores by one that is asked for.
    """
    if asked == NO_TAGGER:
        return ()
    known = manifest.taggers()
    chosen = _chosen(manifest, asked, {id: tagger for id, tagger in known.items() if booru or tagger.name != BOORU})
    boards = [tagger for tagger in known.values() if tagger.name == BOORU and tagger not in chosen] if booru else []
    return (*chosen, *boards)


def boards_left_out(manifest: Manifest, asked: str, booru: bool) -> tuple[str, ...]:
    """That tags of image boards, which are a person's, are in no caption although they were not turned off."""
    boards = [tagger.id for tagger in manifest.taggers().values() if tagger.name == BOORU]
    count = len(set().union(*map(manifest.scored, boards))) if booru and asked == NO_TAGGER else 0
    if not count:
        return ()
    return (
        f"tags of image boards (booru) of {count} images are in no caption, as tagger is {NO_TAGGER}; to have them alone, "
        f"give --tagger {BOORU}",
    )


def _chosen(manifest: Manifest, asked: str, known: Mapping[str, Tagger]) -> tuple[Tagger, ...]:
    if asked:
        names = [asked] if _named(known, asked) else asked.split("+")
        found = {name.strip(): _named(known, name.strip()) for name in names}
        lost = [name for name, tagger in found.items() if tagger is None]
        if lost:
            names = list(dict.fromkeys(tagger.name for tagger in known.values())) or ["none yet"]
            raise PrepError(
                f"no scores by {lost[0]!r}; there are scores by: {', '.join(names)}",
                f"run first: prep tag --model {lost[0]} {manifest.root}",
            )
        return tuple({tagger.id: tagger for tagger in found.values() if tagger}.values())
    chosen = manifest.decisions("tagger").get(THE_SET)
    value = chosen.value if chosen is not None else []
    last = tuple(known[name] for name in value if name in known)
    return last or tuple(known.values())[-1:]


def _named(known: Mapping[str, Tagger], name: str) -> Tagger | None:
    """The newest tagger of a name or id."""
    return next((tagger for tagger in reversed(list(known.values())) if name in (tagger.name, tagger.id)), None)


def vocabulary_of(taggers: Sequence[Tagger]) -> Vocabulary:
    """The tags of all taggers; of several categories for one tag the first tagger's. Two labels of one tagger stay two;
    only people at image boards write one thing in several ways."""
    categories: dict[str, str] = {}
    for tagger in taggers:
        categories = {**tagger.categories, **categories}
    return Vocabulary(categories, tuple(tagger.categories for tagger in taggers if tagger.name != BOORU))


def votes(
    taggers: Sequence[Tagger], by_category: Mapping[str, float], by_tag: Mapping[str, float]
) -> tuple[TaggerVote, ...]:
    """The taggers with their thresholds; see `limits_of` for those that a person gave."""
    return tuple(TaggerVote(tagger.id, tagger.categories, limits_of(tagger, by_category, by_tag)) for tagger in taggers)


def scored(
    manifest: Manifest, taggers: Sequence[Tagger], images: Sequence[Image]
) -> Iterator[tuple[Image, dict[str, dict[str, float]]]]:
    """Every image with tagger id → tag → probability; a few hundred at a time, as all of them fill the memory."""
    of_copies = _board_tags_of_copies(manifest, [tagger.id for tagger in taggers if tagger.name == BOORU])
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        contents = tuple({image.content for image in batch})
        ids = tuple(tagger.id for tagger in taggers)
        found: dict[str, dict[str, dict[str, float]]] = {}
        for content, tagger, scores in manifest.scores_of(contents, ids):
            found.setdefault(content, {})[tagger] = scores
        for image in batch:
            own = found.get(image.content, {})
            for tagger, tags in of_copies.get(image.path, {}).items():
                own = {**own, tagger: {**tags, **own.get(tagger, {})}}
            yield image, own


def _board_tags_of_copies(manifest: Manifest, boards: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Kept image → board → the tags that its dropped copies had there: people gave them, so they are the kept one's."""
    copies = heirs(manifest) if boards else {}
    contents = {image.path: image.content for image in manifest.images()} if copies else {}
    wanted = {contents[copy]: keeper for keeper, dropped in copies.items() for copy in dropped if copy in contents}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for content, board, tags in manifest.scores_of(tuple(wanted), tuple(boards)) if wanted else ():
        found.setdefault(wanted[content], {}).setdefault(board, {}).update(tags)
    return found
