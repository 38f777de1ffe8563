"""`prep grid` on the miniature: what it makes, what it keeps, and what it says of what is wrong."""

import io
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageChops
from safetensors.torch import save_file

from pipeline.cli.commands.grid.command import command
from pipeline.core.errors import PrepError
from train.adapters.adapter import Adapter, AdapterConfig
from train.adapters.files.weights import Weights
from train.adapters.names.block_weights import block_weights
from train.grid.cells import Attached
from train.models.load import load_base

PROMPTS = ("--prompt", "1girl, red hair", "--prompt", "1girl, hat")
QUICK = ("--base", "miniature", "--steps", "2", "--size", "32x32", "--device", "cpu")


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", None, "cpu")


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory) -> list[Path]:
    """Two adapters that change something: of the UNet, and of the text encoder too."""
    folder, files = tmp_path_factory.mktemp("adapters"), []
    for seed, text in ((1, False), (2, True)):
        torch.manual_seed(seed)
        made = Adapter(
            AdapterConfig(algorithm="lora", rank=2, alpha=2.0, text_encoder=text), base.unet, *base.text_encoders
        )
        tensors = {
            key: torch.randn_like(value) * 0.2 if "alpha" not in key else value for key, value in made.tensors().items()
        }
        files.append(folder / f"a{seed}.safetensors")
        save_file(tensors, files[-1], {"ss_clip_skip": "1"})
    return files


def grid(folder: Path, *arguments: str) -> dict:
    result = CliRunner().invoke(command, [*QUICK, *arguments, "-o", str(folder), "--json"], standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def images(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "images").glob("*.png")}


def cells(folder: Path) -> dict[tuple[int, ...], str]:
    """Place → image."""
    return {
        tuple(cell["place"].values()): cell["image"]
        for cell in json.loads((folder / "grid.json").read_text("utf-8"))["cells"]
    }


def test_a_grid_of_adapters_and_strengths(adapters, tmp_path):
    arguments = ("--adapter", str(adapters[0]), "--adapter", str(adapters[1]), "--strength", "0,0.5,1", *PROMPTS)
    said = grid(tmp_path, *arguments)
    assert said["images"] == 2 * (2 * 2 + 1), "at strength 0 both adapters are the base model"
    assert said["generated"] == said["images"] and len(images(tmp_path)) == said["images"]
    found = cells(tmp_path)
    assert len(found) == 2 * 3 * 2 and found[0, 0, 0] == found[1, 0, 0] != found[0, 1, 0]
    shown = {name: Image.open(tmp_path / image).tobytes() for name, image in found.items()}
    assert shown[0, 2, 0] != shown[1, 2, 0] != shown[1, 1, 0]
    assert {Path(file).name for file in said["files"]} == {
        "grid.html",
        "sheet-01-prompt-1girl-red-hair.png",
        "sheet-02-prompt-1girl-hat.png",
    }
    text = Image.open(tmp_path / found[1, 1, 1]).info["parameters"]
    assert text.startswith(
        "1girl, hat\nSteps: 2, Sampler: DDIM, CFG scale: 7, Seed: 1000, Size: 32x32, Model: miniature"
    )
    assert "Adapters: a2 0.5" in text


def test_a_grid_that_grows_or_was_killed_costs_what_is_new(adapters, tmp_path):
    first = ("--adapter", str(adapters[0]), "--strength", "0.5,1", *PROMPTS)
    grid(tmp_path, *first)
    before = images(tmp_path)
    lost = sorted(before)[0]
    (tmp_path / "images" / lost).unlink()
    assert grid(tmp_path, *first)["generated"] == 1
    after = images(tmp_path)
    assert after.keys() == before.keys() and after | {lost: b""} == before | {lost: b""}, "those there stay as they are"
    again, once = (Image.open(io.BytesIO(each[lost])) for each in (after, before))
    most = max(high for _, high in ImageChops.difference(again, once).getextrema())
    assert most <= 1, "alone a pixel may round otherwise than in a batch"
    more = grid(tmp_path, "--adapter", str(adapters[0]), "--strength", "0.5,1,1.5", *PROMPTS)
    assert (more["generated"], more["images"]) == (2, 6)
    assert after.items() <= images(tmp_path).items()


def test_parts_and_blocks_have_strengths_of_their_own(adapters, tmp_path):
    said = grid(tmp_path, "--adapter", str(adapters[1]), "--unet", "0,1", "--text", "0,1", *PROMPTS[:2])
    assert said["images"] == 4
    found = {image: Image.open(tmp_path / image).tobytes() for image in cells(tmp_path).values()}
    assert len(set(found.values())) == 4, "none, UNet alone, text encoder alone, both"
    blocks = tmp_path / "blocks"
    grid(blocks, "--adapter", str(adapters[0]), "--blocks", "NONE", "--blocks", "ALL", "--blocks", "IN=0", *PROMPTS[:2])
    none, whole, part = (Image.open(blocks / cells(blocks)[number,]).tobytes() for number in range(3))
    assert len({none, whole, part}) == 3
    grid(blocks, "--adapter", "none", *PROMPTS[:2])
    assert Image.open(blocks / next(iter(cells(blocks).values()))).tobytes() == none


