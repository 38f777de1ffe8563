"""Every kept image has repeats that give its concept its share."""

import pytest
from concept_trees import COUNTS, PUBLISHED
from decided import decided
from painted_sets import painted, quiet, run_flatten, save
from sized_sets import images_of

from pipeline.concepts.balance import whole_user_repeats
from pipeline.config.settings import load_settings, options_for
from pipeline.core.errors import PrepError
from pipeline.stages import balance, check
from pipeline.store.manifest import Manifest
from pipeline.store.reasons.check import CheckReason
from pipeline.store.records import Decision
from pipeline.store.running.runner import run_stage
from pipeline.store.values.repeats import Repeats
from pipeline.store.wording import figures, phrase
from train.options.recipe import make_recipe


def values(manifest):
    return {path.removeprefix("images/"): row.value for path, row in manifest.decisions("repeats").items()}


@pytest.fixture
def set_of(tmp_path):
    """Makes the record of a set: concept → images, and concept → the repeat that its folder gives."""

    def make(sizes, given=()):
        manifest = Manifest.open(tmp_path / "made", create=True)
        images = images_of(sizes)
        rows = [Decision(image.path, "keep", True, CheckReason.GOOD) for image in images]
        rows += [
            decided(image.path, "user_repeats", given[image.concept]) for image in images if image.concept in given
        ]
        with manifest.transaction():
            run = manifest.begin_run("flatten", {})
            manifest.put_images(images, run)
            manifest.put_decisions(run, ("keep", "user_repeats"), rows)
        return manifest

    return make


def repeat_of(plan, concept):
    (found,) = {
        (row.value.exact, row.value.exported, phrase(row))
        for row in plan.decisions
        if row.path.startswith(f"images/{concept.replace('/', '~')}/")
    }
    return found


def test_every_kept_image_has_repeats_worked_by_hand(checked):
    """Half for artists/alder (2 images), a quarter each for Lumi (2) and Quill (1): 1/4, 1/8, 1/4."""
    run_stage(checked, balance.STAGE, balance.Options(), quiet)
    assert values(checked) == {
        "artists~alder/x.png": Repeats(2.0, 2),
        "artists~alder/y.png": Repeats(2.0, 2),
        "characters~Lumi/a.png": Repeats(1.0, 1),
        "characters~Lumi/b.png": Repeats(1.0, 1),
        "characters~Quill/a.png": Repeats(2.0, 2),
    }
    row = checked.decisions("repeats")["images/characters~Quill/a.png"]
    assert phrase(row) == "share of its concept" and figures(row) == "target share 25.00%, 1 image of characters/Quill"


def test_the_same_input_gives_the_same_plan_and_planning_twice_changes_nothing(checked):
    run_stage(checked, balance.STAGE, balance.Options(), quiet)
    plan = balance.plan(checked, balance.Options())
    assert plan == balance.plan(checked, balance.Options()) and not checked.changes(plan.fields, plan.decisions)
    assert run_stage(checked, balance.STAGE, balance.Options(), quiet).fresh


def test_only_kept_images_count_and_loosening_brings_the_others_back(checked):
    run_stage(checked, check.STAGE, check.Options(drop=("images/artists~alder/x.png",)), quiet)
    run_stage(checked, balance.STAGE, balance.Options(), quiet)
    assert values(checked)["artists~alder/y.png"].exact == 4 and len(values(checked)) == 4
    run_stage(checked, check.STAGE, check.Options(), quiet)
    run_stage(checked, balance.STAGE, balance.Options(), quiet)
    assert len(values(checked)) == 5


def test_a_set_without_kept_images_is_reported(set_of):
    assert balance.plan(set_of({}), balance.Options()).warnings == ("no image is kept, so there is nothing to balance",)


# --- weights, exponent, caps


def test_a_weight_holds_among_siblings(checked):
    run_stage(checked, balance.STAGE, balance.Options(weights={"characters": 3, "characters/Quill": 0.5}), quiet)
    found = values(checked)
    assert found["characters~Lumi/a.png"].exact == pytest.approx(2)
    assert found["characters~Quill/a.png"].exact == pytest.approx(2)
    assert found["artists~alder/x.png"].exact == pytest.approx(1)


