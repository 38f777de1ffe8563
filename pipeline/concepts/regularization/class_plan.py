"""The plan for images of the class: generated from prompts that are made of the set's own tags, near to captions but none of
them ("easy route" of "Stable Diffusion LoRA training science and notes", rentry).

A prompt is an image's caption with its class word, and with the core traits that were pruned into the trigger word; a third
of its other tags gives way to tags of other images of the concept. There are as many as the image has repeats, so that an
epoch shows each once, and every one has a seed of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count as counting

import numpy as np

from pipeline.concepts.regularization.class_words import ClassWords
from pipeline.concepts.regularization.matched_plan import prompts_of, style_notes
from pipeline.concepts.regularization.paths import reg_image_paths
from pipeline.core.caption_text import split_tags
from pipeline.core.seeded import rng
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.reason import Data
from pipeline.store.reasons.tagging import RegularizationReason
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Decision, Plan
from pipeline.store.values import read
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.values.tags import TagDecision

MOST = 1000
"""Images of the class beside one image."""
TRIES = 8
"""Draws of a prompt that is no caption of the set; where there is none, as of a single tag, the last is taken."""


def plan_class(manifest: Manifest, words: ClassWords, seed: int, count: int, made: Data) -> Plan:
    """`count` images of the class for every exposure that an image has in an epoch.

    Args:
        seed: the first one; each image has the next.
        made: what is common to all that are generated, for the record.
    Raises:
        PrepError: an image has no bucket or caption yet, or nothing to be prompted by; a class word is for nobody.
    """
    kept, buckets, repeats = manifest.kept(), read.buckets(manifest), read.repeats(manifest)
    prompts = {
        path: prompt.text
        for path, prompt in prompts_of(
            manifest, replace(words, trigger="remove", way_to_keep="--images matched")
        ).items()
    }
    numbers = {
        image.path: min(MOST, max(1, math.ceil(count * (repeats[image.path].exact if image.path in repeats else 1))))
        for image in kept
    }
    paths = reg_image_paths([image.path for image in kept], max(numbers.values(), default=1))
    taken = {frozenset(split_tags(text)) for text in prompts.values()}
    of_concept = _tags_by_concept(prompts, {image.path: image.concept for image in kept})
    traits, seeds, decisions = _traits(manifest), counting(seed), []
    for image in kept:
        pool, core = of_concept[image.concept], traits.get(image.path, ())
        heads = {words.of(image.concept, trigger) for trigger in (*manifest.trigger_words().get(image.path, ()), "")}
        reg_images = []
        for number in range(numbers[image.path]):
            draw = rng(seed, "prompt of the class", image.path, number)
            text = _near(prompts[image.path], core, heads, pool, taken, draw)
            place = paths[image.path][number]
            reg_images.append(RegularizationImage(place, text, buckets[image.path].size, next(seeds), matched=False))
        data = {"seeds": [each.seed for each in reg_images], **made}
        value = RegularizationAssignment(tuple(reg_images))
        decisions.append(Decision(image.path, "regularization", value, RegularizationReason.CLASS_PROMPTS, data))
    return Plan("regularize", ("regularization",), tuple(decisions), warnings=tuple(style_notes(kept, words)))


def _near(
    text: str,
    core: Sequence[str],
    heads: set[str],
    pool: Mapping[str, int],
    taken: set[frozenset[str]],
    draw: np.random.Generator,
) -> str:
    """A prompt near to a caption: its class word and core traits, two thirds of its other tags, and others of its concept."""
    tags = list(split_tags(text))
    front = [tag for tag in tags if tag in heads]
    rest = [tag for tag in tags if tag not in heads]
    others = sorted(set(pool) - set(tags))
    said = tags
    for _ in range(TRIES):
        gone = min(len(rest), max(1, round(len(rest) / 3)))
        stays = [rest[place] for place in sorted(draw.permutation(len(rest))[gone:])]
        chances = np.array([pool[tag] for tag in others], float)
        size = min(max(gone, 1 if others else 0), len(others))
        new = list(draw.choice(others, size, replace=False, p=chances / chances.sum())) if size else []
        said = list(dict.fromkeys([*front, *core, *stays, *map(str, new)]))
        if said and frozenset(said) not in taken:
            break
    return ", ".join(said or tags)


def _tags_by_concept(prompts: Mapping[str, str], concepts: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Concept → tag → in how many of its prompts it stands."""
    found: dict[str, dict[str, int]] = {}
    for path, text in prompts.items():
        counts = found.setdefault(concepts[path], {})
        for tag in dict.fromkeys(split_tags(text)):
            counts[tag] = counts.get(tag, 0) + 1
    return found


def _traits(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Image → the core traits of what it shows, which its trigger word says."""
    rows: Mapping[str, Sequence[TagDecision]] = {
        path: row.value for path, row in manifest.decisions("tags").items() if row.value
    }
    return {path: tuple(row.tag for row in tags if row.reason == TagReason.CORE) for path, tags in rows.items()}
