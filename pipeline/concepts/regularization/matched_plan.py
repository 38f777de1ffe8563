"""The plan for regularization images that are generated for their images: which prompt, size, seeds and files each has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.concepts.regularization.class_words import ClassWords, Prompt
from pipeline.concepts.regularization.paths import reg_image_paths
from pipeline.core.errors import PrepError
from pipeline.core.humanize import counted
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.reason import Data
from pipeline.store.reasons.tagging import RegularizationReason
from pipeline.store.records import Decision, Image, Plan
from pipeline.store.values import read
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.tags import TagDecision

NAMED = 3
"""How many images or words a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """`count` seeds of every image, from `first` on: the same for all of them, or with `own` ones no two in common."""

    first: int
    count: int = 1
    own: bool = False

    def of(self, place: int, images: int) -> list[int]:
        """Those of the image at a place among so many."""
        first, step = (self.first + place, images) if self.own else (self.first, 1)
        return [first + number * step for number in range(self.count)]


def plan_matched(manifest: Manifest, words: ClassWords, seeds: Seeds, made: Data) -> Plan:
    """`seeds.count` regularization images for every kept image, sampled from its own caption as `words` has it.

    Args:
        made: what is common to all that are generated, for the record.
    Raises:
        PrepError: an image has no bucket or caption yet, or nothing to be prompted by; a class word is for nobody.
    """
    kept, buckets = manifest.kept(), read.buckets(manifest)
    prompts = prompts_of(manifest, words)
    paths = reg_image_paths([image.path for image in kept], seeds.count)
    decisions = []
    for place, image in enumerate(kept):
        prompt, size, own = prompts[image.path], buckets[image.path].size, seeds.of(place, len(kept))
        reg_images = tuple(
            RegularizationImage(path, prompt.text, size, seed)
            for path, seed in zip(paths[image.path], own, strict=True)
        )
        value = RegularizationAssignment(reg_images)
        decisions.append(Decision(image.path, "regularization", value, prompt.reason, {"seeds": own, **made}))
    return Plan("regularize", ("regularization",), tuple(decisions), warnings=tuple(style_notes(kept, words)))


def plan_preservation(manifest: Manifest, words: ClassWords) -> Plan:
    """No image for any: what the base model itself says of every kept image, for its caption as `words` has it, is kept.

    Raises:
        PrepError: as `plan_matched`.
    """
    kept, buckets, decisions = manifest.kept(), read.buckets(manifest), []
    prompts = prompts_of(manifest, words)
    for image in kept:
        text, bucket = prompts[image.path].text, buckets[image.path]
        own = RegularizationImage(image.path, text, bucket.size, bucket=bucket, preserved=True)
        value = RegularizationAssignment((own,))
        decisions.append(
            Decision(image.path, "regularization", value, RegularizationReason.PRESERVED, {"prompt": text})
        )
    same = sum(prompt.reason == RegularizationReason.SAME_CAPTION for prompt in prompts.values())
    notes = list(style_notes(kept, words))
    if same:
        notes.append(
            f"for {counted(same, 'image')} the base model is asked for the caption itself, trigger words too: what these are to "
            "mean is held back; give --class-word girl, or --trigger remove"
        )
    return Plan("regularize", ("regularization",), tuple(decisions), warnings=tuple(notes))


def prompts_of(manifest: Manifest, words: ClassWords) -> dict[str, Prompt]:
    """Kept image → what its regularization images are asked for.

    Raises:
        PrepError: as `plan_matched`.
    """
    captions, tags, kept = read.captions(manifest), manifest.decisions("tags"), manifest.kept()
    buckets = read.buckets(manifest)
    prompts, triggers = dict[str, Prompt](), set[str]()
    for image in kept:
        must_have(manifest, image.path, "bucket", buckets)
        must_have(manifest, image.path, "caption", captions)
        rows: Sequence[TagDecision] = tags[image.path].value if image.path in tags else ()
        triggers.update(row.tag for row in rows if row.is_trigger)
        prompts[image.path] = words.prompt(captions[image.path], rows, image.concept)
    _refuse_idle(kept, words, sorted(triggers))
    _refuse_empty(prompts, captions, words)
    return prompts


def must_have(manifest: Manifest, path: str, field: str, rows: Mapping[str, object]) -> None:
    """
    Raises:
        PrepError: an image lacks the decision of a stage before.
    """
    if path not in rows:
        stage = {"bucket": "bucket", "caption": "curate"}[field]
        raise PrepError(f"{path} has no {field} yet", f"run: prep {stage} {manifest.root}")


def _refuse_empty(prompts: Mapping[str, Prompt], captions: Mapping[str, str], words: ClassWords) -> None:
    """An empty prompt makes images of nothing in particular, which hold the base model at nothing that is trained."""
    empty = [path for path, prompt in prompts.items() if not prompt.text.strip()]
    if not empty:
        return
    bare = not captions[empty[0]].strip()
    why = "has no caption" if bare else f"has the caption {captions[empty[0]]!r}, of which nothing is left"
    ways = "give it a caption" if bare else f"keep the trigger words: {words.way_to_keep}"
    raise PrepError(
        f"regularize: {counted(len(empty), 'image')} would have a regularization image of an empty prompt: {empty[0]} {why}",
        f"name what they show, such as --class-word girl or, for some concepts, [regularize.class_words] in prep.toml; or {ways}",
    )


def _refuse_idle(kept: Sequence[Image], words: ClassWords, triggers: Sequence[str]) -> None:
    concepts = sorted({image.concept for image in kept})
    idle = list(words.idle(concepts, triggers))
    if idle:
        known = ", ".join(triggers[:NAMED]) or "none"
        raise PrepError(
            f"regularize: class_words names {', '.join(idle[:NAMED])}, which is no trigger word and no concept of the set",
            f"give a trigger word ({known}) or a pattern of concepts, such as {concepts[0]}"
            if concepts
            else "leave it out",
        )


def style_notes(kept: Sequence[Image], words: ClassWords) -> Iterator[str]:
    """A word about styles, which regularization takes away ("Stable Diffusion LoRA training science and notes", rentry)."""
    styles = sorted({image.concept for image in kept if words.is_style(image.concept)})
    if not styles:
        return
    named = ", ".join(styles[:NAMED]) + (" …" if len(styles) > NAMED else "")
    unsaid = [style for style in styles if not words.of(style)]
    left = "; class_word is not used for them, as no word says what a style is one of" if words.word and unsaid else ""
    yield (
        f"regularization takes styles away, and {named} are styles (option styles of curate){left}: train them without, by "
        'prior_loss_weights = {"artists/*" = 0} in [train], or leave it so if the style is not wanted'
    )