def test_a_pattern_weighs_every_concept_it_is_for(set_of):
    manifest = set_of({"a/fanart": 1, "a/screens": 1, "b/fanart": 1, "b/screens": 1})
    plan = balance.plan(manifest, balance.Options(weights={"**/fanart": 3}))
    assert repeat_of(plan, "a/fanart")[0] == repeat_of(plan, "b/fanart")[0] == pytest.approx(3)


def test_a_weight_for_a_concept_that_is_not_there_suggests_the_likely_one(checked):
    with pytest.raises(
        PrepError, match="no kept image is in 'characters/Lumy'; did you mean characters/Lumi"
    ) as caught:
        balance.plan(checked, balance.Options(weights={"characters/Lumy": 2, "*/Quil": 2, "*/Lumi": 2}))
    assert "no kept image is in '*/Quil'; did you mean */Quill or */Lumi?" in caught.value.message
    assert "is in '*/Lumi'" not in caught.value.message
    assert "**/fanart" in caught.value.hint


def test_of_many_concepts_only_the_nearest_are_named(set_of):
    manifest = set_of({f"concept {number}": 1 for number in range(200)})
    with pytest.raises(PrepError, match="did you mean concept 77") as caught:
        balance.plan(manifest, balance.Options(weights={"concept 77x": 2}))
    assert len(caught.value.message) < 300


def test_tempered_balance_worked_by_hand(set_of):
    """4 and 16 images pull with 2 and 4, so an image of the few is shown twice as often as one of the many."""
    manifest = set_of({"few": 4, "many": 16})
    plan = balance.plan(manifest, balance.Options(exponent=0.5))
    assert repeat_of(plan, "few") == (2.0, 2, "share of its concept")
    assert repeat_of(plan, "many") == (1.0, 1, "share of its concept")


def test_a_concept_held_at_the_cap_says_so_and_what_it_costs(set_of):
    """An epoch of 16: alder 8, and of the 8 for characters Quill can take 3 of its 4, Lumi the other 5."""
    manifest = set_of({"characters/Lumi": 2, "characters/Quill": 1, "artists/alder": 8})
    plan = balance.plan(manifest, balance.Options(max_repeat=3))
    assert repeat_of(plan, "characters/Quill") == (3.0, 3, "capped at max_repeat")
    note = next(note for note in plan.warnings if note.startswith("max_repeat of 3 moves"))
    assert "characters/Quill gets 18.75% instead of 25.00%" in note


def test_a_concept_at_the_cap_that_has_its_share_is_not_held(set_of):
    plan = balance.plan(set_of({"a": 1, "b": 3}), balance.Options(max_repeat=3))
    assert repeat_of(plan, "a") == (3.0, 3, "share of its concept")
    assert not any("max_repeat of" in note for note in plan.warnings)


# --- repeats that folders give


def test_images_keep_what_their_folder_gives_and_the_others_are_balanced_among_themselves(set_of):
    """Without `old` there are a (2 images) and b (1): b is shown twice as often."""
    manifest = set_of({"a": 2, "b": 1, "old": 4}, given={"old": 24.0})
    plan = balance.plan(manifest, balance.Options(min_repeat=3, max_repeat=10))
    assert repeat_of(plan, "old") == (24.0, 24, "set by its folder")
    assert repeat_of(plan, "a")[0] == pytest.approx(3) and repeat_of(plan, "b")[0] == pytest.approx(6)
    row = next(row for row in plan.decisions if row.path == "images/old/0.png")
    assert figures(row).startswith("24 an epoch")
    note = next(note for note in plan.warnings if "--user-repeats ignore" in note)
    assert "4 images keep the exposures their folder gives them" in note and "24 of old" in note
    assert next(row for row in plan.table if row["concept"] == "old")["weight"] == "user-set"


