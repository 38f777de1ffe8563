"""Images of the class: prompts near to the captions of a set, but none of them."""

from collections import Counter
from pathlib import Path

import PIL.Image
import pytest
from decided import decided, scored, trigger
from painted_sets import quiet

from pipeline.core.errors import PrepError
from pipeline.stages import regularize
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.tags import TagReason
from pipeline.store.records import Image
from pipeline.store.running.runner import run_stage
from pipeline.store.values.bucket import Bucket
from pipeline.store.values.repeats import Repeats
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.store.wording import phrase

TAGS = {"a": ["smile", "night", "hat"], "b": ["rain", "umbrella", "city"], "c": ["sitting", "forest", "hat"]}
OPTIONS = {"images": "class", "class_word": "girl", "base": "miniature", "steps": 1, "device": "cpu"}


@pytest.fixture
def manifest(tmp_path: Path):
    """Three images of Lumi, whose pink hair is pruned into her name, with 1, 2 and 2.5 repeats."""
    manifest = Manifest.open(tmp_path / "set", create=True)
    images, rows = [], []
    for (name, tags), repeats in zip(TAGS.items(), (1, 2, 2.5), strict=True):
        path = f"images/Lumi/{name}.png"
        images.append(Image(path, "Lumi", path, name, 1, "copy"))
        core = TagDecision("pink hair", TagAction.DROPPED, TagReason.CORE, {"into": "Lumi", "share": 1.0, "lift": 2.0})
        rows += [
            decided(path, "bucket", Bucket((64, 48), (64, 48), (0, 0, 64, 48))),
            decided(path, "caption", ", ".join(["Lumi", *tags])),
            decided(path, "tags", [trigger("Lumi"), core, *map(scored, tags)]),
            decided(path, "repeats", Repeats(repeats, round(repeats))),
        ]
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        manifest.put_images(images)
        manifest.put_decisions(run, ("bucket", "caption", "tags", "repeats"), rows)
        manifest.finish_run(run, {})
    yield manifest
    manifest.close()


def planned(manifest: Manifest, **more):
    return regularize.plan(manifest, regularize.Options(**OPTIONS | more)).decisions


def test_there_are_as_many_as_repeats_call_for_each_with_a_seed_and_a_file_of_its_own(manifest):
    rows = planned(manifest, seed=7)
    assert [len(row.value.images) for row in rows] == [1, 2, 3]
    every = [each for row in rows for each in row.value.images]
    assert [each.seed for each in every] == list(range(7, 13)) and len({each.path for each in every}) == 6
    assert not any(each.matched for each in every) and {each.size for each in every} == {(64, 48)}
    assert [len(row.value.images) for row in planned(manifest, count=2)] == [2, 4, 5]
    assert phrase(rows[0]) == "images of the class from tags of the set"


def test_prompts_have_the_class_word_the_core_traits_and_two_thirds_of_the_other_tags_and_are_no_caption(manifest):
    captions = {frozenset(["girl", *tags]) for tags in TAGS.values()}
    known = {tag for tags in TAGS.values() for tag in tags}
    for row in planned(manifest, count=5):
        own = set(TAGS[Path(row.path).stem])
        for each in row.value.images:
            said = each.caption.split(", ")
            assert said[:2] == ["girl", "pink hair"] and "Lumi" not in said
            assert len(own & set(said)) == 2 and len(set(said[2:]) - own) == 1 and set(said[2:]) <= known
            assert frozenset(said) not in captions
    assert len({each.caption for row in planned(manifest, count=5) for each in row.value.images}) > 10


def test_the_same_input_gives_the_same_prompts_and_a_seed_others(manifest):
    assert planned(manifest) == planned(manifest)
    texts = [[each.caption for row in planned(manifest, seed=seed) for each in row.value.images] for seed in (1, 2)]
    assert texts[0] != texts[1]


def test_a_set_without_tags_is_prompted_by_its_class_word(manifest):
    rows = []
    for image in manifest.images():
        rows += [decided(image.path, "caption", "Lumi"), decided(image.path, "tags", [trigger("Lumi")])]
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("curate", {}), ("caption", "tags"), rows)
    assert Counter(each.caption for row in planned(manifest) for each in row.value.images) == {"girl": 6}
    with pytest.raises(PrepError, match="an empty prompt"):
        planned(manifest, class_word="")


def test_they_are_made_once_and_made_again_where_the_prompt_is_another(manifest):
    first = run_stage(manifest, regularize.STAGE, regularize.Options(**OPTIONS), quiet)
    assert first.counts["images_made"] == 6
    (manifest.root / "regularization/Lumi/a.png").unlink()
    again = run_stage(manifest, regularize.STAGE, regularize.Options(**OPTIONS), quiet)
    assert (again.counts["images_made"], again.counts["images_already_there"]) == (1, 5)
    with PIL.Image.open(manifest.root / "regularization/Lumi/c-3.png") as image:
        assert image.size == (64, 48) and '"prompt": "girl, pink hair' in image.info["prep-regularization"]
    other = run_stage(manifest, regularize.STAGE, regularize.Options(**OPTIONS | {"class_word": "woman"}), quiet)
    assert other.counts["images_made"] == 6


def test_images_of_a_single_colour_are_found(manifest, monkeypatch):
    import train.reg_images

    real = train.reg_images.generate

    def blank(base, requests, sampling, batch_size, keep):
        real(base, requests, sampling, batch_size, lambda index, image: keep(index, PIL.Image.new("RGB", image.size)))

    monkeypatch.setattr(train.reg_images, "generate", blank)
    outcome = run_stage(manifest, regularize.STAGE, regularize.Options(**OPTIONS), quiet)
    said = [text for text in outcome.warnings if "single colour" in text]
    assert said and said[0].startswith(
        "regularization images of a single colour: 6, such as regularization/Lumi/a.png;"
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"images": "class", "seeds": "own"}, "seeds is 'own', but images of the class have seeds of their own anyway"),
        ({"images": "preservation", "count": 2}, "count is 2, but preservation makes no images"),
    ],
)
def test_what_does_nothing_beside_them_is_refused(more, message):
    with pytest.raises(PrepError, match=message):
        regularize.Options(**more)
