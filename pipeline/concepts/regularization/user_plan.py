"""The plan for regularization images that a person gave: which image is shown beside which, and how it is cropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.concepts.regularization.rotation import assign_round_robin, turns_wanted
from pipeline.concepts.regularization.user_images import EVERYONE, Given, Pools, shared
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
"""About how many places beside images are given away in a set, so that the record stays small."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How given images are cropped: what a crop holds on to, and the colour below transparent ones."""

    anchor: str = CENTRE
    background: str = "#ffffff"


def cutting_of(manifest: Manifest) -> Cutting:
    """As `prep bucket` last cropped, but for anchors of single images."""
    from pipeline.images.buckets.background import colour

    run = manifest.last_run("bucket")
    options = run.options if run else {}
    return Cutting(options.get("anchor", CENTRE), colour(options.get("background", "white")))


def plan_given(manifest: Manifest, pools: Pools, buckets: Mapping[str, Bucket], how: How, seed: int) -> Plan:
    """User-supplied images assigned to the kept ones round-robin, each as often as the others.

    Args:
        pools: what was given, by whom it is for.
        buckets: the bucket of every kept image.
        how: how files come into the set.
        seed: decides which of equally good ones go together.
    """
    kept = manifest.kept()
    assignments = _assignments(manifest, kept, buckets, pools, seed)
    cutting = cutting_of(manifest)
    pairs = {(given.path, buckets[path].size): given for path, assigned in assignments.items() for given in assigned}
    crops = _crops([(given, size) for (_, size), given in pairs.items()], cutting)
    decisions = tuple(
        Decision(path, "regularization", *_row(assigned, buckets[path].size, crops))
        for path, assigned in assignments.items()
    )
    used = {given.path: given for assigned in assignments.values() for given in assigned}
    links = tuple(
        Link(given.place, path, how) for path, given in sorted(used.items()) if not _lies_there(manifest, given)
    )
    return Plan(
        "regularize",
        ("regularization",),
        decisions,
        links=links,
        notes=(*pools.notes, *_notes(kept, assignments, pools, pairs, crops)),
        table=tuple(_table(kept, assignments, pools)),
    )


# --- who gets which