def test_ignoring_what_folders_give_balances_all(set_of):
    manifest = set_of({"a": 2, "old": 4}, given={"old": 24.0})
    plan = balance.plan(manifest, balance.Options(user_repeats="ignore"))
    assert repeat_of(plan, "old") == (1.0, 1, "share of its concept") and repeat_of(plan, "a")[0] == pytest.approx(2)
    assert not any("ignore" in note for note in plan.warnings)


def test_a_set_whose_folders_give_everything_is_taken_as_it_is(set_of):
    plan = balance.plan(set_of({"a": 2, "b": 4}, given={"a": 7.0, "b": 2.5}), balance.Options())
    assert repeat_of(plan, "a") == (7.0, 7, "set by its folder")
    assert repeat_of(plan, "b") == (2.5, 2, "set by its folder")


@pytest.mark.parametrize(
    ("value", "rounding", "whole"),
    [(0.4, "floor", 1), (2.9, "floor", 2), (2.9, "nearest", 3), (2.9, "largest-remainder", 3), (1e-9, "nearest", 1)],
)
def test_a_given_repeat_is_rounded_like_the_others_and_never_below_one(value, rounding, whole):
    assert whole_user_repeats(value, rounding) == whole


def test_a_concept_from_two_folders_keeps_each_images_own(set_of):
    manifest = set_of({"a": 3, "b": 3})
    rows = [decided("images/a/0.png", "user_repeats", 5.0), decided("images/a/1.png", "user_repeats", 2.0)]
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("flatten", {}), ("user_repeats",), rows)
    plan = balance.plan(manifest, balance.Options())
    found = {row.path: row.value.exact for row in plan.decisions}
    assert (found["images/a/0.png"], found["images/a/1.png"], found["images/a/2.png"]) == (5, 2, 3)
    assert plan.table[0]["repeat"] == "2-5" and plan.table[0]["exact"] == "2-5"


def test_a_weight_that_nothing_is_left_for_is_reported(set_of):
    manifest = set_of({"a": 3, "b": 3}, given={"a": 2.0})
    warnings = balance.plan(manifest, balance.Options(weights={"a": 4})).warnings
    assert "the weight of a does nothing: all images there keep what their folder gives" in warnings


# --- what people are reported


def test_the_table_has_every_node_in_tree_order(set_of):
    plan = balance.plan(set_of({"artists/alder": 2, "characters/Lumi": 2, "characters": 1}), balance.Options())
    assert [row["concept"].strip() for row in plan.table] == [
        "artists",
        "artists/alder",
        "characters",
        "characters/.",
        "characters/Lumi",
    ]
    assert [len(row["concept"]) - len(row["concept"].strip()) for row in plan.table] == [0, 2, 0, 2, 2]
    for column in ("target", "share"):
        assert [row[column] for row in plan.table] == ["50.00%", "50.00%", "50.00%", "25.00%", "25.00%"]
    assert [row["repeat"] for row in plan.table] == ["", "2", "", "2", "1"]
    assert len({tuple(row) for row in plan.table}) == 1


def test_how_often_an_image_is_seen_follows_from_the_planned_training(set_of, tmp_path):
    """Showings an epoch: 2 · 1 + 1 · 2 = 4. Ten epochs show b 20 times; 50 batches of 8 show b 200 times."""
    manifest = set_of({"a": 2, "b": 1})

    def seen(options):
        plan = balance.plan(manifest, options)
        return [row["seen"] for row in plan.table], plan.counts["training_exposures"]

    assert seen(balance.Options()) == ([10, 20], 40)
    file = tmp_path / "prep.toml"
    file.write_text("[train]\nsteps = 50\nbatch_size = 8\n", encoding="utf-8")
    assert seen(options_for("balance", balance.Options, load_settings(file), {})) == ([100, 200], 400)
    flags = {"for_steps": 5}
    assert seen(options_for("balance", balance.Options, load_settings(file), flags)) == ([10, 20], 40)


def test_the_planned_training_has_the_trainers_own_defaults():
    options, recipe = balance.Options(), make_recipe()
    assert (options.steps, options.epochs, options.batch_size) == (
        recipe.batches.steps,
        recipe.batches.epochs,
        recipe.batches.batch_size,
    )


