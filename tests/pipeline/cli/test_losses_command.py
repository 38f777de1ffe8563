"""`prep losses` on a small set with planted faults, and on what it knows of the images."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from decided import decided, trigger
from painted_sets import painted
from PIL import Image as Images
from safetensors.torch import save_file
from tolerance import LOSS

from pipeline.cli.commands.losses import command
from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest
from pipeline.images.measurement import measure_image
from pipeline.images.sheets.loss_sheet import BOX, LINES, Tile, _wrapped, draw_losses
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Image, Tagger
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats
from pipeline.store.values.tags import TagAction, TagDecision
from train.adapters.adapter import Adapter
from train.adapters.option_rules import adapter_config
from train.models.load import load_base
from train.options.recipe import make_recipe, recipe_values

SIZE = (64, 64)
FLAT, COPY, WRONG, EMPTY = 4, 5, 6, 7
TAGS = ("1girl", "solo", "hat")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Nine images: one flat, one a copy of the first, one with a tag that the tagger does not see, one without any."""
    root = tmp_path / "set"
    images, rows, measured, scores = [], [], [], {}
    for number in range(9):
        image = painted(0 if number == COPY else number).resize(SIZE)
        image = Images.new("RGB", SIZE, (180, 180, 190 + number)) if number == FLAT else image
        path = f"images/Lumi/{number} [x].png"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / path, compress_level=number)
        content = file_digest(root / path)
        images.append(Image(path, "Lumi", f"from/{number}.png", content, 1, "copy"))
        measured.append(measure_image(root / path, content))
        scores[content] = {"1girl": 0.9, "solo": 0.85, "hat": 0.02 if number == WRONG else 0.8, "fingerprint": 0.01}
        bucket = Bucket(SIZE, SIZE, (0, 0, *SIZE))
        rows += [
            decided(path, "bucket", bucket),
            decided(path, "caption", "" if number == EMPTY else ", ".join(("Lumi", *TAGS, "fingerprint"))),
            decided(path, "tags", [trigger("Lumi"), TagDecision("fingerprint", TagAction.ADDED, TagReason.FOLDER_TAG)]),
            decided(path, "repeats", Repeats(1.0, 1)),
        ]
    tagger = Tagger("tagger", "1", "p", "cpu", dict.fromkeys(("Lumi", *TAGS, "fingerprint"), "general"))
    rows.append(decided(".", "tagger", [tagger.id]))
    with Manifest.open(root, create=True) as manifest, manifest.transaction():
        run = manifest.begin_run("test", {})
        manifest.put_images(images)
        manifest.put_measurements(measured)
        manifest.put_tagger(tagger)
        manifest.put_scores(tagger.id, scores)
        manifest.put_decisions(run, ("bucket", "caption", "tags", "repeats", "tagger"), rows)
        manifest.finish_run(run, {})
    (root / "prep.toml").write_text('[train]\nbase = "miniature"\n', encoding="utf-8")
    return root


def add_run(root: Path, name: str) -> None:
    """An adapter as a run leaves it; one image was held out."""
    recipe = make_recipe(base="miniature", device="cpu", rank=2, alpha=2.0, name=name)
    base = load_base("miniature", device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter = Adapter(adapter_config(recipe.adapter), base.unet, base.text_encoder)
        for weight in adapter.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    save_file(adapter.tensors(), folder / f"{name}.safetensors")
    (folder / "recipe.json").write_text(json.dumps(recipe_values(recipe)), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"set": {"held out": ["images/Lumi/8 [x].png"]}}), encoding="utf-8")


