"""Turn scores into captions: choose, rename, consolidate, prune what the trigger should absorb, trigger words first.

Every tag considered leaves a row that says what became of it and why. A caption file that a person changed is taken
in and wins over every rule; delete the file to have prep write it again. No model is needed: a new threshold is a new
plan from the same scores.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.captions import NOT_UTF8, WRITTEN, lost, plain
from pipeline.errors import PrepError
from pipeline.manifest import Manifest
from pipeline.records import THE_SET, Decision, Image, Plan, Tagger
from pipeline.tags.captions import Rules, Subject, caption_tags, chosen_tags
from pipeline.tags.choose import best_rating, choose
from pipeline.tags.core import Core, Pictured, alone_by_trigger, core_tags
from pipeline.tags.names import canonical, split_caption
from pipeline.tags.people import people
from pipeline.tags.quality import quality_flag
from pipeline.tags.rows import Ledger
from pipeline.tags.triggers import names_in, sharing_words, trigger_words
from taggers.spec import USUAL, published_thresholds

NAME = "curate"
READS = ("images", "keep", "scores", "human", "tagger")
OBSERVES = "tagger"
NO_TAGGER = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    tagger: str = ""
    """Whose scores to use, by name; the tagger used last if not given, none for captions of trigger words only."""
    general: float | None = None
    """Probability from which a general tag holds; what the model publishes if not given."""
    character: float | None = None
    """Probability from which a character tag holds; what the model publishes if not given."""
    threshold: Literal["fixed", "gap"] = "fixed"
    """Cut at the thresholds, or in the largest gap of each picture's probabilities, held between 0.15 and 0.5."""
    floor: float = 0.1
    """Probability below which a tag is not even listed as considered."""
    rating: bool = False
    """Add the most probable rating as a tag, such as rating:general."""
    prune: Literal["core", "none"] = "core"
    """Drop the traits that make a character (core), so that the trigger word absorbs them, or keep them (none)."""
    core_share: float = 0.75
    """Share of a trigger word's own single-person pictures that must show a trait for it to be core."""
    core_lift: float = 1.3
    """How many times more often than other pictures they must show it."""
    core_pictures: int = 5
    """Single-person pictures a trigger word needs before anything is called core."""
    consolidate: bool = True
    """Drop a tag beside one that says more: hat beside witch hat."""
    compose: Literal["none", "garments", "all"] = "garments"
    """Join what belongs together on one person: boots and red footwear to red boots; all joins hair as well, such as
    long white hair."""
    keep_quality: bool = False
    """Leave watermark, signature, text, censoring and border tags in captions instead of flagging the picture."""
    blacklist: tuple[str, ...] = ()
    """Tag, or pattern such as *background*, to leave out of every caption."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Another name for a tag."""
    triggers: Mapping[str, str] = field(default_factory=dict)
    """Trigger words of a concept or of a name in its folder, separated by commas; Lumi="lumi, white witch"."""
    trigger_from: Literal["folder", "none"] = "folder"
    """Take the name of the last folder as trigger word where none is given; it is split at +."""
    media: Mapping[str, str] = field(default_factory=dict)
    """Tag for every picture below a folder of that name; screenshots="anime screenshot"."""
    max_tags: int = 0
    """Tags in a caption beside the trigger words, those at the end of it go first; 0 is no limit."""
    separator: str = ", "
    """What stands between two tags."""

    def __post_init__(self) -> None:
        for name in ("general", "character", "floor", "core_share"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0 < value <= 1):
                raise PrepError(f"{name} is {value}", "give a probability above 0, at most 1")
        if not (math.isfinite(self.core_lift) and self.core_lift >= 1):
            raise PrepError(
                f"core_lift is {self.core_lift}", "give 1 or more; below 1 a trait would be rarer than elsewhere"
            )
        if self.core_pictures < 1 or self.max_tags < 0:
            raise PrepError(
                f"core_pictures is {self.core_pictures}, max_tags is {self.max_tags}",
                "give at least 1 picture, and 0 tags for no limit",
            )
        if "," not in self.separator or "\n" in self.separator:
            raise PrepError(f"separator is {self.separator!r}", 'give a comma with or without spaces, such as ", "')
        for option in ("rename", "media"):
            for key, text in getattr(self, option).items():
                if not text.strip() or "," in text or "\n" in text:
                    raise PrepError(
                        f"{option}: {key} = {text!r}", "give one tag, without commas; to drop a tag use blacklist"
                    )


def observe(manifest: Manifest, options: Options) -> str:
    """Whose scores would be used."""
    tagger = _tagger(manifest, options)
    return tagger.id if tagger else ""


def missing(manifest: Manifest, options: Options) -> str:
    return lost(manifest)


def plan(manifest: Manifest, options: Options) -> Plan:
    """One caption and one list of considered tags for every kept picture."""
    tagger = _tagger(manifest, options)
    images = manifest.kept()
    human = {path: plain(text) for path, text in manifest.human().items()}
    if tagger is None and options.tagger != NO_TAGGER and any(image.path not in human for image in images):
        raise PrepError(
            "no picture was scored yet",
            f"run first: prep tag {manifest.root}; or give --tagger {NO_TAGGER} for trigger words only",
        )
    return _Curating(manifest, options, tagger, images, human).plan()


