import json

import pytest
import torch
from PIL import Image

from train.distributed.world import World
from train.evaluation import samples
from train.evaluation.samples import SampleCallback
from train.models.infotext import infotext
from train.models.load import load_base
from train.models.text.prompts import Prompt, Request, filled_in
from train.options.recipe import make_recipe, with_values
from train.session import generation_of, new_adapter

RECIPE = make_recipe(base="miniature", device="cpu", rank=4, batch_size=2, mixed_precision="no")
PROMPTS = (
    Prompt("1girl, red dress", seed=7, steps=2),
    Prompt("2girls, ✨ [b]", "hat", 48, 80, steps=2, guidance=1.0),
    Prompt("smile", steps=3),
)
REQUESTS, _ = filled_in(PROMPTS, (64, 64), 4)


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", None, "cpu")


@pytest.fixture
def adapter(base):
    made = new_adapter(RECIPE, base)
    made.attach()
    change(made, 1)
    yield made
    made.detach()


def change(adapter, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in adapter.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))


def quiet(what, done, total):
    pass


def pixels(folder):
    return {
        file.relative_to(folder).as_posix(): Image.open(file).tobytes() for file in sorted(folder.rglob("[0-9]*.png"))
    }


def test_every_prompt_is_painted_with_the_adapter_each_time_and_once_without(base, adapter, tmp_path):
    run, reported = SampleCallback(REQUESTS, base, adapter, tmp_path, generation_of(RECIPE, base)), []
    run.trim(0)
    run.generate(0, 0, lambda *words: reported.append(words))
    run.generate(100, 1, lambda *words: reported.append(words))
    names = [f"{folder}/{number:02}.png" for folder in ("base", "step 000000", "step 000100") for number in (1, 2, 3)]
    assert sorted(pixels(tmp_path / "progress")) == sorted(names)
    assert reported[:6] == [("generating samples", done, 6) for done in range(1, 7)]
    assert reported[6:] == [("generating samples", done, 3) for done in range(1, 4)]
    with Image.open(tmp_path / "progress/base/02.png") as image:
        assert image.size == (48, 80)
    assert (tmp_path / "progress/grid.png").is_file()
    listing = json.loads((tmp_path / "progress/prompts.json").read_text(encoding="utf-8"))
    assert listing["prompts"][1]["prompt"] == "2girls, ✨ [b]" and listing["prompts"][1]["size"] == [48, 80]


def test_the_base_is_painted_without_the_adapter_and_steps_with_it_as_it_is_then(base, adapter, tmp_path):
    run = SampleCallback(REQUESTS, base, adapter, tmp_path, generation_of(RECIPE, base))
    run.generate(0, 0, quiet)
    change(adapter, 2)
    run.generate(100, 1, quiet)
    found = pixels(tmp_path / "progress")
    adapter.detach()
    plain = samples.generate(base, REQUESTS, batch_size=2)
    adapter.attach()
    for number, image in enumerate(plain, 1):
        images = [found[f"{folder}/{number:02}.png"] for folder in ("base", "step 000000", "step 000100")]
        assert max(abs(one - other) for one, other in zip(images[0], image.tobytes(), strict=True)) <= 1
        assert len(set(images)) == 3


def test_generating_leaves_training_as_it_was(base, adapter, tmp_path):
    module = adapter.layers[next(iter(adapter.layers))]
    weight = next(module.parameters())
    weight.grad = torch.ones_like(weight)
    base.unet.train()
    adapter.train()
    base.unet.mid_block.eval()
    before = torch.random.get_rng_state()
    values = {key: value.clone() for key, value in adapter.tensors().items()}
    try:
        SampleCallback(REQUESTS, base, adapter, tmp_path, generation_of(RECIPE, base)).generate(0, 0, quiet)
        assert base.unet.training and adapter.training and not base.unet.mid_block.training
        assert base.unet.down_blocks[0].training and not base.text_encoder.training
    finally:
        base.unet.eval()
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert all(torch.equal(values[key], value) for key, value in adapter.tensors().items())
    assert all(part.grad is None for part in base.unet.parameters())
    noisy, conditioning = torch.zeros(1, 4, 16, 16), showing_conditioning(base)
    attached = base.predict(noisy, 1, conditioning)
    adapter.set_strength(1.0)
    assert torch.equal(attached, base.predict(noisy, 1, conditioning))


def showing_conditioning(base):
    from train.models.text.text_encoding import text_conditioning

    return text_conditioning(base, ["1girl"])


def test_the_adapter_is_put_back_when_generating_fails(base, adapter, tmp_path, monkeypatch):
    strengths = []
    monkeypatch.setattr(type(adapter), "set_strength", lambda self, strength: strengths.append(strength))

    def broken(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(samples, "generate", broken)
    base.unet.train()
    try:
        with pytest.raises(KeyboardInterrupt):
            SampleCallback(REQUESTS, base, adapter, tmp_path, generation_of(RECIPE, base)).generate(0, 0, quiet)
        assert base.unet.training
    finally:
        base.unet.eval()
    assert strengths == [0.0, 1.0]


def test_a_run_that_goes_on_forgets_what_was_painted_after_its_state_and_keeps_the_rest(base, adapter, tmp_path):
    run = SampleCallback(REQUESTS[:1], base, adapter, tmp_path, generation_of(RECIPE, base))
    run.trim(0)
    for step in (0, 100, 200):
        run.generate(step, 0, quiet)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "progress").rglob("0*.png") if "200" not in str(file)}
    mine = tmp_path / "progress" / "step by me"
    mine.mkdir()
    again = SampleCallback(REQUESTS[:1], base, adapter, tmp_path, generation_of(RECIPE, base))
    assert again.trim(150) == ()
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "progress").rglob("0*.png")} == kept
    assert mine.is_dir()
    again.generate(200, 1, quiet)
    assert all(file.stat().st_mtime_ns == kept[file] for file in kept)
    assert (tmp_path / "progress/step 000200/01.png").is_file()


