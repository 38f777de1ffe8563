"""`prep adapter`: what a person types and sees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from tolerance import rounding

from pipeline.cli.commands.adapter.group import command
from pipeline.core.errors import PrepError

ROOT = Path(__file__).parents[3]
SQUARE = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
TEXT = "lora_te_text_model_encoder_layers_1_mlp_fc1"


def lora(file: Path, value: float = 1.0, **metadata: str) -> Path:
    tensors = {}
    for name, (out, inside) in {SQUARE: (128, 128), TEXT: (512, 128)}.items():
        torch.manual_seed(int(value))
        tensors[f"{name}.lora_up.weight"] = torch.randn(out, 4) * value * 0.01
        tensors[f"{name}.lora_down.weight"] = torch.randn(4, inside)
        tensors[f"{name}.alpha"] = torch.tensor(2.0)
    save_file(tensors, file, metadata)
    return file


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and isinstance(result.exception, PrepError):
        raise result.exception
    assert result.exit_code == code, (result.output, result.exception)
    return result


def answer(*arguments: object) -> dict:
    return json.loads(run(*arguments, "--json").stdout)


def test_info_says_what_a_file_is_and_who_renders_it(tmp_path):
    tags = json.dumps({"24_Lumi": {"Lumi": 24, "red hat": 7}, "3_Nox": {"red hat": 2}})
    file = lora(tmp_path / "a ✨ [x].safetensors", **{"ss_tag_frequency": tags, "modelspec.trigger_phrase": "Lumi"})
    found = answer("info", file)
    assert found["algorithms"] == {"lora": 2}
    assert found["ranks"] == {"4": 2}
    assert found["scales"] == {"0.5": 2}
    assert found["parts"] == {"text encoder": 1, "UNet": 1}
    assert found["metadata"]["tags"] == {"Lumi": 24, "red hat": 9}
    assert found["hashes"]["matches"] is None
    assert all(client["renders"] for client in found["clients"].values())
    assert [row["block"] for row in found["blocks"]] == ["BASE", "M00"]
    tensors = load_file(file)
    product = tensors[f"{SQUARE}.lora_up.weight"] @ tensors[f"{SQUARE}.lora_down.weight"] * 0.5
    assert found["blocks"][1]["norm"] == pytest.approx(float(product.norm()), rel=rounding(128 * 128))
    shown = run("info", file).stdout
    assert "a ✨ [x].safetensors" in shown
    assert "Lumi 24, red hat 9" in shown


def test_a_converted_file_carries_its_hash_and_a_changed_one_is_noticed(tmp_path):
    run("convert", lora(tmp_path / "a.safetensors"), "-o", tmp_path / "b.safetensors")
    assert answer("info", tmp_path / "b.safetensors")["hashes"]["matches"] is True
    raw = bytearray((tmp_path / "b.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "b.safetensors").write_bytes(raw)
    assert answer("info", tmp_path / "b.safetensors")["hashes"]["matches"] is False
    assert "its weights were changed" in run("info", tmp_path / "b.safetensors").stdout


def test_merging_takes_weights_for_all_or_for_each(tmp_path):
    one, other = lora(tmp_path / "a.safetensors", 1), lora(tmp_path / "b.safetensors", 2)
    out = tmp_path / "m.safetensors"
    found = answer("merge", one, other, "-o", out, "--weight", 0.5, "--weight", 2, "--unet", 0.5, "--block", "2:base=0")
    assert found["layers"] == 2
    assert answer("info", out)["ranks"] == {"8": 1, "4": 1}
    run("merge", one, other, "-o", out, "--weight", 1, "--weight", 1, "--weight", 1, code=2)
    with pytest.raises(PrepError, match="there is no file 3"):
        run("merge", one, other, "-o", tmp_path / "n.safetensors", "--block", "3:M00=1")


def test_an_adapter_goes_into_the_miniature_and_comes_out_again(tmp_path):
    file = lora(tmp_path / "a.safetensors", 1)
    answer("merge", file, "--into", "miniature", "-o", tmp_path / "model")
    found = answer("extract", "miniature", tmp_path / "model", "-o", tmp_path / "x.safetensors", "--rank", 4)
    assert found["ranks"] == {"4": 2}
    assert found["residual"] < 0.05
    assert {row["block"] for row in found["blocks"]} == {"BASE", "M00"}
    before, after = load_file(file), load_file(tmp_path / "x.safetensors")

    def delta(tensors):
        up, down = tensors[f"{TEXT}.lora_up.weight"].float(), tensors[f"{TEXT}.lora_down.weight"].float()
        return up @ down * float(tensors[f"{TEXT}.alpha"]) / 4

    assert float((delta(before) - delta(after)).norm()) < 0.05 * float(delta(before).norm())


def test_resizing_tells_what_is_left_out(tmp_path):
    file = lora(tmp_path / "a.safetensors")
    found = answer("resize", file, "-o", tmp_path / "b.safetensors", "--rank", 2)
    assert found["ranks"] == {"2": 2}
    assert 0.3 < found["residual"] < 0.9
    assert answer("info", tmp_path / "b.safetensors")["scales"] == {"0.5": 2}
    by_norm = answer("resize", file, "-o", tmp_path / "c.safetensors", "--frobenius", 0.99)
    assert by_norm["residual"] ** 2 <= 1 - 0.99**2
    run("resize", file, "-o", tmp_path / "d.safetensors", code=2)
    run("resize", file, "-o", tmp_path / "d.safetensors", "--energy", 0.5, "--frobenius", 0.5, code=2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x04cos\nsystem\n.", "is a pickle, which could run code"),
        (b"", "not a readable safetensors file"),
        ((2**60).to_bytes(8, "little") + b"{}", "not a readable safetensors file"),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, "not a readable safetensors file"),
        ((2).to_bytes(8, "little") + b"[]", "not a readable safetensors file"),
    ],
)
def test_what_is_no_adapter_is_refused_in_words(content, words, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(PrepError, match=words):
        run("info", tmp_path / "a.safetensors")


def test_a_pickle_a_missing_file_and_a_checkpoint_are_refused_in_words(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"\x80\x04.")
    with pytest.raises(PrepError, match="pickle"):
        run("info", tmp_path / "a.ckpt")
    with pytest.raises(PrepError, match="there is no file"):
        run("info", tmp_path / "b.safetensors")
    save_file({"model.diffusion_model.out.2.weight": torch.zeros(2)}, tmp_path / "c.safetensors")
    with pytest.raises(PrepError, match="holds no layer of an adapter"):
        run("info", tmp_path / "c.safetensors")


def test_the_help_needs_no_torch():
    code = (
        "import sys; from click.testing import CliRunner; from pipeline.cli.commands.adapter.group import command\n"
        "for name in ('', *command.commands):\n"
        "    assert CliRunner().invoke(command, [*filter(None, [name]), '--help']).exit_code == 0\n"
        "assert 'torch' not in sys.modules and 'train' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
