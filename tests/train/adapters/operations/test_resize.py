"""Lower ranks by QR and a small SVD are the best there are, and extraction finds what lies between two checkpoints."""

import pytest
import torch
from adapter_files import CONV, LINEAR, NAMES, POINT, SQUARE, TEXT, made, miniature, single_file, weight_at, write
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tolerance import near, rounding

from pipeline.core.errors import PrepError
from train.adapters.algebra.factors import Factors, balanced, of_full_rank
from train.adapters.files.checkpoints import open_checkpoint
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer
from train.adapters.files.reader import open_adapter
from train.adapters.files.weights import Weights
from train.adapters.operations.extract import Extraction, extract_file
from train.adapters.operations.merged_model import merge_into
from train.adapters.operations.resize import resize_file
from train.adapters.operations.spectrum import Cut, spectrum_of, spectrum_of_factors

PRODUCTS = 12
"""That one number of a product of the matrices below sums."""


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 9), st.integers(0, 10**6))
def test_the_spectrum_by_qr_is_that_of_the_product(rows, columns, rank, seed):
    torch.manual_seed(seed)
    factors = Factors(torch.randn(rows, rank), torch.randn(rank, columns))
    product = (factors.up @ factors.down).double()
    small = spectrum_of_factors(factors)
    known = torch.linalg.svdvals(product)
    length = min(len(known), len(small.values))
    scale = float((factors.up.abs() @ factors.down.abs()).max())  # what is summed before it cancels
    assert near(small.values[:length], known[:length], PRODUCTS, max(scale, float(known[0])))
    assert near(small.left @ small.values.diag() @ small.right, product, PRODUCTS, scale)
    dense = spectrum_of(product)
    assert near(dense.values, known, PRODUCTS, max(scale, float(known[0])))
    assert near(dense.left @ dense.values.diag() @ dense.right, product, PRODUCTS, scale)
    whole = of_full_rank(product.float())
    assert near((whole.up @ whole.down).double(), product, PRODUCTS, scale)


def test_what_a_cut_keeps_worked_by_hand():
    values = torch.tensor([4.0, 2.0, 2.0, 1.0])  # squares 16, 4, 4, 1 of 25
    assert Cut(rank=3).kept(values) == 3
    assert Cut(rank=9).kept(values) == 4
    assert Cut(energy=0.64).kept(values) == 1
    assert Cut(energy=0.65).kept(values) == 2
    assert Cut(energy=0.96).kept(values) == 3
    assert Cut(energy=1.0).kept(values) == 4
    assert Cut(rank=1, energy=0.96).kept(values) == 1
    assert Cut(energy=0.9).kept(torch.zeros(3)) == 1


def test_balancing_makes_both_factors_equally_long_and_changes_nothing():
    factors = Factors(torch.tensor([[1e-6, 0.0]]), torch.tensor([[100.0], [5.0]]))
    even = balanced(factors)
    assert even.up[0, 0] == pytest.approx(1e-2)
    assert even.down[0, 0] == pytest.approx(1e-2)
    assert float(even.up @ even.down) == pytest.approx(1e-4)


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr"])
def test_at_full_rank_a_resized_file_does_the_same_and_keeps_its_scale(algorithm, tmp_path):
    layers = made(algorithm)
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    done = resize_file(file, tmp_path / "b.safetensors", Cut(energy=1.0), torch.float32)
    again = open_adapter(tmp_path / "b.safetensors").sound()
    for name, (_, delta) in layers.items():
        layer = again.layer(name)
        assert near(difference(layer, None, delta.shape), delta, products=64 * 9)
        assert layer.scale == pytest.approx(file.layer(name).scale)
    assert done.residual.total < rounding(64 * 9)


def test_a_rank_gives_the_best_approximation_and_the_residual_by_block(tmp_path):
    layers = made("loha")
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    done = resize_file(file, tmp_path / "b.safetensors", Cut(rank=2), torch.float32)
    again, lost, whole = open_adapter(tmp_path / "b.safetensors"), 0.0, 0.0
    for name, (_, delta) in layers.items():
        values = torch.linalg.svdvals(delta.flatten(1))
        best = float(values[2:].norm())
        found = difference(again.layer(name), None, delta.shape)
        assert float((found - delta).norm()) == pytest.approx(best, rel=rounding(512 * 128))
        lost, whole = lost + best**2, whole + float(delta.norm()) ** 2
    assert done.ranks == {2: 5}
    assert done.residual.total == pytest.approx((lost / whole) ** 0.5, rel=rounding(512 * 128))
    blocks = {row["block"]: row["residual"] for row in done.residual.rows()}
    assert blocks.keys() == {"BASE", "IN01", "M00", "OUT04"}  # by the two resnets a block of published models
    assert again.metadata["ss_network_dim"] == "2"
    assert again.metadata["ss_network_alpha"] == "3"