def test_other_prompts_begin_anew_and_those_of_a_run_that_goes_on_are_moved_aside(base, adapter, tmp_path):
    SampleCallback(REQUESTS[:2], base, adapter, tmp_path, generation_of(RECIPE, base)).trim(0)
    SampleCallback(REQUESTS[:2], base, adapter, tmp_path, generation_of(RECIPE, base)).generate(100, 1, quiet)
    (remark,) = SampleCallback(REQUESTS[1:], base, adapter, tmp_path, generation_of(RECIPE, base)).trim(100)
    assert "step 100" in remark and str(tmp_path / "progress 1") in remark
    assert (tmp_path / "progress 1/step 000100/02.png").is_file()
    assert [file.name for file in (tmp_path / "progress").iterdir()] == ["prompts.json"]
    SampleCallback(REQUESTS[1:], base, adapter, tmp_path, generation_of(RECIPE, base)).generate(200, 1, quiet)
    assert SampleCallback(REQUESTS[:1], base, adapter, tmp_path, generation_of(RECIPE, base)).trim(0) == ()
    assert [file.name for file in (tmp_path / "progress").iterdir()] == ["prompts.json"]
    assert not (tmp_path / "progress 2").exists()


def test_a_damaged_listing_does_not_stop_a_run(base, adapter, tmp_path):
    run = SampleCallback(REQUESTS[:1], base, adapter, tmp_path, generation_of(RECIPE, base))
    run.trim(0)
    (tmp_path / "progress/prompts.json").write_text("[", encoding="utf-8")
    run.trim(0)
    assert json.loads((tmp_path / "progress/prompts.json").read_text(encoding="utf-8"))["sampler"] == "DDIM"


def test_several_processes_split_the_prompts_and_generate_what_one_process_does(base, adapter, tmp_path):
    SampleCallback(REQUESTS, base, adapter, tmp_path / "one", generation_of(RECIPE, base)).generate(5, 1, quiet)
    for rank in (1, 0):
        run = SampleCallback(REQUESTS, base, adapter, tmp_path / "two", generation_of(RECIPE, base), World(rank, 2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(World, "wait", lambda self: None)
            run.generate(5, 1, quiet)
        assert (tmp_path / "two/progress/grid.png").exists() == (rank == 0)
    one, two = pixels(tmp_path / "one"), pixels(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        assert max(abs(mine - other) for mine, other in zip(one[name], two[name], strict=True)) <= 1


def test_half_precision_generates_in_it_and_gives_images(base, adapter, tmp_path):
    recipe = with_values(RECIPE, mixed_precision="bf16")
    SampleCallback(REQUESTS[:1], base, adapter, tmp_path / "half", generation_of(recipe, base)).generate(0, 0, quiet)
    SampleCallback(REQUESTS[:1], base, adapter, tmp_path / "full", generation_of(RECIPE, base)).generate(0, 0, quiet)
    half, full = pixels(tmp_path / "half"), pixels(tmp_path / "full")
    (name, one), other = next(iter(half.items())), next(iter(full.values()))
    assert name == "progress/base/01.png" and one != other
    assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one) < 30


def test_an_image_tells_what_it_was_generated_with_as_the_clients_read_it(base, adapter, tmp_path):
    SampleCallback(REQUESTS, base, adapter, tmp_path, generation_of(with_values(RECIPE, clip_skip=2), base)).generate(
        40, 3, quiet
    )
    seed = REQUESTS[1].seed
    with Image.open(tmp_path / "progress/step 000040/02.png") as image:
        assert image.info["parameters"] == (
            "2girls, ✨ [b]\nNegative prompt: hat\n"
            f"Steps: 2, Sampler: DDIM, CFG scale: 1, Seed: {seed}, Size: 48x80, Model: miniature, Clip skip: 2, "
            "Training step: 40, Training epoch: 3"
        )
    assert samples.epoch_of(tmp_path / "progress/step 000040/02.png") == "3"
    with Image.open(tmp_path / "progress/base/01.png") as image:
        assert "Training" not in image.info["parameters"]


def test_infotext_names_no_folder_and_quotes_what_would_part_its_lines():
    text = infotext(Request("x", 1, (8, 8), "", 2, 7.5), "/home/me/my, model: 1", {})
    assert text == 'x\nSteps: 2, Sampler: DDIM, CFG scale: 7.5, Seed: 1, Size: 8x8, Model: "my, model: 1"'


def test_without_prompts_nothing_is_written(base, adapter, tmp_path):
    run = SampleCallback((), base, adapter, tmp_path, generation_of(RECIPE, base))
    run.trim(0)
    run.generate(0, 0, quiet)
    assert list(tmp_path.iterdir()) == []
