"""prep sample: here rather than beside the other stages, as it needs an adapter and a prepared set."""

import json

import pytest
import torch
from PIL import Image

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text
from pipeline.stages import sample
from pipeline.stages.sample import Options
from pipeline.store.running.runner import preview_stage, run_stage
from train.adapters.metadata import write_adapter
from train.models.load import load_base
from train.options.recipe import make_recipe, recipe_values
from train.session import new_adapter


@pytest.fixture
def trained(prepared):
    """The prepared set with an adapter that changes images, in runs/adapter."""
    recipe, base = make_recipe(base="miniature", device="cpu", rank=4), load_base("miniature", None, "cpu")
    adapter, folder = new_adapter(recipe, base), prepared.root / "runs" / "adapter"
    generator = torch.Generator().manual_seed(1)
    tensors = {
        key: value if key.endswith(".alpha") else value + 0.1 * torch.randn(value.shape, generator=generator)
        for key, value in adapter.tensors().items()
    }
    write_adapter(folder / "adapter.safetensors", tensors, {})
    write_text(folder / "recipe.json", json.dumps(recipe_values(recipe)))
    return prepared


def options(**given):
    return Options(**{"steps": 2, "count": 1, "width": 64, "height": 64, "device": "cpu", **given})


def quiet(what, done, total):
    pass


def listing(manifest):
    return json.loads((manifest.root / "runs/adapter/samples/samples.json").read_text(encoding="utf-8"))


def test_a_prompts_own_options_go_before_the_stages(trained):
    prompts = ("1girl, Lumi", "1girl, Lumi --w 48 --h 83 --d 5 --s 3 --l 1 --n hat")
    asked = options(prompts=prompts, count=2, negative="smile")
    run_stage(trained, sample.STAGE, asked, quiet)
    rows = listing(trained)
    assert [row["prompt"] for row in rows] == ["1girl, Lumi"] * 4
    assert [row["seed"] for row in rows] == [1000, 1001, 5, 6]
    assert [(row["size"], row["steps"], row["guidance"], row["negative"]) for row in rows] == [
        ([64, 64], 2, 7.0, "smile")
    ] * 2 + [([48, 80], 3, 1.0, "hat")] * 2
    files = [trained.root / row[which] for row in rows for which in ("base", "adapter")]
    assert len(set(files)) == 8 and all(file.is_file() for file in files)
    assert rows[0]["base"] == "runs/adapter/samples/01 1girl Lumi seed 1000 base.png"
    with Image.open(trained.root / rows[2]["adapter"]) as image:
        assert image.size == (48, 80)
        assert image.info["parameters"].startswith("1girl, Lumi\nNegative prompt: hat\nSteps: 3, Sampler: DDIM")
    for row in rows:
        with Image.open(trained.root / row["base"]) as base, Image.open(trained.root / row["adapter"]) as adapter:
            assert base.tobytes() != adapter.tobytes()


def test_the_plan_shows_what_is_painted_and_says_which_sizes_are_changed(trained):
    asked = options(prompts=("a --w 519",), count=3)
    plan = preview_stage(trained, sample.STAGE, asked, quiet)
    assert plan.counts == {"prompts": 1, "images": 6}
    assert plan.table[0]["size"] == "512×64" and plan.table[0]["first seed"] == 1000
    assert plan.info == ("prompt 1 is generated at 512×64 instead of 519×64: sides are multiples of 8",)


def test_without_prompts_every_trigger_word_is_painted_at_the_commonest_size(trained):
    plan = preview_stage(trained, sample.STAGE, options(width=None, height=None), quiet)
    assert [row["prompt"] for row in plan.table] == ["1girl, Lumi"]
    assert plan.table[0]["size"] in ("32×32", "24×40")


def test_prompts_of_a_file_are_painted_and_painted_anew_when_it_changes(trained, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("# two\n1girl --d 1\n2girls --d 2\n", encoding="utf-8")
    asked = options(file=file)
    assert not run_stage(trained, sample.STAGE, asked, quiet).fresh
    assert [(row["prompt"], row["seed"]) for row in listing(trained)] == [("1girl", 1), ("2girls", 2)]
    assert run_stage(trained, sample.STAGE, asked, quiet).fresh
    file.write_text("1girl --d 3\n", encoding="utf-8")
    assert not run_stage(trained, sample.STAGE, asked, quiet).fresh
    assert [(row["prompt"], row["seed"]) for row in listing(trained)] == [("1girl", 3)]


def test_a_wrong_prompt_is_refused_before_anything_is_loaded_and_names_its_place(trained, tmp_path):
    (tmp_path / "prompts.txt").write_text("a\nb --cn x.png\n", encoding="utf-8")
    asked = options(prompts=("x --w 1",), file=tmp_path / "prompts.txt")
    with pytest.raises(PrepError) as caught:
        preview_stage(trained, sample.STAGE, asked, quiet)
    first, second = caught.value.message.splitlines()
    assert first.startswith("sample: prompts, 1: --w is '1'")
    assert second.startswith(f"{tmp_path / 'prompts.txt'}, line 2: --cn")


HOSTILE = ("../../x", "CON", "a/b\\c:d", "<b>", "𝔞" * 300, "…", "1girl --d 3", "1girl --d 3", "...")


def test_files_are_named_safely_and_apart_whatever_a_prompt_holds(trained):
    run_stage(trained, sample.STAGE, options(prompts=HOSTILE, width=16, height=16, steps=1), quiet)
    rows, folder = listing(trained), trained.root / "runs/adapter/samples"
    files = [trained.root / row[which] for row in rows for which in ("base", "adapter")]
    assert len(set(files)) == 2 * len(HOSTILE)
    assert all(file.parent == folder and file.is_file() for file in files)
    assert all(len(file.name.encode()) < 255 and not set(file.name) & set('<>:"/\\|?*') for file in files)


def test_no_trigger_word_and_no_prompt_is_refused(trained):
    with trained.transaction():
        run = trained.begin_run("test", {}, "")
        trained.put_decisions(run, ("tags",), [])
        trained.finish_run(run, {})
    with pytest.raises(PrepError, match="nothing to sample"):
        preview_stage(trained, sample.STAGE, options(), quiet)
