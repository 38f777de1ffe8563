from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from family_models import ANIMETIMM, FAMILIES, Family, write_family
from PIL import Image
from tiny_tagger import STORED, plain, sigmoid
from tolerance import rounding

from taggers.engine import load_tagger
from taggers.errors import TaggerError
from taggers.registry import BUILT_IN, find_spec, published_thresholds
from taggers.spec import ModelSpec
from taggers.thresholds import holding

COLOUR = (200, 30, 60)
ALL = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def scores_of(model: Path | ModelSpec, image: Image.Image) -> dict[str, float]:
    tagger = load_tagger(str(model) if isinstance(model, Path) else model, "cpu")
    ((found,),) = tagger.score([("key", image)], lambda each: each)
    assert not found.problem
    return dict(found.scores)


SLOPE = 1 / 16 / 4
"""By which a score grows with the mean of a channel, 0 to 255, where it is steepest."""
MEANS = rounding(512 * 512) * 255 * SLOPE + STORED
"""The mean is one of 512 x 512 numbers at the most."""
EDGE = 0.5 / 448 * 255 * SLOPE + MEANS
"""The edge of an image of 448 pixels, the smallest, in its padding may lie half a pixel off."""


def themes(scores: dict[str, float]) -> dict[str, float]:
    """The three themes; a probability too small to be stored is 0."""
    return {theme: scores.get(theme, 0.0) for theme in ("red theme", "green theme", "blue theme")}


def expected(*means: float) -> dict[str, float]:
    found = (sigmoid((mean - 127.5) / 16) for mean in means)
    names = ("red theme", "green theme", "blue theme")
    return {name: score if score >= 0.01 else 0.0 for name, score in zip(names, found, strict=True)}


def wide(inner: int, pad: tuple[int, int, int] | None) -> tuple[float, float, float]:
    """Means of the channels of an image twice as wide as high, once it is a square."""
    red, green, blue = (inner if pad is None else (inner + part) / 2 for part in (pad or (0, 0, 0)))
    return red, green, blue


@ALL
def test_a_family_gets_its_colours_in_its_order_and_range(tmp_path: Path, family: Family) -> None:
    folder = write_family(tmp_path / "model", family)
    assert themes(scores_of(folder, plain(COLOUR))) == pytest.approx(expected(*COLOUR), abs=MEANS)


@ALL
def test_a_family_gets_its_padding(tmp_path: Path, family: Family) -> None:
    folder = write_family(tmp_path / "model", family)
    inner = 255 if family.pad == (0, 0, 0) else 0
    found = themes(scores_of(folder, plain((inner,) * 3, (96, 48))))
    assert found == pytest.approx(expected(*wide(inner, family.pad)), abs=EDGE)


@ALL
def test_swapped_channels_another_range_and_another_padding_would_show(tmp_path: Path, family: Family) -> None:
    spec = find_spec(str(write_family(tmp_path / "model", family)))
    right = themes(scores_of(spec, plain(COLOUR)))
    swapped = themes(scores_of(replace(spec, channels="RGB" if family.order == "BGR" else "BGR"), plain(COLOUR)))
    assert right["red theme"] > 0.9 > 0.1 > right["blue theme"]
    assert swapped["blue theme"] > 0.9 > 0.1 > swapped["red theme"]
    ranged = themes(scores_of(replace(spec, scale=256.0 - family.white), plain(COLOUR)))
    assert max(abs(ranged[theme] - right[theme]) for theme in right) > 0.2
    if spec.preprocess:
        return
    image = plain((255 if family.pad == (0, 0, 0) else 0,) * 3, (96, 48))
    other = (0, 0, 0) if family.pad == (255, 255, 255) else (255, 255, 255)
    padded, before = (themes(scores_of(each, image)) for each in (replace(spec, pad=other), spec))
    assert max(abs(padded[theme] - before[theme]) for theme in before) > 0.2


def test_a_sparse_mapping_leaves_outputs_without_a_tag_in_both_of_its_shapes(tmp_path: Path) -> None:
    folder = write_family(tmp_path / "model", FAMILIES["cl-tagger-1.02"])
    tagger = load_tagger(str(folder), "cpu")
    assert [label.name for label in tagger.labels][:4] == ["general", "red theme", "", "green theme"]
    assert tagger.categories["best quality"] == "quality" and tagger.categories["anima"] == "model"
    assert "" not in tagger.categories
    first = scores_of(folder, plain(COLOUR))
    (folder / "tag_mapping.json").write_text(
        '{"idx_to_tag": {"1": "red_theme", "3": "green_theme", "4": "blue_theme"}, '
        '"tag_to_category": {"red_theme": "General", "green_theme": "General", "blue_theme": "General"}}',
        encoding="utf-8",
    )
    assert themes(scores_of(folder, plain(COLOUR))) == themes(first), "outputs after the last name have none either"