def _assignments(
    manifest: Manifest, kept: Sequence[Image], buckets: Mapping[str, Bucket], pools: Pools, seed: int
) -> dict[str, list[Given]]:
    """Kept image → the given ones shown beside it, in turn; those for whom none were given are not among them."""
    from pipeline.core.seeded import rng

    repeats = read.repeats(manifest)
    assignments: dict[str, list[Given]] = {}
    for node, places in shared(pools, [image.concept for image in kept]).items():
        paths, pool = [kept[place].path for place in places], pools.images[node]
        shares = [repeats[path].exact if path in repeats else 1.0 for path in paths]
        turns = turns_wanted(shares, len(pool), MOST_TURNS * len(places) // len(kept))
        widths = [size[0] / size[1] for size in (buckets[path].size for path in paths)]
        items = [given.size[0] / given.size[1] for given in pool]
        found = assign_round_robin(shares, widths, items, turns, rng(seed, "given regularization images", node))
        assignments |= {path: [pool[item] for item in items] for path, items in zip(paths, found, strict=True)}
    return {image.path: assignments[image.path] for image in kept if image.path in assignments}


def _row(
    assigned: Sequence[Given], size: Size, crops: Mapping[tuple[str, Size], Bucket]
) -> tuple[RegularizationAssignment, RegularizationReason, Data]:
    """(value, reason, data) of an image's decision."""
    images = tuple(
        RegularizationImage(given.path, given.caption, size, matched=False, bucket=crops[given.path, size])
        for given in assigned
    )
    losses = [crops[given.path, size].loss for given in assigned]
    number = len({given.path for given in assigned})
    figures = {"images": number, "mean_loss": round(sum(losses) / len(losses), 3), "worst_loss": round(max(losses), 3)}
    return RegularizationAssignment(images), RegularizationReason.USER_SUPPLIED, figures


# --- how they are cropped


def _crops(pairs: Sequence[tuple[Given, Size]], cutting: Cutting) -> dict[tuple[str, Size], Bucket]:
    """(path, size) → bucket of a given image beside one of that size."""
    if not pairs:
        return {}
    fits = [fit(given.size, size) for given, size in pairs]
    strips = np.zeros((len(pairs), 2, STRIPS), np.uint8)
    for place, (given, _) in enumerate(pairs):
        if len(given.focus) == LENGTH:
            strips[place] = np.frombuffer(bytes.fromhex(given.focus), np.uint8).reshape(2, STRIPS)
    scaled = np.array([each.scaled for each in fits], np.int64)
    sizes = np.array([size for _, size in pairs], np.int64)
    corners = holding.place([cutting.anchor] * len(pairs), scaled, sizes, strips).tolist()
    return {
        (given.path, size): _bucket(given, found, (left, top), cutting)
        for (given, size), found, (left, top) in zip(pairs, fits, corners, strict=True)
    }


def _bucket(given: Given, found: Fit, corner: tuple[int, int], cutting: Cutting) -> Bucket:
    (width, height), (left, top) = found.size, corner
    return Bucket(
        found.size,
        found.scaled,
        (left, top, left + width, top + height),
        round(found.loss, 6),
        holding.parse(cutting.anchor).name,
        cutting.background if given.transparent else "",
    )


def _lies_there(manifest: Manifest, given: Given) -> bool:
    """Whether a given image is in the set already; its name there tells what it should hold, its bytes whether it does."""
    target = manifest.root / given.path
    try:
        return target.is_file() and file_digest(target) == given.content
    except OSError:
        return False


# --- what a person should know


def _notes(
    kept: Sequence[Image],
    assignments: Mapping[str, Sequence[Given]],
    pools: Pools,
    pairs: Mapping[tuple[str, Size], Given],
    crops: Mapping[tuple[str, Size], Bucket],
) -> Iterator[str]:
    bare = Counter(image.concept for image in kept if image.path not in assignments)
    for concept, count in sorted(bare.items()):
        yield f"no image is given for {concept}: its {count} images are trained on without regularization"
    serving = {pools.of(image.concept) for image in kept}
    for node, images in pools.images.items():
        if node not in serving:
            name = node or "all concepts"
            yield f"{len(images)} images given for {name} are not used: every concept there has nearer ones"
    scales: dict[str, float] = {}
    for key, given in pairs.items():
        scale = max(after / before for after, before in zip(crops[key].scaled, given.size, strict=True))
        scales[given.place] = max(scale, scales.get(given.place, 0.0))
    small = {place: scale for place, scale in scales.items() if scale > 1}
    if small:
        worst = max(small, key=lambda place: small[place])
        yield (
            f"given images that are upscaled to the sizes of those they go beside: {len(small)}, most of all "
            f"{worst}, {small[worst]:.2f} times"
        )


def _table(
    kept: Sequence[Image], assignments: Mapping[str, Sequence[Given]], pools: Pools
) -> Iterator[Mapping[str, Any]]:
    """One row a concept: its images, those given for it, and beside how many of its images each of these comes."""
    beside: dict[str, Counter[str]] = {}
    for image in kept:
        beside.setdefault(image.concept, Counter()).update(given.path for given in assignments.get(image.path, ()))
    counts = Counter(image.concept for image in kept)
    for concept in sorted(beside):
        node, uses = pools.of(concept), beside[concept].values()
        least = min(uses) if node is not None and len(uses) == len(pools.images[node]) else 0
        yield {
            "concept": concept,
            "images": counts[concept],
            "given": len(pools.images[node]) if node is not None else 0,
            "from": "" if node is None else "all" if node == EVERYONE else node,
            "places of each": f"{least} to {max(uses)}" if uses and least != max(uses) else f"{least}",
        }
