"""The plan for regularization images that a person gave: which image is shown beside which, and how it is cropped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.concepts.regularization.assignment import assign_round_robin, turns_wanted
from pipeline.concepts.regularization.folder_names import EVERYONE
from pipeline.concepts.regularization.user_images import Pools, UserImage, shared
from pipeline.core.files import file_digest
from pipeline.core.links import How
from pipeline.images.buckets import crop_anchors as holding
from pipeline.images.buckets.buckets import Fit, Size, fit
from pipeline.images.buckets.detail_profile import LENGTH, STRIPS
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.reason import Data
from pipeline.store.reasons.tagging import RegularizationReason
from pipeline.store.records import Decision, Image, Link, Plan
from pipeline.store.values import read
from pipeline.store.values.bucket import CENTRE, Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage

MOST_TURNS = 100_000
"""About how many places beside images are assigned in a set, so that the record stays small."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How user images are cropped: what a crop holds on to, and the colour below transparent ones."""

    anchor: str = CENTRE
    background: str = "#ffffff"


def cutting_of(manifest: Manifest) -> Cutting:
    """As `prep bucket` last cropped, but for anchors of single images."""
    from pipeline.images.buckets.background import colour

    run = manifest.last_run("bucket")
    options = run.options if run else {}
    return Cutting(options.get("anchor", CENTRE), colour(options.get("background", "white")))


def plan_user_images(manifest: Manifest, pools: Pools, buckets: Mapping[str, Bucket], how: How, seed: int) -> Plan:
    """User-supplied images assigned to the kept ones round-robin, each as often as the others.

    Args:
        pools: the user images, by whom they are for.
        buckets: the bucket of every kept image.
        how: how files come into the set.
        seed: decides which of equally good ones go together.
    """
    kept = manifest.kept()
    assignments = _assignments(manifest, kept, buckets, pools, seed)
    cutting = cutting_of(manifest)
    pairs = {(each.path, buckets[path].size): each for path, assigned in assignments.items() for each in assigned}
    crops = _crops([(each, size) for (_, size), each in pairs.items()], cutting)
    decisions = tuple(
        Decision(path, "regularization", *_row(assigned, buckets[path].size, crops))
        for path, assigned in assignments.items()
    )
    used = {each.path: each for assigned in assignments.values() for each in assigned}
    links = tuple(Link(each.place, path, how) for path, each in sorted(used.items()) if not _lies_there(manifest, each))
    return Plan(
        "regularize",
        ("regularization",),
        decisions,
        links=links,
        warnings=(*pools.warnings, *_notes(kept, assignments, pools, pairs, crops)),
        table=tuple(_table(kept, assignments, pools)),
    )


# --- who gets which


