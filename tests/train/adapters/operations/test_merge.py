"""Merging adds differences, weighted by part and block, into an adapter or a checkpoint."""

import shutil
from pathlib import Path

import pytest
import torch
from adapter_files import (
    CONV,
    LINEAR,
    MINIATURE,
    NAMES,
    POINT,
    SQUARE,
    TEXT,
    made,
    miniature,
    single_file,
    weight_at,
    write,
)
from diffusers import UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tolerance import HALF, rounding

from pipeline.core.errors import PrepError
from train.adapters.files.checkpoints import open_checkpoint
from train.adapters.files.delta import difference
from train.adapters.files.layer import Layer
from train.adapters.files.reader import open_adapter
from train.adapters.files.weights import Weights
from train.adapters.names.kohya_names import layer_path_of
from train.adapters.operations.merge import merge_adapters
from train.adapters.operations.merged_model import merge_into
from train.adapters.operations.spectrum import Cut
from train.models.families.key_map import Blocks


def two(tmp_path: Path, first: str = "lora", second: str = "loha"):
    """Two files, and what they should do together at 0.5 and -2."""
    one, other = made(first, seed=1), made(second, seed=2)
    files = [
        open_adapter(write(tmp_path / f"{name} [x].safetensors", [layer for layer, _ in layers.values()]))
        for name, layers in (("one", one), ("other", other))
    ]
    return files, {name: 0.5 * one[name][1] - 2 * other[name][1] for name in NAMES}


def differences(file: Path, names=NAMES) -> dict[str, torch.Tensor]:
    opened, base = open_adapter(file).sound(), miniature()
    return {name: difference(opened.layer(name), weight_at(base, name)) for name in names}


def close(one: torch.Tensor, other: torch.Tensor, share: float = 1e-5) -> bool:
    return float((one - other).norm()) <= share * float(other.norm())


@pytest.mark.parametrize(
    ("second", "form"), [("lora", "lora"), ("loha", "lora"), ("glora", ""), ("full", "full"), ("ia3", "full")]
)
def test_a_merged_adapter_does_what_its_sources_do_together(second, form, tmp_path):
    (one, other), expected = two(tmp_path, second=second)
    sources = [(one, Weights(0.5)), (other, Weights(-2.0))]
    done = merge_adapters(sources, tmp_path / "m.safetensors", miniature(), dtype=torch.float32)
    assert done.layers == len(NAMES)
    assert not form or set(done.forms) == {form}
    found = differences(tmp_path / "m.safetensors")
    assert all(close(found[name], expected[name]) for name in NAMES)


def test_ranks_stand_side_by_side_so_that_no_factor_meets_anothers(tmp_path):
    (one, other), _ = two(tmp_path, second="lora")
    merge_adapters([(one, Weights()), (other, Weights())], tmp_path / "m.safetensors")
    assert {outline.rank for outline in open_adapter(tmp_path / "m.safetensors").outlines.values()} == {4}


def test_a_rank_wanted_gives_the_best_lora_of_that_rank_and_says_what_is_lost(tmp_path):
    (one, other), expected = two(tmp_path)
    sources = [(one, Weights(0.5)), (other, Weights(-2.0))]
    done = merge_adapters(sources, tmp_path / "m.safetensors", cut=Cut(rank=3), dtype=torch.float32)
    found = differences(tmp_path / "m.safetensors")
    lost = whole = 0.0
    for name in NAMES:
        values = torch.linalg.svdvals(expected[name].flatten(1))
        best = float(values[3:].norm())
        assert float((found[name] - expected[name]).norm()) == pytest.approx(best, rel=rounding(512 * 128))
        lost, whole = lost + best**2, whole + float(values.norm()) ** 2
    assert done.residual == pytest.approx((lost / whole) ** 0.5, rel=rounding(512 * 128))


def test_unet_text_encoder_and_blocks_have_weights_of_their_own(tmp_path):
    (one, _), _ = two(tmp_path)
    weights = Weights(2.0, unet=0.5, text_encoder=0.25, blocks={"M00": 3.0, "IN01": 0.0})
    done = merge_adapters([(one, weights)], tmp_path / "m.safetensors", miniature(), dtype=torch.float32)
    before, left = differences(one.path), [POINT, SQUARE, TEXT]
    found = differences(tmp_path / "m.safetensors", left)
    for name, weight in {POINT: 1.0, SQUARE: 3.0, TEXT: 0.5}.items():
        assert close(found[name], weight * before[name])
    assert done.forms["left out at weight 0"] == 2  # LINEAR and CONV stand in IN01
    assert not {LINEAR, CONV} & open_adapter(tmp_path / "m.safetensors").outlines.keys()


def test_a_section_gives_its_blocks_a_weight_and_a_block_its_own():
    weights = Weights(blocks={"OUT": 0.5, "OUT03": 2.0, "BASE": 4.0, "MID": 8.0})

    def at(name: str) -> float:
        return weights.at(layer_path_of(name), Blocks(1))

    assert (at(POINT), at(SQUARE), at(TEXT), at(LINEAR)) == (2.0, 8.0, 4.0, 1.0)
    assert at(POINT.replace("attentions_1", "attentions_0")) == 0.5
    assert at("lora_unet_conv_out") == 1.0