class _Curating:
    """A plan in the making."""

    def __init__(
        self,
        manifest: Manifest,
        options: Options,
        tagger: Tagger | None,
        images: tuple[Image, ...],
        human: Mapping[str, str],
    ) -> None:
        self.manifest, self.options, self.tagger, self.images, self.human = manifest, options, tagger, images, human
        self.categories = dict(tagger.categories) if tagger else {}
        self.rules = _rules(options, self.categories)
        self.thresholds = _thresholds(options, tagger)
        self.triggers = {
            image.path: trigger_words(image.concept, options.triggers, options.trigger_from == "folder")
            for image in images
        }
        scores = manifest.scores(tagger.id) if tagger else {}
        self.scores = {image.path: scores[image.content] for image in images if image.content in scores}
        rows = manifest.decisions("human")
        self.odd = {path for path, row in rows.items() if row.value is None}
        self.origin = {path: row.evidence for path, row in rows.items()}
        self.ledgers: dict[str, Ledger] = {}
        self.people: dict[str, int | None] = {}
        for image in images:
            self._choose(image)
        self.pictured = [
            Pictured(self.triggers[path], frozenset(ledger.alive), self.people[path] in (None, 1))
            for path, ledger in self.ledgers.items()
            if path in self.scores
        ]
        self.cores: Mapping[str, Mapping[str, Core]] = {}
        if options.prune == "core":
            self.cores = core_tags(self.pictured, options.core_share, options.core_lift, options.core_pictures)
        self.flags: Counter[str] = Counter()

    def _choose(self, image: Image) -> None:
        scores = self.scores.get(image.path, {})
        choices = choose(scores, self.categories, self.thresholds, self.options.floor, self.options.threshold == "gap")
        self.people[image.path] = _people({each.tag: each.score for each in choices if each.chosen}, image)
        rating = best_rating(scores, self.categories) if self.options.rating else None
        self.ledgers[image.path] = chosen_tags(choices, self.rules, rating)

    def plan(self) -> Plan:
        decisions = tuple(decision for image in self.images for decision in self._decide(image))
        table = tuple(
            {
                "trigger": core.trigger,
                "core tag": core.tag,
                "share": round(core.share, 3),
                "lift": None if math.isinf(core.lift) else round(core.lift, 2),
                "figures": core.figures,
            }
            for cores in self.cores.values()
            for core in cores.values()
        )
        return Plan(
            NAME,
            ("caption", "tags"),
            decisions,
            notes=tuple(self._notes(decisions)),
            table=table,
            counts={f"flag: {flag}": count for flag, count in sorted(self.flags.items())},
        )

    def _decide(self, image: Image) -> Iterator[Decision]:
        """The caption and tags of one picture; no caption where the file beside it must not be touched."""
        if image.path in self.odd:
            yield Decision(image.path, "tags", [], NOT_UTF8, "left alone")
            return
        for tag in self.ledgers[image.path].alive:
            if flag := quality_flag(tag):
                self.flags[flag] += 1
        if image.path in self.human:
            text = self.human[image.path]
            yield Decision(image.path, "caption", text, WRITTEN, self.origin[image.path])
            rows = tuple((tag, "kept", WRITTEN) for tag in dict.fromkeys(split_caption(text)))
            yield Decision(image.path, "tags", [list(row) for row in rows], "tags by a person")
            return
        scores = self.scores.get(image.path)
        parts = dict.fromkeys(image.concept.split("/"))
        media = tuple(dict.fromkeys(self.options.media[part] for part in parts if part in self.options.media))
        rating = best_rating(scores, self.categories) if scores and self.options.rating else None
        subject = Subject(self.triggers[image.path], self.people[image.path], media, rating)
        order, rows = caption_tags(self.ledgers[image.path], subject, self.rules, self.cores)
        left = set(order) - set(subject.triggers)
        reason = "not scored" if scores is None else "chosen" if left else "no tag is left"
        seen = f"scores by {self.tagger.name}" if scores is not None and self.tagger else "no scores"
        evidence = f"{len(order)} tags, {len(rows) - len(order)} more considered"
        yield Decision(image.path, "caption", self.options.separator.join(order), reason, evidence)
        yield Decision(image.path, "tags", [list(row) for row in rows], seen, self.tagger.id if self.tagger else "")

    # --- what a person should know

    def _notes(self, decisions: tuple[Decision, ...]) -> Iterator[str]:
        captions = {decision.path: decision for decision in decisions if decision.field == "caption"}
        yield from self._notes_on_scores(captions)
        yield from self._notes_on_triggers(captions)
        odd = [decision.path for decision in decisions if decision.reason == NOT_UTF8]
        if odd:
            yield f"{_many(odd)} with a caption file that is not UTF-8, not used and not touched; save it as UTF-8"
        if self.options.prune == "core":
            few = [
                f"{trigger} has {len(own)}"
                for trigger, own in alone_by_trigger(self.pictured).items()
                if len(own) < self.options.core_pictures
            ]
            if few:
                yield (
                    f"core tags need {self.options.core_pictures} pictures of one person alone: {', '.join(few)}; "
                    "their traits stay in captions"
                )
        for flag, count in sorted(self.flags.items()):
            if not self.options.keep_quality:
                yield f"{count} picture{'s' * (count != 1)} flagged {flag}: the caption is silent, the picture is not"

    def _notes_on_scores(self, captions: Mapping[str, Decision]) -> Iterator[str]:
        tagger = self.tagger
        if (
            tagger
            and published_thresholds(tagger.name) is None
            and self.options.threshold == "fixed"
            and None in (self.options.general, self.options.character)
        ):
            yield (
                f"{tagger.name} publishes no thresholds: {self.thresholds['general']} is taken for general tags, "
                f"{self.thresholds['character']} for characters"
            )
        unscored = [path for path in captions if path not in self.scores and path not in self.human]
        if tagger and unscored:
            yield f"{_many(unscored)} without scores by {tagger.name}; run: prep tag {self.manifest.root}"
        bare = [path for path, decision in captions.items() if decision.reason == "no tag is left"]
        if bare:
            yield f"{_many(bare)} left without tags"
        empty = [path for path, decision in captions.items() if not decision.value]
        if empty:
            yield f"{_many(empty)} with an empty caption"
        if tagger:
            known = {*self.categories, *self.rules.rename.values()}
            lost = [
                tag
                for tag in (*self.rules.rename, *self.rules.blacklist)
                if not set("*?[") & set(tag) and tag not in known
            ]
            if lost:
                yield f"rename and blacklist: {tagger.name} has no tag called {', '.join(sorted(set(lost)))}"

    def _notes_on_triggers(self, captions: Mapping[str, Decision]) -> Iterator[str]:
        used = {word for words in self.triggers.values() for word in words}
        late = [
            path
            for path, decision in captions.items()
            if decision.reason == WRITTEN
            and self.triggers[path]
            and list(split_caption(decision.value))[: len(self.triggers[path])] != list(self.triggers[path])
        ]
        if late:
            yield f"{_many(late)} with a caption by a person that does not begin with the trigger words"
        for one, other, shared in sharing_words(used):
            yield f"the trigger words {one} and {other} share {shared!r}, which lets them blend"
        taken = sorted(word for word in used if canonical(word) in self.categories)
        if taken:
            yield f"trigger words that are tags already, with a meaning of their own: {', '.join(taken)}"
        concepts = {image.concept for image in self.images}
        names = {name for concept in concepts for name in names_in(concept)}
        lost = [key for key in self.options.triggers if key not in concepts | names]
        if lost:
            yield f"triggers: no concept or name {', '.join(lost)}; there are: {', '.join(sorted(names))}"
        parts = {part for concept in concepts for part in concept.split("/")}
        lost = [key for key in self.options.media if key not in parts]
        if lost:
            yield f"media: no folder {', '.join(lost)}; there are: {', '.join(sorted(parts))}"