def _assignments(
    manifest: Manifest, kept: Sequence[Image], buckets: Mapping[str, Bucket], pools: Pools, seed: int
) -> dict[str, list[UserImage]]:
    """Kept image → the user images shown beside it, in turn; those that have none are not among them."""
    from pipeline.core.seeded import rng

    repeats = read.repeats(manifest)
    assignments: dict[str, list[UserImage]] = {}
    for node, places in shared(pools, [image.concept for image in kept]).items():
        paths, pool = [kept[place].path for place in places], pools.images[node]
        shares = [repeats[path].exact if path in repeats else 1.0 for path in paths]
        drawn = _by_repeats(pool, MOST_TURNS)
        turns = turns_wanted(shares, len(drawn), MOST_TURNS * len(places) // len(kept))
        widths = [size[0] / size[1] for size in (buckets[path].size for path in paths)]
        items = [pool[each].size[0] / pool[each].size[1] for each in drawn]
        found = assign_round_robin(shares, widths, items, turns, rng(seed, "given regularization images", node))
        assignments |= {path: [pool[drawn[item]] for item in items] for path, items in zip(paths, found, strict=True)}
    return {image.path: assignments[image.path] for image in kept if image.path in assignments}


def _by_repeats(pool: Sequence[UserImage], most: int) -> list[int]:
    """The places of a pool, each as often as its image's repeats say beside the others'; once each where that is too many."""
    common = math.gcd(*(each.repeats for each in pool))
    drawn = [place for place, each in enumerate(pool) for _ in range(each.repeats // common)]
    return drawn if len(drawn) <= most else list(range(len(pool)))


def _row(
    assigned: Sequence[UserImage], size: Size, crops: Mapping[tuple[str, Size], Bucket]
) -> tuple[RegularizationAssignment, RegularizationReason, Data]:
    """(value, reason, data) of an image's decision."""
    images = tuple(
        RegularizationImage(each.path, each.caption, size, matched=False, bucket=crops[each.path, size])
        for each in assigned
    )
    losses = [crops[each.path, size].loss for each in assigned]
    number = len({each.path for each in assigned})
    figures = {"images": number, "mean_loss": round(sum(losses) / len(losses), 3), "worst_loss": round(max(losses), 3)}
    return RegularizationAssignment(images), RegularizationReason.USER_SUPPLIED, figures


# --- how they are cropped


def _crops(pairs: Sequence[tuple[UserImage, Size]], cutting: Cutting) -> dict[tuple[str, Size], Bucket]:
    """(path, size) → bucket of a user image beside one of that size."""
    if not pairs:
        return {}
    fits = [fit(each.size, size) for each, size in pairs]
    strips = np.zeros((len(pairs), 2, STRIPS), np.uint8)
    for place, (each, _) in enumerate(pairs):
        if len(each.focus) == LENGTH:
            strips[place] = np.frombuffer(bytes.fromhex(each.focus), np.uint8).reshape(2, STRIPS)
    scaled = np.array([each.scaled for each in fits], np.int64)
    sizes = np.array([size for _, size in pairs], np.int64)
    corners = holding.place([cutting.anchor] * len(pairs), scaled, sizes, strips).tolist()
    return {
        (each.path, size): _bucket(each, found, (left, top), cutting)
        for (each, size), found, (left, top) in zip(pairs, fits, corners, strict=True)
    }


def _bucket(each: UserImage, found: Fit, corner: tuple[int, int], cutting: Cutting) -> Bucket:
    (width, height), (left, top) = found.size, corner
    return Bucket(
        found.size,
        found.scaled,
        (left, top, left + width, top + height),
        round(found.loss, 6),
        holding.parse(cutting.anchor).name,
        cutting.background if each.transparent else "",
    )


def _lies_there(manifest: Manifest, each: UserImage) -> bool:
    """Whether a user image is in the set already; its name there tells what it should hold, its bytes whether it does."""
    target = manifest.root / each.path
    try:
        return target.is_file() and file_digest(target) == each.content
    except OSError:
        return False


# --- what a person should know


def _notes(
    kept: Sequence[Image],
    assignments: Mapping[str, Sequence[UserImage]],
    pools: Pools,
    pairs: Mapping[tuple[str, Size], UserImage],
    crops: Mapping[tuple[str, Size], Bucket],
) -> Iterator[str]:
    bare = Counter(image.concept for image in kept if image.path not in assignments)
    for concept, count in sorted(bare.items()):
        yield f"no regularization image of yours is for {concept}: its {count} images are trained on without regularization"
    serving = {pools.of(image.concept) for image in kept}
    for node, images in pools.images.items():
        if node not in serving:
            name = node or "all concepts"
            yield f"{len(images)} images of yours for {name} are not used: every concept there has nearer ones"
    scales: dict[str, float] = {}
    for key, each in pairs.items():
        scale = max(after / before for after, before in zip(crops[key].scaled, each.size, strict=True))
        scales[each.place] = max(scale, scales.get(each.place, 0.0))
    small = {place: scale for place, scale in scales.items() if scale > 1}
    if small:
        worst = max(small, key=lambda place: small[place])
        yield (
            f"images of yours that are upscaled to the sizes of those they go beside: {len(small)}, most of all "
            f"{worst}, {small[worst]:.2f} times"
        )


def _table(
    kept: Sequence[Image], assignments: Mapping[str, Sequence[UserImage]], pools: Pools
) -> Iterator[Mapping[str, Any]]:
    """One row a concept: its images, the user images for it, and beside how many of its images each of these comes."""
    beside: dict[str, Counter[str]] = {}
    for image in kept:
        beside.setdefault(image.concept, Counter()).update(each.path for each in assignments.get(image.path, ()))
    counts = Counter(image.concept for image in kept)
    for concept in sorted(beside):
        node, uses = pools.of(concept), beside[concept].values()
        least = min(uses) if node is not None and len(uses) == len(pools.images[node]) else 0
        yield {
            "concept": concept,
            "images": counts[concept],
            "user_images": len(pools.images[node]) if node is not None else 0,
            "from": "" if node is None else "all" if node == EVERYONE else node,
            "places of each": f"{least} to {max(uses)}" if uses and least != max(uses) else f"{least}",
        }