def test_layers_without_factors_stay_and_are_counted(tmp_path):
    layers = [made("full")[LINEAR][0], made("lora", "dora-input")[SQUARE][0], made("lora")[POINT][0]]
    file = open_adapter(write(tmp_path / "a.safetensors", layers))
    done = resize_file(file, tmp_path / "b.safetensors", Cut(rank=1), torch.float32)
    assert done.kept == {"full": 1, "DoRA": 1}
    assert torch.equal(
        open_adapter(tmp_path / "b.safetensors").layer(LINEAR).tensors["diff"], layers[0].tensors["diff"]
    )


def tuned(tmp_path, algorithm: str):
    layers = made(algorithm)
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    merge_into(miniature(), [(file, Weights())], tmp_path / "tuned")
    return open_checkpoint(tmp_path / "tuned")


def test_an_adapter_merged_in_is_taken_out_again(tmp_path):
    model = tuned(tmp_path, "lora")
    base = miniature()
    done = extract_file(
        base, model, tmp_path / "x.safetensors", Extraction(Cut(rank=2), Cut(rank=2)), dtype=torch.float32
    )
    assert set(open_adapter(tmp_path / "x.safetensors").outlines) == set(NAMES)
    assert done.ranks == {2: 5}
    assert done.residual.total < 0.01  # the miniature is stored in half precision
    for name, (_, delta) in made("lora").items():
        found = difference(open_adapter(tmp_path / "x.safetensors").layer(name), None, delta.shape)
        assert float((found - delta).norm()) < 0.01 * float(delta.norm())


def test_energy_chooses_each_layers_rank_and_parts_are_left_out_as_asked(tmp_path):
    model = tuned(tmp_path, "loha")
    done = extract_file(
        miniature(), model, tmp_path / "x.safetensors", Extraction(Cut(energy=0.99), text_encoders=False)
    )
    file = open_adapter(tmp_path / "x.safetensors")
    assert set(file.outlines) == {LINEAR, SQUARE, POINT}
    assert done.residual.total**2 <= 0.01
    assert all(2 <= rank <= 4 for rank in done.ranks)
    assert file.metadata["ss_training_comment"] == "extracted: tuned - base"
    whole = extract_file(miniature(), model, tmp_path / "y.safetensors", Extraction(Cut(rank=4), Cut(rank=1)))
    ranks = {name: outline.rank for name, outline in open_adapter(tmp_path / "y.safetensors").outlines.items()}
    assert ranks == {LINEAR: 4, SQUARE: 4, POINT: 4, TEXT: 4, CONV: 1}
    assert whole.equal > 50


def test_a_folder_and_a_single_file_can_be_compared(tmp_path):
    model = tuned(tmp_path, "lora")
    single = open_checkpoint(single_file(tmp_path / "single.safetensors"))
    extract_file(single, model, tmp_path / "x.safetensors", Extraction(Cut(rank=2), Cut(rank=2)), dtype=torch.float32)
    assert set(open_adapter(tmp_path / "x.safetensors").outlines) == set(NAMES)


def test_a_ckpt_is_extracted_from_as_its_safetensors(tmp_path):
    model = tuned(tmp_path, "lora")
    torch.save(load_file(single_file(tmp_path / "single.safetensors")), tmp_path / "single.ckpt")
    for ending in ("safetensors", "ckpt"):
        single, made = open_checkpoint(tmp_path / f"single.{ending}"), tmp_path / f"{ending}.safetensors"
        extract_file(single, model, made, Extraction(Cut(rank=2), Cut(rank=2)), dtype=torch.float32)
    one, other = load_file(tmp_path / "safetensors.safetensors"), load_file(tmp_path / "ckpt.safetensors")
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_equal_checkpoints_and_other_models_are_refused(tmp_path):
    with pytest.raises(PrepError, match="hold equal weights"):
        extract_file(miniature(), miniature(), tmp_path / "x.safetensors", Extraction(Cut(rank=2)))
    single = open_checkpoint(single_file(tmp_path / "single.safetensors"))
    fewer = type(single)(
        single.path, False, 1, single.files, {key: slot for key, slot in single.slots.items() if key[0] == "unet"}
    )
    with pytest.raises(PrepError, match="lacks layers"):
        extract_file(miniature(), fewer, tmp_path / "x.safetensors", Extraction(Cut(rank=2)))
    assert not (tmp_path / "x.safetensors").exists()


def test_extraction_is_close_on_weights_that_were_changed_at_random(tmp_path):
    layer = Layer(LINEAR, "full", {"diff": torch.randn(512, 64) * 0.1})
    file = open_adapter(write(tmp_path / "a.safetensors", [layer]))
    merge_into(miniature(), [(file, Weights())], tmp_path / "tuned")
    model = open_checkpoint(tmp_path / "tuned")
    extract_file(miniature(), model, tmp_path / "x.safetensors", Extraction(Cut(energy=1.0)), dtype=torch.float32)
    expected = weight_at(model, LINEAR) - weight_at(miniature(), LINEAR)
    found = difference(open_adapter(tmp_path / "x.safetensors").layer(LINEAR))
    assert near(found, expected, products=512)