def test_a_block_that_does_not_exist_is_refused():
    with pytest.raises(PrepError, match="IN12"):
        Weights(blocks={"IN12": 1.0})


def test_norms_and_biases_are_summed_too(tmp_path):
    def file(name: str, value: float):
        norm = Layer(
            "lora_unet_out_0", "norm", {"w_norm": torch.full((64,), value), "b_norm": torch.full((64,), value)}
        )
        layer = made("full", names=[LINEAR])[LINEAR][0]
        biased = Layer(LINEAR, "full", dict(layer.tensors) | {"diff_b": torch.full((512,), value)})
        return open_adapter(write(tmp_path / f"{name}.safetensors", [norm, biased]))

    merge_adapters([(file("a", 1.0), Weights(2.0)), (file("b", 3.0), Weights(1.0))], tmp_path / "m.safetensors")
    merged = open_adapter(tmp_path / "m.safetensors")
    assert merged.layer("lora_unet_out_0").tensors["w_norm"].tolist() == [5.0] * 64
    assert merged.layer(LINEAR).tensors["diff_b"].tolist() == [5.0] * 512
    base = miniature()
    merge_into(base, [(merged, Weights(0.5))], tmp_path / "model")
    for path, what, by in (("conv_norm_out", "bias", 2.5), ("conv_norm_out", "weight", 2.5)):
        slot = base.slots["unet", path, what]
        after = load_file(tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors")[slot.key]
        assert torch.allclose(after.float(), base.tensor(slot).float() + by, rtol=HALF)


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "glora", "oft", "ia3"])
def test_a_folder_merged_with_an_adapter_has_the_sums_as_weights_and_loads(algorithm, tmp_path):
    layers = made(algorithm)
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    base = miniature()
    merge_into(base, [(file, Weights(0.75))], tmp_path / "model")
    after = open_checkpoint(tmp_path / "model")
    for name, (_, delta) in layers.items():
        expected = (weight_at(base, name) + 0.75 * delta).half().float()
        assert torch.allclose(weight_at(after, name), expected, rtol=2 * HALF, atol=rounding(64)), "the next half"
    same = [
        layer_path
        for layer_path in base.layer_paths()
        if layer_path.path not in {layer_path_of(name).path for name in NAMES}
    ]
    assert all(
        torch.equal(base.tensor(base.slot(layer_path)), after.tensor(after.slot(layer_path)))
        for layer_path in same[::7]
    )
    assert UNet2DConditionModel.from_pretrained(tmp_path / "model", subfolder="unet")
    for part in ("vae/config.json", "tokenizer/vocab.json", "model_index.json"):
        assert (tmp_path / "model" / part).read_bytes() == (MINIATURE / part).read_bytes()
    assert not list(tmp_path.glob(".prep-*"))


def test_a_single_file_is_merged_in_its_own_layout(tmp_path):
    layers = made("lora")
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in layers.values()]))
    single = open_checkpoint(single_file(tmp_path / "single.safetensors"))
    merge_into(single, [(file, Weights())], tmp_path / "out.safetensors")
    before, after = load_file(tmp_path / "single.safetensors"), load_file(tmp_path / "out.safetensors")
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert len(changed) == len(NAMES)
    merged = open_checkpoint(tmp_path / "out.safetensors")
    for name, (_, delta) in layers.items():
        assert torch.allclose(weight_at(merged, name), weight_at(single, name) + delta, rtol=1.01 * HALF, atol=2.0**-25)
    with safe_open(tmp_path / "out.safetensors", framework="pt") as opened:
        assert opened.metadata()["modelspec.merged_from"] == "single, a (1)"


