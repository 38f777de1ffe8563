import pytest

from train.evaluation.outliers import ImageLoss, Known, deviations, hardest_and_easiest, reasons

PLAIN = Known("Lumi", ("Lumi", "1girl", "solo"), {"1girl": 0.9, "solo": 0.8}, contrast=50.0, sharpness=200.0)


def usual(count: int = 9) -> list[ImageLoss]:
    """Images of losses 0.100 to 0.108, all improved by about a tenth."""
    return [ImageLoss(f"p{n}", (0.1 + n / 1000) / (0.9 - n / 1000), 0.1 + n / 1000) for n in range(count)]


def known_of(found, **others: Known) -> dict[str, Known]:
    """Images of which nothing is odd, each figure a little different, but for the others."""
    plain = {
        each.key: Known("Lumi", PLAIN.tags, {"1girl": 0.9 - n / 100}, 50.0 + n, 200.0 + n)
        for n, each in enumerate(found)
    }
    return plain | others


def of(key: str, found, **others: Known) -> tuple[str, ...]:
    return reasons(found, known_of(found, **others))[key]


def test_the_hardest_and_easiest_are_ranked_and_no_image_of_a_small_set_is_both():
    found = [ImageLoss(name, loss) for name, loss in zip("abcde", (0.3, 0.1, 0.5, 0.2, 0.4), strict=True)]
    hardest, easiest = hardest_and_easiest(found, 2)
    assert [each.key for each in hardest] == ["c", "e"] and [each.key for each in easiest] == ["b", "d"]
    hardest, easiest = hardest_and_easiest(found, 10)
    assert [each.key for each in hardest] == ["c", "e", "a"] and [each.key for each in easiest] == ["b", "d"]
    assert hardest_and_easiest(found[:1], 3) == ((found[0],), ())


def test_with_an_adapter_images_are_ranked_by_its_loss():
    found = [ImageLoss("a", 0.5, 0.1), ImageLoss("b", 0.2, 0.2)]
    assert [each.key for each in hardest_and_easiest(found, 1)[0]] == ["b"]
    assert found[0].change == pytest.approx(-0.8) and found[1].change == 0


def test_deviations_worked_by_hand():
    assert deviations([1, 2, 3, 4, 100]) == pytest.approx([each / 1.4826 for each in (-2, -1, 0, 1, 97)])
    assert deviations([5, 5, 5, 5, 9]) == [0] * 5, "most are equal"
    assert deviations([1, 2, 90]) == [0] * 3 and deviations([]) == [], "too few to tell"


def test_images_of_which_nothing_is_odd_have_no_reasons():
    found = usual()
    assert set(reasons(found, known_of(found)).values()) == {()}


def test_a_loss_far_from_the_median_is_a_reason_on_either_side():
    found = [*usual(), ImageLoss("hard", 0.9 / 0.9, 0.9), ImageLoss("easy", 0.01 / 0.9, 0.01)]
    assert of("hard", found)[0].startswith("loss 0.9 is ") and of("hard", found)[0].endswith("above the median 0.104")
    assert "below the median" in of("easy", found)[0]


def test_an_image_that_the_adapter_improved_least_is_a_reason_to_look_at_its_tags():
    found = [*usual(), ImageLoss("x", 0.104, 0.104)]
    assert of("x", found) == ("changed by +0.0% where -10.3% is usual: are its tags right?",)
    few = [ImageLoss("a", 0.2, 0.1), ImageLoss("b", 0.2, 0.1), ImageLoss("c", 0.2, 0.21)]
    assert of("c", few) == ("worse by 5.0% with the adapter",)


def test_an_image_held_out_of_training_is_said_to_be_that_and_nothing_else():
    found = [*usual(), ImageLoss("x", 0.104, 0.104)]
    assert of("x", found, x=Known("Lumi", PLAIN.tags, {}, held_out=True)) == ("held out of training",)


def test_near_duplicates_are_named():
    found = usual()
    assert of("p0", found, p0=Known("Lumi", PLAIN.tags, {}, alike=("a.png",))) == (
        "1 near-duplicate in the set: a.png",
    )
    assert of("p0", found, p0=Known("Lumi", PLAIN.tags, {}, alike=tuple("abcde"))) == (
        "5 near-duplicates in the set: a, b, c and 2 more",
    )


def test_captions_are_held_against_those_of_their_concept():
    found = [ImageLoss(f"p{n}", 0.1 + n / 1000) for n in range(13)]
    lengths = [9, 10, 10, 11, 12, 3, 0, 30]
    outfits = {f"p{n}": Known("Lumi", tuple(map(str, range(count))), {}) for n, count in enumerate(lengths)}
    others = {f"p{n}": Known("Quill", tuple("abc"), {}) for n in range(8, 13)}
    said = reasons(found, outfits | others)
    assert said["p5"] == ("short caption: 3 tags, the concept's median is 10",)
    assert said["p6"] == ("empty caption",)
    assert said["p7"] == ("long caption: 30 tags, the concept's median is 10",)
    assert not any(said[f"p{n}"] for n in (0, 1, 2, 3, 4, 8, 9, 10, 11, 12)), "three tags are usual for Quill"


def test_tags_that_the_tagger_does_not_see_are_named_least_likely_first():
    scores = {"hat": 0.05, "red hair": 0.0, "smile": 0.99}
    assert of("p0", usual(), p0=Known("Lumi", PLAIN.tags, scores, 50.0, 200.0))[0] == (
        "the tagger does not see: red hair (0.00), hat (0.05)"
    )


def test_low_scores_on_the_whole_are_a_reason():
    assert of("p0", usual(), p0=Known("Lumi", PLAIN.tags, {"1girl": 0.3}, 50.0, 200.0)) == (
        "its tags score 0.30 on average, the median is 0.85",
    )


def test_flat_and_blurry_images_are_reported_from_the_rest_but_not_strong_ones():
    found = usual()
    assert of("p0", found, p0=Known("Lumi", PLAIN.tags, {}, 8.0, 12.0)) == (
        "flat: contrast 8, the median is 54",
        "blurry: sharpness 12, the median is 204",
    )
    assert of("p0", found, p0=Known("Lumi", PLAIN.tags, {}, 120.0, 9000.0)) == ()
    assert of("p0", found, p0=Known("Lumi", PLAIN.tags, {}, 0.0, None)) == ("flat: contrast 0, the median is 54",)
