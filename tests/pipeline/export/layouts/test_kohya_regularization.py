"""Regularization images exported for sd-scripts: all regularization images, each file once, as often as sd-scripts can
show them."""

import tomllib
from pathlib import Path

import pytest
from decided import trigger
from export_sets import Workshop, change, export, noise, tree
from PIL import Image

from pipeline.export.layouts.kohya_regularization import _unused
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage


def regularization(folder: Path) -> dict[str, tuple[int, int]]:
    """Folder → (num_repeats, keep_tokens) of the regularization subsets."""
    found = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))["datasets"][0]["subsets"]
    return {
        Path(each["image_dir"]).name: (each["num_repeats"], each["keep_tokens"]) for each in found if each.get("is_reg")
    }


def put(root: Path, reg_image: str, size: tuple[int, int] = (64, 64)) -> str:
    file = root / reg_image
    file.parent.mkdir(parents=True, exist_ok=True)
    noise(len(reg_image), size).save(file)
    return reg_image


def made(caption: str, *files: str) -> RegularizationAssignment:
    """Regularization images that were generated from seeds 1, 2 and so on."""
    images = (RegularizationImage(file, caption, (64, 64), seed) for seed, file in enumerate(files, 1))
    return RegularizationAssignment(tuple(images))


def matched(tmp_path: Path, reg_images: int, repeats: float) -> Workshop:
    """Two images with so many painted regularization images each."""
    root = tmp_path / "set"
    shop = Workshop(root)
    for name in "ab":
        path = shop.add("x", f"{name}.png", repeats=repeats)
        files = [put(root, f"regularization/x/{name}{number or ''}.png") for number in range(reg_images)]
        shop.decide(path, "regularization", made("1girl", *files))
    return shop


@pytest.mark.parametrize(("repeats", "repeat"), [(6.0, 2), (5.0, 1), (1.0, 1)])
def test_all_reg_images_are_written_and_share_their_images_repeats(tmp_path, repeats, repeat):
    planned = export(matched(tmp_path, 3, repeats).done(), tmp_path / "out")
    assert regularization(tmp_path / "out") == {f"{repeat}_x": (repeat, 0)}
    images = {path for path in tree(tmp_path / "out") if path.startswith("regularization") and path.endswith(".png")}
    assert images == {f"regularization/{repeat}_x/{name}{end}.png" for name in "ab" for end in ("", "1", "2")}
    unused = [note for note in planned.warnings if "sd-scripts never shows" in note]
    assert bool(unused) == (repeats == 1.0)
    assert not unused or ": 4 of 6;" in unused[0]


def test_of_several_reg_images_the_one_that_is_a_copy_stays_behind(tmp_path):
    manifest = matched(tmp_path, 3, 6.0).done()
    change(manifest, "regularization/x/a1.png", "keep", False)
    export(manifest, tmp_path / "out")
    # a has two regularization images left of 6 exposures, b still three
    assert regularization(tmp_path / "out") == {"2_x": (2, 0), "3_x": (3, 0)}
    found = {path for path in tree(tmp_path / "out") if path.startswith("regularization/3_x") and ".png" in path}
    assert found == {"regularization/3_x/a.png", "regularization/3_x/a2.png"}


def given(tmp_path: Path) -> Workshop:
    """Four images of two concepts and two sizes, beside which two given ones come in turn."""
    root = tmp_path / "set"
    shop = Workshop(root)
    one, two = (put(root, f"regularization/user/{name}-c0ffee.png", (96, 80)) for name in ("one", "two"))
    wide = Bucket((64, 48), (64, 53), (0, 2, 64, 50), 0.1)
    tall = Bucket((48, 64), (77, 64), (14, 0, 62, 64), 0.4)
    for place, concept in enumerate("xxyy"):
        path = shop.add(concept, f"{place}.png", repeats=4.0)
        bucket = (wide, tall)[place % 2]
        reg_images = (RegularizationImage(file, "1girl", bucket.size, None, False, bucket) for file in (one, two))
        shop.decide(path, "regularization", RegularizationAssignment(tuple(reg_images)))
    return shop


def test_a_given_image_is_written_once_however_many_it_goes_beside(tmp_path):
    export(given(tmp_path).done(), tmp_path / "out")
    # 4 images of 4 repeats are 16 exposures, 8 for each of the two
    assert regularization(tmp_path / "out") == {"8_user": (8, 0)}
    names = ("one-c0ffee.png", "one-c0ffee.txt", "two-c0ffee.png", "two-c0ffee.txt")
    found = {path for path in tree(tmp_path / "out") if path.startswith("regularization")}
    assert found == {f"regularization/8_user/{name}" for name in names}


def test_given_images_are_cropped_to_each_size_they_are_shown_in(tmp_path):
    export(given(tmp_path).done(), tmp_path / "out", resize=True)
    assert regularization(tmp_path / "out") == {"4_user": (4, 0)}
    for name in ("one", "two"):
        for size in ((64, 48), (48, 64)):
            file = tmp_path / "out/regularization/4_user" / f"{name}-c0ffee-{size[0]}x{size[1]}.png"
            assert Image.open(file).size == size and file.with_suffix(".txt").read_bytes() == b"1girl\n"


def test_an_export_done_again_finds_the_reg_images_as_they_should_be(tmp_path):
    manifest = given(tmp_path).done()
    export(manifest, tmp_path / "out", resize=True)
    assert export(manifest, tmp_path / "out", resize=True).fresh


def test_trigger_words_stay_in_front_only_where_the_reg_images_captions_have_them(tmp_path):
    shop, tags = matched(tmp_path, 1, 1.0), [trigger("Lumi")]
    for name in "ab":
        shop.decide(f"images/x/{name}.png", "tags", tags)
    manifest = shop.done()
    export(manifest, tmp_path / "without")
    assert regularization(tmp_path / "without") == {"1_x": (1, 0)}
    for name in "ab":
        value = made("Lumi, 1girl", f"regularization/x/{name}.png")
        change(manifest, f"images/x/{name}.png", "regularization", value)
    export(manifest, tmp_path / "with")
    assert regularization(tmp_path / "with") == {"1_x": (1, 1)}


def test_what_sd_scripts_never_shows_is_worked_by_hand():
    assert _unused(10, [(2, 5)]) == 0
    assert _unused(10, [(3, 5)]) == 1, "12 exposures are enough after four"
    assert _unused(10, [(5, 1), (1, 7)]) == 2
    assert _unused(10, [(10, 1), (1, 3)]) == 3
    assert _unused(10, [(1, 4)]) == 0