def losses(root: Path, *arguments: str):
    result = CliRunner().invoke(
        command, [str(root), "--device", "cpu", "--timesteps", "2", *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result


def test_images_are_ranked_with_their_losses_and_reasons(root):
    add_run(root, "mine")
    found = json.loads(losses(root, "--name", "mine", "--count", "3", "--json").stdout)
    reasons = {row["path"]: " / ".join(row["reasons"]) for row in found["images"]}
    assert len(reasons) == 9 and found["run"] == "mine" and found["timesteps"] == 2

    def of(number: int) -> str:
        return reasons[f"images/Lumi/{number} [x].png"]

    assert "flat: contrast 0" in of(FLAT)
    assert "1 near-duplicate in the set: images/Lumi/0 [x].png" in of(COPY)
    assert "the tagger does not see: hat (0.02)" in of(WRONG) and not any(
        word in of(WRONG) for word in ("Lumi (", "fingerprint (")
    )
    assert "empty caption" in of(EMPTY)
    assert "held out of training" in of(8)
    ranked = sorted(found["images"], key=lambda row: -row["adapter"])
    assert [row["path"] for row in found["hardest"]] == [row["path"] for row in ranked[:3]]
    assert [row["path"] for row in found["easiest"]] == [row["path"] for row in ranked[::-1][:3]]
    assert all(row["change"] == pytest.approx(row["adapter"] / row["base"] - 1) for row in ranked)
    assert any(row["adapter"] != row["base"] for row in ranked)
    assert found["mean"]["base"] == pytest.approx(sum(row["base"] for row in ranked) / 9)
    with Images.open(root / "runs/mine/losses.png") as sheet:
        assert sheet.width > 3 * BOX and sheet.height > 2 * BOX


def test_without_a_run_the_base_model_of_the_settings_is_looked_at_and_that_is_said(root):
    result = losses(root, "--count", "2")
    assert "run adapter has no adapter yet: 9 images with miniature alone" in result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["hardest", "hardest", "easiest", "easiest"]
    assert lines[0].split() == ["image", "base", "possible", "reasons"]
    assert "such as images/Lumi/" in result.stderr and "--json lists all" in result.stderr
    assert (root / "reports" / "losses.png").is_file() and not (root / "runs").exists()


def test_the_same_losses_come_again_and_the_base_models_do_not_depend_on_the_adapter(root):
    alone = json.loads(losses(root, "--json").stdout)
    add_run(root, "adapter")
    beside, again = (json.loads(losses(root, "--json").stdout) for _ in range(2))
    assert beside == again and beside["run"] == "adapter"
    bases = [{row["path"]: row["base"] for row in found["images"]} for found in (alone, beside)]
    assert bases[0] == pytest.approx(bases[1], rel=LOSS)


@pytest.mark.parametrize("name", ["lost", "../runs/mine"])
def test_a_run_that_is_not_there_is_an_error_that_names_those_that_are(root, name):
    (root / "runs" / "mine").mkdir(parents=True)
    (root / "runs" / "mine" / "mine.safetensors").touch()
    with pytest.raises(PrepError, match=r"there is no adapter of a run '.*'; runs with one: mine") as caught:
        losses(root, "--name", name)
    assert "prep train" in caught.value.hint


def test_a_damaged_recipe_is_an_error_and_no_traceback(root):
    (root / "runs" / "mine").mkdir(parents=True)
    (root / "runs" / "mine" / "mine.safetensors").touch()
    (root / "runs" / "mine" / "recipe.json").write_text("[]", encoding="utf-8")
    with pytest.raises(PrepError, match=r"recipe\.json cannot be read, .*: no table of values"):
        losses(root, "--name", "mine")


# --- the sheet


def tile(root: Path, name: str, reasons: tuple[str, ...] = ()) -> Tile:
    bucket = Bucket((40, 20), (40, 20), (0, 0, 40, 20))
    return Tile(name, bucket, "loss 0.1", reasons)


def test_images_fill_their_places_and_one_that_cannot_be_read_leaves_its_own_empty(tmp_path):
    Images.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "a.png")
    tiles = [tile(tmp_path, "a.png"), tile(tmp_path, "gone\n[/bold].png", ("odd",))]
    draw_losses(tmp_path, tmp_path / "sheet.png", {"Hardest": tiles, "Easiest": []})
    with Images.open(tmp_path / "sheet.png") as sheet:
        red = sum(pixel == (255, 0, 0) for pixel in sheet.convert("RGB").getdata())
    assert red == BOX * BOX // 2


def test_reasons_are_broken_into_lines_and_no_more_than_fit():
    lines = _wrapped(["one two three " * 20, "four"])
    assert len(lines) == LINES and lines[-1].endswith(" …")
    assert _wrapped(["short", "other"]) == ["short", "other"] and _wrapped([]) == []
