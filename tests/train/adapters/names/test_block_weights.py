"""Block weights as web UIs write them."""

import pytest

from pipeline.core.errors import PrepError
from train.adapters.files.weights import Weights
from train.adapters.names.block_weights import LISTS, PRESETS, block_weights


def test_the_lists_name_their_blocks_and_presets_have_seventeen_numbers():
    assert {count: len(names) for count, names in LISTS.items()} == {12: 12, 17: 17, 20: 20, 26: 26}
    assert {len(numbers.split(",")) for numbers in PRESETS.values()} == {17}


def test_a_preset_by_hand():
    """OUTD is 1, then seven 0, then 1 for OUT03 to OUT06 (the ninth to the twelfth of the list)."""
    found = block_weights("OUTD")
    assert {name for name, weight in found.items() if weight} == {"BASE", "OUT03", "OUT04", "OUT05", "OUT06"}
    assert found["IN00"] == 0, "a block that a list does not name counts 0"
    assert block_weights("outd") == found


def test_a_list_of_sdxl_and_pairs():
    found = block_weights("1,0,0,0,0,0.5,1,1,0,0,0,0")
    assert (found["M00"], found["OUT00"], found["OUT02"], found["BASE"]) == (0.5, 1, 0, 1)
    assert block_weights("IN=0, OUT04=0.5") == {"IN": 0.0, "OUT04": 0.5}


def test_all_and_none_mean_every_block():
    assert set(block_weights("ALL0.5").values()) == {0.5} and "OUT11" in block_weights("ALL0.5")
    assert Weights(1.0, 1.0, 1.0, block_weights("ALL")).of(True, "IN00") == 1


@pytest.mark.parametrize(
    ("text", "reported"),
    [("1,2,3", "has 3 block weights"), ("OUTT", "no block weights called 'OUTT'; did you mean OUTS"),
     ("OUT4=1", "'OUT4' is no block"), ("IN=x", "'x' is no weight"), (",".join(["nan"] * 17), "'nan' is no weight")],
)  # fmt: skip
def test_what_is_wrong_is_told(text, reported):
    with pytest.raises(PrepError) as caught:
        block_weights(text)
    assert reported in caught.value.message


def test_a_layers_weight_by_hand():
    weights = Weights(0.5, 2.0, 0.3, {"IN": 0.1, "IN04": 4.0})
    assert weights.of(True, "IN04") == 4.0, ".5 · 2 · 4"
    assert weights.of(True, "IN05") == pytest.approx(0.1)
    assert weights.of(True, "M00") == 1.0
    assert weights.of(False, "BASE") == pytest.approx(0.15)
