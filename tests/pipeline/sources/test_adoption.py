"""Generated images are taken into a set with their prompts, if an adapter had a part in them."""

from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from pipeline.core.errors import PrepError
from pipeline.sources.adoption import adopt, folder_of, made
from pipeline.store.manifest import Manifest

LAST = "Steps: 25, Sampler: DDIM, CFG scale: 7, Seed: 1, Size: 64x64, Model: miniature"


def generated(file: Path, text: str, colour: int = 90) -> Path:
    info = PngImagePlugin.PngInfo()
    if text:
        info.add_text("parameters", text)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").point(lambda value: (value + colour) % 256).save(
        file, pnginfo=info
    )
    return file


@pytest.mark.parametrize(
    ("text", "caption", "by"),
    [
        (f"1girl, Lumi\nNegative prompt: bad\n{LAST}, Adapter: lumi, Adapter strength: 1.0", "1girl, Lumi", "lumi"),
        (f"(red hair:1.3), Lumi\n{LAST}, Adapters: \"a 0.8, b 0.5\"", "red hair, Lumi", "a 0.8, b 0.5"),
        (f"1girl\n{LAST}, Training step: 40, Training epoch: 2", "1girl", "step 40"),
        ("1girl, <lora:lumi:0.7>, smile\nSteps: 20, Sampler: Euler a, Model: x", "1girl, smile", "lumi"),
    ],
)  # fmt: skip
def test_the_prompt_becomes_the_caption_and_the_adapter_is_known(tmp_path, text, caption, by):
    found = made(generated(tmp_path / "a.png", text))
    assert (found.caption, found.by) == (caption, by)


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", "does not say what made it"),
        (f"1girl\n{LAST}", "was made by the base model alone"),
        (f"1girl\n{LAST}, Adapter: lumi, Adapter strength: 0.0", "was made by the base model alone"),
        (f"<lora:lumi:1>\n{LAST}", "has an empty prompt"),
    ],
)
def test_what_teaches_nothing_or_says_nothing_is_refused(tmp_path, text, reported):
    with pytest.raises(PrepError, match=reported):
        made(generated(tmp_path / "a.png", text))


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(PrepError, match="is no image that can be read"):
        made(tmp_path / "a.png")


def test_a_caption_that_a_person_edited_stays(tmp_path):
    image = made(generated(tmp_path / "a.png", f"1girl, Lumi\n{LAST}, Adapter: lumi"))
    folder = folder_of(tmp_path / "set", "Lumi", 3)
    assert folder == tmp_path / "set adopted" / "3_Lumi"
    (kept,) = adopt([image], folder)
    kept.with_suffix(".txt").write_text("1girl, Lumi, hat\n", encoding="utf-8")
    assert list(adopt([image], folder)) == [kept]
    assert kept.with_suffix(".txt").read_text(encoding="utf-8") == "1girl, Lumi, hat\n"


def test_the_command_brings_them_into_the_set_with_their_repeats(source, tmp_path, command):
    root = tmp_path / "set"
    assert command("flatten", source, root).exit_code == 0
    with Manifest.open(root) as manifest:
        before = manifest.images()
    text = f"1girl, Lumi, smile\n{LAST}, Adapter: lumi, Adapter strength: 0.8"
    image = generated(tmp_path / "new" / "b.png", text, 7)
    result = command("adopt", root, image, "--concept", "generated", "--repeats", "2")
    assert result.exit_code == 0, result.output
    with Manifest.open(root) as manifest:
        (added,) = [each for each in manifest.images() if each.concept == "generated"]
        assert len(manifest.images()) == len(before) + 1
        assert manifest.decisions("manual_caption")[added.path].value == "1girl, Lumi, smile\n"
        assert manifest.decisions("user_repeats")[added.path].value == 2
    refused = command("adopt", root, image, "--concept", "../x")
    assert refused.exit_code != 0 and "--concept '../x' is not the name of a folder" in refused.output
