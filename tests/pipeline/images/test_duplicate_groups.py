from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.images.duplicate_groups import CLOSE, RADIUS, near_groups, near_links
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Measurement

FOLDER = "images/a/"


def turned(phash: bytes, bits: range) -> bytes:
    """The hash with these bits changed."""
    changed = bytearray(phash)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def random_hash(seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(32)


@pytest.fixture
def record(tmp_path: Path):
    """Make a record of images given as (name, content, source, hash, quality)."""
    opened = []

    def make(*rows):
        manifest = Manifest.open(tmp_path / f"set {len(opened)}", create=True)
        opened.append(manifest)
        with manifest.transaction():
            manifest.put_images(
                Image(f"{FOLDER}{name}", "a", source, content, 1, "copy") for name, content, source, _, _ in rows
            )
            manifest.put_measurements(
                Measurement(content, 64, 64, phash=phash.hex(), hash_quality=quality)
                for _, content, _, phash, quality in rows
                if phash
            )
        return manifest

    yield make
    for manifest in opened:
        manifest.close()


def groups(manifest: Manifest, names) -> dict[str, int]:
    """Name → number of its group."""
    found = near_groups(manifest, [f"{FOLDER}{name}" for name in names])
    return {path.removeprefix(FOLDER): number for path, number in found.items()}


def together(found: dict[str, int]) -> set[frozenset[str]]:
    return {frozenset(path for path in found if found[path] == number) for number in found.values()}


def test_images_near_by_hash_belong_together_and_so_does_what_links_them(record):
    first = random_hash(1)
    manifest = record(
        ("a", "1", "x/1", first, 100),
        ("b", "2", "x/2", turned(first, range(RADIUS)), 100),
        ("c", "3", "x/3", turned(first, range(2 * RADIUS)), 100),
        ("d", "4", "x/4", turned(first, range(100, 100 + RADIUS + 1)), 100),
    )
    found = groups(manifest, "abcd")
    assert found == {"a": 0, "b": 0, "c": 0, "d": 1}, "c is near b only; d is one bit too far"


def test_equal_content_and_one_source_belong_together_without_any_measurement(record):
    manifest = record(
        ("a", "1", "x/1", b"", 0), ("b", "1", "x/2", b"", 0), ("c", "3", "x/2", b"", 0), ("d", "4", "x/4", b"", 0)
    )
    assert groups(manifest, "abcd") == {"a": 0, "b": 0, "c": 0, "d": 1}


def test_images_that_hold_too_little_are_near_nothing_by_hash(record):
    manifest = record(("a", "1", "x/1", random_hash(1), 20), ("b", "2", "x/2", random_hash(1), 20))
    assert groups(manifest, "ab") == {"a": 0, "b": 1}


def test_equal_hashes_belong_together(record):
    manifest = record(("a", "1", "x/1", random_hash(1), 90), ("b", "2", "x/2", random_hash(1), 90))
    assert groups(manifest, "ab") == {"a": 0, "b": 0}


def test_only_the_images_asked_for_are_grouped_and_their_order_changes_nothing(record):
    rows = [(name, name, name, random_hash(seed // 2), 90) for seed, name in enumerate("abcdef")]
    manifest = record(*rows)
    assert groups(manifest, ["e", "b", "f"]) == groups(manifest, ["f", "e", "b"]) == {"b": 0, "e": 1, "f": 1}
    assert groups(manifest, []) == {}


def linked(count: int, links) -> set[frozenset[int]]:
    """Connected parts, by going through the links again and again."""
    label = list(range(count))
    while True:
        before = list(label)
        for one, others in links:
            for other in others:
                label[one] = label[other] = min(label[one], label[other])
        if label == before:
            return {frozenset(place for place in range(count) if label[place] == own) for own in label}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 70)), min_size=1, max_size=30))
def test_all_images_well_within_the_radius_are_linked_and_none_beyond_it(rows):
    hashes = list(dict.fromkeys(turned(random_hash(seed), range(bits)) for seed, bits in rows))
    bits = np.unpackbits(np.array([list(each) for each in hashes], np.uint8), axis=1).astype(int)
    apart = np.abs(bits[:, None] - bits[None]).sum(axis=2)
    exact, sure = (
        linked(len(hashes), [(one, np.flatnonzero(apart[one] <= most)) for one in range(len(hashes))])
        for most in (RADIUS, RADIUS - CLOSE)
    )
    found = linked(len(hashes), near_links([each.hex() for each in hashes]))
    assert all(any(part <= whole for whole in found) for part in sure)
    assert all(any(part <= whole for whole in exact) for part in found)


def test_an_index_of_many_hashes_finds_what_comparing_them_all_finds(monkeypatch):
    rng = np.random.default_rng(3)
    hashes = [rng.bytes(32) for _ in range(300)]
    hashes += [turned(each, range(place % 40)) for place, each in enumerate(hashes[:80]) if place % 40]
    texts = [each.hex() for each in hashes]
    outright = linked(len(texts), near_links(texts))
    monkeypatch.setattr("pipeline.images.hash_index.FEW", 1)
    assert linked(len(texts), near_links(texts)) == outright
    assert any(len(part) > 1 for part in outright)
