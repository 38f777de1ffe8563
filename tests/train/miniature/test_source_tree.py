"""The painted source tree is what it says it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from train.miniature import source_tree
from train.miniature.painter import paint
from train.miniature.scenes import CHARACTERS, true_tags, vocabulary
from train.miniature.source_tree import FOLDERS, Painted, paint_source_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Painted, ...]]:
    root = tmp_path_factory.mktemp("tree")
    return root, paint_source_tree(root, 0)


def only(rows: tuple[Painted, ...], mess: str) -> list[Painted]:
    return [row for row in rows if row.mess == mess]


def test_every_file_has_one_row_and_every_row_a_file(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    root, rows = tree
    found = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
    assert [row.path for row in rows] == found
    assert 110 <= len(rows) <= 130


def test_the_same_seed_generates_the_same_bytes(tree: tuple[Path, tuple[Painted, ...]], tmp_path: Path) -> None:
    root, rows = tree
    assert paint_source_tree(tmp_path, 0) == rows
    assert all((root / row.path).read_bytes() == (tmp_path / row.path).read_bytes() for row in rows)


def test_another_seed_generates_other_images_and_the_same_mess(
    tree: tuple[Path, tuple[Painted, ...]], tmp_path: Path
) -> None:
    _, rows = tree
    others = paint_source_tree(tmp_path, 1)
    assert {row.scene for row in others if row.scene}.isdisjoint({row.scene for row in rows})
    assert Counter(row.mess for row in others) == Counter(row.mess for row in rows)


def test_folders_hold_as_many_good_images_as_promised(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    _, rows = tree
    good = Counter(row.concept for row in only(rows, ""))
    good["characters/screenshots/Oriel"] -= 2  # the two covers
    assert good == {place.path: place.count for place in FOLDERS}


def test_every_kind_of_mess_is_planted(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    _, rows = tree
    kinds = {value for name, value in vars(source_tree).items() if name.isupper() and isinstance(value, str)}
    assert {row.mess for row in rows} == kinds | {""}


def test_a_character_always_has_her_traits_and_mostly_her_clothes(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    _, rows = tree
    for name, girl in CHARACTERS.items():
        seen = [
            found
            for row in rows
            if row.scene and name in row.concept.rpartition("/")[2].split("+")
            for found in row.scene.girls
            if found.hair == girl.hair and found.eyes == girl.eyes
        ]
        assert all(found.traits() == girl.traits() for found in seen)
        usual = sum(found.outfit() == girl.outfit() for found in seen) / len(seen)
        assert 0.6 <= usual <= 0.85
        assert len({found.expression for found in seen}) == 3


def test_tags_are_known_and_say_where_an_image_is_from(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    _, rows = tree
    words = {name for name, _ in vocabulary()}
    for row in rows:
        if row.scene:
            tags = true_tags(row.scene)
            assert set(tags) <= words
            assert ("anime screenshot" in tags) == ("screenshots" in row.path)


def test_sound_files_show_their_scene(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    root, rows = tree
    for row in rows:
        if row.sound and row.mess != source_tree.TRANSPARENT:
            assert row.scene is not None
            with Image.open(root / row.path) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
            expected = paint(row.scene, image.width / row.scene.size[0])
            assert image.size == expected.size
            assert 190 <= max(image.size) <= 480
            assert np.abs(np.asarray(image, float) - np.asarray(expected, float)).mean() < 8, row.path


def test_no_two_good_images_look_alike(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    _, rows = tree
    scenes = [row.scene for row in rows if row.sound]
    assert len(scenes) == len(set(scenes))


def test_duplicates_name_their_original(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    root, rows = tree
    by_path = {row.path: row for row in rows}
    for row in only(rows, source_tree.EXACT_DUPLICATE):
        assert (root / row.path).read_bytes() == (root / row.original).read_bytes()
    for row in only(rows, source_tree.NEAR_DUPLICATE):
        assert (root / row.path).read_bytes() != (root / row.original).read_bytes()
        assert row.scene == by_path[row.original].scene


def test_files_are_broken_as_they_claim(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    root, rows = tree
    for row in only(rows, source_tree.NO_IMAGE):
        with pytest.raises(OSError):
            Image.open(root / row.path)
    (cut,) = only(rows, source_tree.TRUNCATED)
    with pytest.raises(OSError, match="truncated"), Image.open(root / cut.path) as opened:
        opened.load()
    (tiny,) = only(rows, source_tree.TINY)
    with Image.open(root / tiny.path) as opened:
        assert opened.size == (24, 24)
    for row in only(rows, source_tree.ANIMATED):
        with Image.open(root / row.path) as opened:
            assert getattr(opened, "n_frames", 1) == 3


def test_files_are_unusual_as_they_claim(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    root, rows = tree
    path = {mess: only(rows, mess)[0].path for mess in source_tree.HARMLESS}
    with Image.open(root / path[source_tree.TRANSPARENT]) as opened:
        assert opened.mode == "RGBA" and opened.getextrema()[3] == (0, 255)
    with Image.open(root / path[source_tree.CMYK]) as opened:
        assert opened.mode == "CMYK"
    with Image.open(root / path[source_tree.ROTATED]) as opened:
        assert opened.getexif()[0x0112] == 6
    assert (root / path[source_tree.DEEP]).read_bytes()[24] == 16
    assert path[source_tree.WRONG_EXTENSION].endswith(".jpg")
    with Image.open(root / path[source_tree.WRONG_EXTENSION]) as opened:
        assert opened.format == "PNG"


def test_a_sidecar_stands_beside_its_image(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    root, rows = tree
    (sidecar,) = only(rows, source_tree.SIDECAR)
    assert Path(sidecar.path).with_suffix("") == Path(sidecar.original).with_suffix("")
    assert (root / sidecar.path).read_text(encoding="utf-8").startswith("Lumi, white hair, ")


def test_names_are_as_awkward_as_real_ones(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    _, rows = tree
    names = " ".join(row.path for row in rows)
    assert all(mark in names for mark in ("[", "(", " ", "ë", "ル", "🌸", ".JPG", ".PNG", ".webp", "+"))
    assert not set('<>:"|?*\\') & set(names), "a name that Windows cannot hold"
    folded = [row.path.casefold() for row in rows]
    assert len(folded) == len(set(folded))


def test_an_existing_file_is_never_overwritten(tree: tuple[Path, tuple[Painted, ...]]) -> None:
    root, _ = tree
    with pytest.raises(FileExistsError):
        paint_source_tree(root, 0)