def test_a_prompt_names_an_adapter(adapters, tmp_path):
    grid(tmp_path / "named", "--lora-folder", str(adapters[0].parent), "--prompt", "1girl, <lora:a1:0.5>")
    grid(tmp_path / "given", "--adapter", str(adapters[0]), "--strength", "0.5", "--prompt", "1girl")
    (named,), (given,) = images(tmp_path / "named").items(), images(tmp_path / "given").items()
    assert named == given
    with pytest.raises(PrepError, match=r"<lora:a3>: there is no a3\.safetensors"):
        grid(tmp_path / "missing", "--lora-folder", str(adapters[0].parent), "--prompt", "1girl, <lora:a3:0.5>")
    with pytest.raises(PrepError, match=r"<lora:\.\./a1>: there is no"):
        grid(tmp_path / "out", "--lora-folder", str(adapters[0].parent / "x"), "--prompt", "1girl, <lora:../a1:0.5>")


def test_samplers_and_replacements_vary_too(tmp_path):
    said = grid(
        tmp_path, "--sampler", "Euler a", "--sampler", "DPM++ 2M Karras", "--replace", "red,blue,green", *PROMPTS[:2]
    )
    assert said["images"] == 6
    texts = {Image.open(tmp_path / image).info["parameters"] for image in cells(tmp_path).values()}
    assert len(texts) == 6
    assert any(
        "Sampler: DPM++ 2M, Schedule type: Karras" in text and text.startswith("1girl, green hair") for text in texts
    )
    with pytest.raises(PrepError, match="does not hold 'hat'"):
        grid(tmp_path, "--replace", "hat,cap", *PROMPTS[:2])


def test_a_tagger_looks_at_the_images_once(tmp_path, monkeypatch):
    arguments = ("--tagger", "miniature", "--seed", "1,2", *PROMPTS)
    grid(tmp_path, *arguments)
    found = json.loads((tmp_path / "scores.json").read_text("utf-8"))
    assert len(found["images"]) == 4 and "red hair" in found["vocabulary"]
    page = (tmp_path / "grid.html").read_text(encoding="utf-8")
    assert ">obedience</th>" in page and ">fidelity</th>" not in page, "no set says what its traits are"
    monkeypatch.setattr("taggers.engine.load_tagger", lambda *_: pytest.fail("nothing is new"))
    grid(tmp_path, *arguments)
    monkeypatch.undo()
    with pytest.raises(PrepError, match="no such"):
        grid(tmp_path, "--tagger", "no such", "--seed", "3", *PROMPTS)


def test_what_is_missing_is_told(tmp_path, adapters):
    with pytest.raises(PrepError, match="there is nothing to paint"):
        grid(tmp_path)
    with pytest.raises(PrepError, match=r"there is no adapter 'x\.safetensors'"):
        grid(tmp_path, "--adapter", "x.safetensors", *PROMPTS)
    with pytest.raises(PrepError, match="--size big is no size"):
        grid(tmp_path, "--size", "big", *PROMPTS)
    with pytest.raises(PrepError, match="seed varies, and the prompt '1girl' sets it by itself"):
        grid(tmp_path, "--seed", "1,2", "--prompt", "1girl --d 5")
    assert not (tmp_path / "images").exists()


def test_an_adapter_with_a_part_at_zero_still_acts(adapters):
    def acts(**weights) -> bool:
        return Attached(adapters[0], "", Weights(**weights)).acts

    assert acts(blocks={"IN": 0.0}) and acts(unet=0.0) and acts(blocks=block_weights("MIDD"))
    assert not acts(overall=0.0) and not acts(unet=0.0, text_encoder=0.0) and not acts(blocks=block_weights("NONE"))


def test_a_dry_run_makes_nothing(tmp_path):
    assert grid(tmp_path / "new", "--seed", "1..3", "--dry-run", *PROMPTS) == {
        "folder": str(tmp_path / "new"),
        "images": 6,
        "missing": 6,
    }
    assert not (tmp_path / "new").exists()


def test_texts_of_strangers_are_no_markup_on_the_page(tmp_path):
    grid(tmp_path, "--prompt", "</script><script>alert(1)</script>", "--prompt", "<img src=x onerror=alert(1)>")
    page = (tmp_path / "grid.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img src=x" not in page
    assert page.count("<script") == 2, "the data and the page's own"