def _rules(options: Options, categories: dict[str, str]) -> Rules:
    rename = {canonical(old): canonical(new) for old, new in options.rename.items()}
    inherited = {new: categories[old] for old, new in rename.items() if old in categories}
    return Rules(
        {**inherited, **categories},
        rename,
        tuple(canonical(each) for each in options.blacklist),
        options.keep_quality,
        options.consolidate,
        options.compose != "none",
        options.compose == "all",
        options.max_tags,
    )


def _thresholds(options: Options, tagger: Tagger | None) -> dict[str, float]:
    published = (published_thresholds(tagger.name) if tagger else None) or USUAL
    given = {"general": options.general, "character": options.character}
    return {**published, **{category: value for category, value in given.items() if value is not None}}


def _tagger(manifest: Manifest, options: Options) -> Tagger | None:
    """The tagger whose scores count: the one named, else the one that `prep tag` used last, else any."""
    if options.tagger == NO_TAGGER:
        return None
    taggers = manifest.taggers()
    chosen = manifest.decisions("tagger").get(THE_SET)
    if not options.tagger and chosen is not None and chosen.value in taggers:
        return taggers[chosen.value]
    found = [tagger for tagger in taggers.values() if options.tagger in ("", tagger.name, tagger.id)]
    if not found and options.tagger:
        names = ", ".join(dict.fromkeys(tagger.name for tagger in taggers.values())) or "none yet"
        raise PrepError(
            f"no scores by {options.tagger!r}; there are scores by: {names}",
            f"run first: prep tag --model {options.tagger} {manifest.root}",
        )
    return found[-1] if found else None


def _people(tags: Mapping[str, float], image: Image) -> int | None:
    """Persons by the tags, and no fewer than the folder's name tells of."""
    counted, named = people(tags), len(names_in(image.concept))
    return max(counted or 0, named) if named > 1 else counted


def _many(paths: list[str]) -> str:
    return f"{len(paths)} picture{'s' * (len(paths) != 1)} (such as {paths[0]})"