def test_camie_is_read_from_its_refined_output(tmp_path: Path) -> None:
    folder = write_family(tmp_path / "model", FAMILIES["camie-v2"])
    tagger = load_tagger(str(folder), "cpu")
    assert tagger.output == "refined_predictions" and tagger.categories["general"] == "rating"
    assert tagger.categories["year 2024"] == "year" and tagger.spec.exclusive == ("rating", "year")


def test_animetimm_says_side_and_padding_and_a_threshold_for_every_tag_in_its_files(tmp_path: Path) -> None:
    tagger = load_tagger(str(write_family(tmp_path / "model", FAMILIES[ANIMETIMM])), "cpu")
    spec = tagger.spec
    assert (tagger.side, spec.canvas, spec.fit, spec.interpolation, spec.pad) == (
        384,
        512,
        "bilinear",
        "bicubic",
        (255, 255, 255),
    )
    assert tagger.tag_thresholds == {"red theme": 0.3, "green theme": 0.7, "blue theme": 0.5, "somebody (test)": 0.25}
    scores = {"red theme": 0.31, "green theme": 0.69, "blue theme": 0.5, "somebody (test)": 0.2, "general": 0.1}
    held = holding(scores, tagger.categories, spec.thresholds, tagger.tag_thresholds, spec.exclusive)
    assert held == {"red theme", "blue theme", "general"}


def test_a_folder_as_it_was_downloaded_is_understood_by_its_preprocess_json(tmp_path: Path) -> None:
    folder = write_family(tmp_path / "model", FAMILIES[ANIMETIMM])
    (folder / "model.toml").unlink()
    assert themes(scores_of(folder, plain(COLOUR))) == pytest.approx(expected(*COLOUR), abs=MEANS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be understood: JSONDecodeError"),
        ("{}", "cannot be understood: KeyError: 'stages'"),
        ('{"stages": [{"type": "resize", "size": 384}]}', "resizing the shorter side and cutting the rest off"),
        ('{"stages": [{"type": "rotate"}]}', "the step 'rotate' is not known"),
        ('{"stages": [{"type": "resize", "size": [384, 448]}]}', r"the size \[384, 448\] is not a square"),
        ('{"stages": [{"type": "resize", "size": [32, 32], "interpolation": "box"}]}', "'box' is not one of bicubic"),
        ('{"stages": [{"type": "normalize", "mean": 0.5, "std": 0}]}', "std is 0, it must be above 0"),
        ('{"stages": [{"type": "to_tensor"}]}', "does not say to what side an image is resized"),
    ],
)
def test_a_preprocess_json_that_would_be_done_wrong_is_refused(tmp_path: Path, text: str, words: str) -> None:
    folder = write_family(tmp_path / "model", FAMILIES[ANIMETIMM])
    (folder / "preprocess.json").write_text(text, encoding="utf-8")
    with pytest.raises(TaggerError, match=words):
        load_tagger(str(folder), "cpu")


def test_thresholds_and_categories_are_as_published() -> None:
    assert published_thresholds("joytag") == {"general": 0.4}
    assert published_thresholds("pixai-v0.9") == {"general": 0.3, "character": 0.85}
    assert published_thresholds("camie-v2")["general"] == 0.492  # type: ignore[index]
    assert published_thresholds("animetimm-resnet34-dbv4-full") == {"general": 0.4, "character": 0.4, "artist": 0.4}
    assert BUILT_IN["cl-tagger-1.02"].thresholds == {
        "general": 0.5,
        "character": 0.7,
        "copyright": 0.7,
        "artist": 0.7,
        "meta": 0.5,
        "model": 0.5,
    }
    assert BUILT_IN["cl-tagger-1.02"].exclusive == ("rating", "quality")


def test_an_exclusive_category_gives_its_most_probable_tag_however_small_and_no_other() -> None:
    scores = {"general": 0.2, "sensitive": 0.3, "best quality": 0.02, "1girl": 0.35, "long hair": 0.34}
    categories = {"general": "rating", "sensitive": "rating", "best quality": "quality"}
    held = holding(scores, categories, {"general": 0.35}, {}, ("rating", "quality"))
    assert held == {"sensitive", "best quality", "1girl"}
