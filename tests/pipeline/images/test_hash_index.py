import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.images import band_index, hash_index
from pipeline.images.band_index import banding
from pipeline.images.hash_index import keepers, near_pairs


def hashes(seed, count, near, most):
    """`near` of `count` random hashes are made from others by flipping up to `most` bits."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    for row in range(count - near, count):
        made[row] = made[rng.integers(0, row)]
        for bit in rng.choice(256, rng.integers(0, most + 1), replace=False):
            made[row, bit // 8] ^= np.uint8(1 << (bit % 8))
    return made


def by_hand(rows, radius):
    bits = np.unpackbits(rows, axis=1).astype(np.int64)
    between = (bits[:, None] != bits[None]).sum(axis=2)
    return {(a, b, int(between[a, b])) for b in range(len(rows)) for a in range(b) if between[a, b] <= radius}


def found(rows, radius):
    pairs = set()
    for a, b, distance in near_pairs(rows, radius, np.ones(len(rows), dtype=bool)):
        assert (a < b).all()
        pairs |= set(zip(a.tolist(), b.tolist(), distance.tolist(), strict=True))
    return pairs


def always(row, others):
    return np.ones(len(others), dtype=bool)


@pytest.mark.parametrize("few", [0, 4096], ids=["by an index", "outright"])
@pytest.mark.parametrize("radius", [0, 1, 3, 7, 15, 16, 24, 31])
def test_the_pairs_are_those_that_comparing_everything_finds(monkeypatch, few, radius):
    monkeypatch.setattr(hash_index, "FEW", few)
    rows = hashes(radius, 300, 150, 36)
    expected = by_hand(rows, radius)
    assert expected and found(rows, radius) == expected


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(0, 31))
def test_the_index_is_exact_for_clusters_too(seed, count, radius):
    rows = hashes(seed, count, count - 1, 12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_index, "FEW", 0)
        assert found(rows, radius) == by_hand(rows, radius)


@pytest.mark.parametrize("count", [2, 5000, 100_000, 10_000_000])
@pytest.mark.parametrize("radius", range(32))
def test_there_are_enough_bands_that_one_of_them_must_fit(count, radius):
    bands, bits, flips = banding(count, radius)
    assert bands * bits <= 256 and bits >= 8
    assert radius < bands * (flips + 1)


def test_hashes_that_differ_in_every_other_bit_of_a_byte_are_four_bits_apart():
    rows = np.zeros((2, 32), dtype=np.uint8)
    rows[1, 5] = 0b01010101
    assert found(rows, 4) == {(0, 1, 4)} and found(rows, 3) == set()


def test_a_dropped_row_is_near_its_keeper_itself_not_through_others():
    rows = np.zeros((4, 32), dtype=np.uint8)
    rows[1, 0], rows[2, :2], rows[3] = 0b1111, (0xFF, 0), 0xFF
    keeper, between = keepers(rows, 4, always, np.ones(4, dtype=bool))
    assert keeper.tolist() == [0, 0, 2, 3] and between.tolist() == [0, 4, 0, 0]


def test_rows_that_are_not_alike_or_may_not_keep_drop_nobody():
    rows = np.zeros((3, 32), dtype=np.uint8)
    assert keepers(rows, 3, lambda row, others: others == 2, np.ones(3, dtype=bool))[0].tolist() == [0, 1, 0]
    assert keepers(rows, 3, always, np.array([False, True, True]))[0].tolist() == [0, 1, 1]


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 31))
def test_every_row_is_kept_or_near_a_kept_one_and_kept_rows_are_apart(seed, radius):
    rows = hashes(seed, 80, 60, 20)
    keeper, between = keepers(rows, radius, always, np.ones(len(rows), dtype=bool))
    pairs = {(a, b): distance for a, b, distance in by_hand(rows, radius)}
    for row, kept in enumerate(keeper.tolist()):
        assert keeper[kept] == kept
        assert row == kept or pairs[kept, row] == between[row]
    kept = np.flatnonzero(keeper == np.arange(len(rows)))
    assert not [pair for pair in pairs if set(pair) <= set(kept.tolist())]


@pytest.mark.parametrize("few", [0, 4096])
def test_thousands_of_equal_hashes_are_asked_for_once(monkeypatch, few):
    monkeypatch.setattr(hash_index, "FEW", few)
    answers = []
    pairs = near_pairs

    def counted(*arguments):
        for answer in pairs(*arguments):
            answers.append(len(answer[0]))
            yield answer

    monkeypatch.setattr(hash_index, "near_pairs", counted)
    keeper, _ = keepers(np.zeros((4000, 32), dtype=np.uint8), 15, always, np.ones(4000, dtype=bool))
    assert (keeper == 0).all()
    assert sum(answers[1:]) == 0 and answers[0] <= hash_index.CHUNK * 4000


@pytest.mark.parametrize("radius", [7, 31])
def test_the_pairs_are_the_same_however_few_candidates_are_looked_at_together(monkeypatch, radius):
    monkeypatch.setattr(hash_index, "FEW", 0)
    monkeypatch.setattr(hash_index, "CROWD", 200)
    monkeypatch.setattr(band_index, "AT_ONCE", 50)
    rows = np.concatenate([hashes(radius, 200, 150, 12), np.zeros((60, 32), dtype=np.uint8)])
    expected = by_hand(rows, radius)
    assert len(expected) > 60 * 59 / 2 and found(rows, radius) == expected


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(0, 31))
def test_keepers_are_the_same_by_the_index_and_outright(seed, radius):
    rows = hashes(seed, 300, 250, 20)
    outright = keepers(rows, radius, lambda row, others: others % 3 > 0, np.arange(300) % 7 > 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_index, "FEW", 0)
        indexed = keepers(rows, radius, lambda row, others: others % 3 > 0, np.arange(300) % 7 > 0)
    assert all((one == other).all() for one, other in zip(outright, indexed, strict=True))