def test_the_published_table_comes_out_with_its_warnings(set_of):
    plan = balance.plan(set_of(COUNTS), balance.Options())
    assert all(repeat_of(plan, concept)[1] == repeat for concept, (_, repeat) in PUBLISHED.items())
    assert plan.counts == {
        "exposures_an_epoch": 21_900,
        "training_exposures": 219_000,
        "effective_sample_size": 2433,
    }
    assert plan.info == (
        "6 360 images count as 2 433 shown alike (effective sample size, 38.3% of all; "
        "before balancing it is all 6 360)",
        "the shares are missed by 6.1% in all with whole repeats, by 0.0% with exact repeats",
    )
    assert plan.warnings == (
        "16 images of characters/fanart/Euphyllia are shown 57 times an epoch each: "
        "that is 912 of 21 900 exposures; find more, or --max-repeat 20",
        "whole repeats miss the share of 3 of 19 concepts by more than 20% of it, most of all artists/ke-ta: "
        "7.60% instead of 10.00%; --rounding nearest misses them by 1.4% in all instead of 6.1% "
        "(prep train uses the exact ones)",
    )


def test_where_no_rounding_is_closer_a_longer_epoch_is_advised(set_of):
    note = balance.plan(set_of({"a": 20, "b": 29, "c": 29}), balance.Options(rounding="nearest")).warnings[-1]
    assert note.startswith("whole repeats miss the share") and "--min-repeat 2 makes an epoch twice as long" in note


def test_an_image_that_is_a_large_part_of_an_epoch_is_warned_of(set_of):
    warnings = balance.plan(set_of({"a": 1, "b": 60}), balance.Options()).warnings
    assert "single images are more than 5% of an epoch: a, 50.0% each" in warnings
    assert (
        "1 image of a is shown 60 times an epoch: that is 60 of 120 exposures; find more, or --max-repeat 20"
        in warnings
    )
    assert not any("single" in note for note in balance.plan(set_of({"a": 1, "b": 1}), balance.Options()).warnings)


def test_of_many_warnings_alike_five_are_shown(set_of):
    warnings = balance.plan(set_of({"z": 100} | {f"c{number}": 1 for number in range(9)}), balance.Options()).warnings
    assert sum("times an epoch" in note for note in warnings) == 5
    assert "and so are 4 other concepts, 50 times the least shown or more" in warnings


def test_whole_repeats_above_the_exact_ones_are_warned_of(checked):
    warnings = balance.plan(checked, balance.Options(min_repeat=0.1)).warnings
    assert any(
        note.startswith("whole repeats are at least 1, more than the exact ones of artists/alder") for note in warnings
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"a": 0.0}}, "the weight of a is 0"),
        ({"weights": {"a": float("nan")}}, "the weight of a is nan"),
        ({"weights": {"a": 1e300}}, r"the weight of a is 1e\+300"),
        ({"exponent": -0.1}, "exponent is -0.1"),
        ({"exponent": 1.5}, "exponent is 1.5"),
        ({"min_repeat": 0.0}, "min_repeat is 0"),
        ({"min_repeat": float("inf")}, "min_repeat is inf"),
        ({"max_repeat": 0.5}, "max_repeat is 0.5, below min_repeat"),
        ({"for_steps": 0}, "for_steps is 0"),
    ],
)
def test_options_out_of_range_are_reported(options, message):
    with pytest.raises(PrepError, match=message) as caught:
        balance.Options(**options)
    assert "give" in caught.value.hint


def test_a_painted_set_is_balanced_after_flatten(flattened, source):
    for number in range(6):
        save(painted(100 + number, 1.5), source / f"artists/birch/{number}.png")
    run_flatten(flattened, source)
    run_stage(flattened, check.STAGE, check.Options(), quiet)
    run_stage(flattened, balance.STAGE, balance.Options(max_repeat=4.0), quiet)
    row = flattened.decisions("repeats")["images/characters~Quill/a.png"]
    assert row.value.exact == pytest.approx(4) and phrase(row) == "capped at max_repeat"