def test_a_ckpt_is_merged_into_as_its_safetensors_and_runs_nothing(tmp_path):
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in made("lora").values()]))
    single = single_file(tmp_path / "single.safetensors")
    torch.save({"state_dict": load_file(single)}, tmp_path / "single.ckpt")
    for name in ("single.safetensors", "single.ckpt"):
        merge_into(open_checkpoint(tmp_path / name), [(file, Weights())], tmp_path / f"{name}.out.safetensors")
    one, other = (load_file(tmp_path / f"single.{ending}.out.safetensors") for ending in ("safetensors", "ckpt"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    torch.save({"state_dict": object}, tmp_path / "evil.ckpt")
    with pytest.raises(PrepError, match="would run code"):
        open_checkpoint(tmp_path / "evil.ckpt")


def test_nothing_is_added_to_weights_of_8_bits_that_have_a_scale(tmp_path):
    file = open_adapter(write(tmp_path / "a.safetensors", [layer for layer, _ in made("lora").values()]))
    tensors = load_file(single_file(tmp_path / "single.safetensors"))
    tensors["model.diffusion_model.time_embed.0.scale_weight"] = torch.tensor(2.0)
    save_file(tensors, tmp_path / "scaled.safetensors")
    with pytest.raises(PrepError, match="stored in 8 bits with a scale"):
        merge_into(open_checkpoint(tmp_path / "scaled.safetensors"), [(file, Weights())], tmp_path / "o.safetensors")


def test_an_adapter_given_as_a_checkpoint_is_called_one(tmp_path):
    file = write(tmp_path / "a.safetensors", [layer for layer, _ in made("lora").values()])
    with pytest.raises(PrepError, match="it is an adapter, no base model"):
        open_checkpoint(file)


def test_openclip_attention_is_changed_in_its_third_of_the_joint_weight(tmp_path):
    unet = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)}
    start = "cond_stage_model.model.transformer.resblocks.0"
    joint = {f"{start}.attn.in_proj_weight": torch.zeros(24, 8), f"{start}.mlp.c_fc.weight": torch.zeros(32, 8)}
    save_file(unet | joint, tmp_path / "c.safetensors")
    layers = [
        Layer(f"lora_te_text_model_encoder_layers_0_{inner}", "full", {"diff": torch.ones(rows, 8)})
        for inner, rows in (("self_attn_k_proj", 8), ("mlp_fc1", 32))
    ]
    file = open_adapter(write(tmp_path / "a.safetensors", layers))
    merge_into(open_checkpoint(tmp_path / "c.safetensors"), [(file, Weights(2.0))], tmp_path / "o.safetensors")
    after = load_file(tmp_path / "o.safetensors")
    assert after[f"{start}.attn.in_proj_weight"][:, 0].tolist() == [0.0] * 8 + [2.0] * 8 + [0.0] * 8
    assert after[f"{start}.mlp.c_fc.weight"].unique().tolist() == [2.0]


def test_the_layer_of_openclip_that_sd_2_leaves_out_is_no_layer_of_the_model(tmp_path):
    unet = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)}
    start = "cond_stage_model.model.transformer.resblocks"
    last = {f"{start}.{number}.mlp.c_fc.weight": torch.zeros(32, 8) for number in (22, 23)}
    save_file(unet | last, tmp_path / "c.safetensors")
    paths = [
        layer_path.path
        for layer_path in open_checkpoint(tmp_path / "c.safetensors").layer_paths()
        if layer_path.part == "te"
    ]
    assert paths == ["text_model.encoder.layers.22.mlp.fc1"]


def test_models_that_do_not_match_are_refused_by_name(tmp_path):
    wide = Layer(LINEAR, "lora", {"lora_up.weight": torch.ones(512, 2), "lora_down.weight": torch.ones(2, 65)})
    beyond = Layer(LINEAR.replace("_0_att", "_3_att"), "lora", made("lora")[LINEAR][0].tensors)
    for layer, words in ((wide, "does not fit the model"), (beyond, "down_blocks.3.attentions.0")):
        file = open_adapter(write(tmp_path / "a.safetensors", [layer]))
        with pytest.raises(PrepError, match=words):
            merge_into(miniature(), [(file, Weights())], tmp_path / "model")
        assert not (tmp_path / "model").exists()


def test_adapters_of_two_families_are_refused(tmp_path):
    def file(name: str, width: int):
        layer = {"lora_up.weight": torch.ones(320, 1), "lora_down.weight": torch.ones(1, width)}
        layer_path = SQUARE.replace("attn1_to_q", "attn2_to_k")
        return open_adapter(write(tmp_path / f"{name}.safetensors", [Layer(layer_path, "lora", layer)]))

    with pytest.raises(PrepError, match=r"do not match: .*is for sd1.*is for sdxl"):
        merge_adapters([(file("a", 768), Weights()), (file("b", 2048), Weights())], tmp_path / "m.safetensors")


def test_a_checkpoint_is_not_written_over_itself_nor_over_what_is_no_model(tmp_path):
    file = open_adapter(write(tmp_path / "a.safetensors", [made("lora")[LINEAR][0]]))
    shutil.copytree(MINIATURE, tmp_path / "model")
    copied = open_checkpoint(tmp_path / "model")
    with pytest.raises(PrepError, match="is the checkpoint itself"):
        merge_into(copied, [(file, Weights())], tmp_path / "model", overwrite=True)
    (tmp_path / "pictures").mkdir()
    with pytest.raises(PrepError, match="no model folder"):
        merge_into(copied, [(file, Weights())], tmp_path / "pictures", overwrite=True)
    merge_into(copied, [(file, Weights())], tmp_path / "other")
    merge_into(copied, [(file, Weights(0.5))], tmp_path / "other", overwrite=True)
    assert torch.allclose(
        weight_at(open_checkpoint(tmp_path / "other"), LINEAR),
        weight_at(copied, LINEAR) + 0.5 * difference(file.layer(LINEAR)),
        rtol=1.01 * HALF,
        atol=2.0**-25,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "model", "pictures", "other"}
