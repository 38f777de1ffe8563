import pytest
from painted_sets import painted, quiet, run_flatten, save

from pipeline.errors import PrepError
from pipeline.stage import run_stage
from pipeline.stages import balance, check


def values(manifest):
    return {path.removeprefix("images/"): row.value for path, row in manifest.decisions("multiplier").items()}


def test_every_kept_picture_has_one_multiplier_worked_by_hand(checked):
    """Half for artists/alder (2 pictures), a quarter each for Lumi (2) and Quill (1): 1/4, 1/8, 1/4."""
    run_stage(checked, balance, balance.Options(), quiet)
    assert values(checked) == {
        "artists~alder/x.png": {"exact": 2.0, "repeat": 2},
        "artists~alder/y.png": {"exact": 2.0, "repeat": 2},
        "characters~Lumi/a.png": {"exact": 1.0, "repeat": 1},
        "characters~Lumi/b.png": {"exact": 1.0, "repeat": 1},
        "characters~Quill/a.png": {"exact": 2.0, "repeat": 2},
    }
    row = checked.decisions("multiplier")["images/characters~Quill/a.png"]
    assert row.reason == "share of its concept" and row.evidence == "25.00% promised, 1 pictures of characters/Quill"


def test_the_same_input_gives_the_same_plan_and_planning_twice_changes_nothing(checked):
    run_stage(checked, balance, balance.Options(), quiet)
    plan = balance.plan(checked, balance.Options())
    assert plan == balance.plan(checked, balance.Options()) and not checked.changes(plan.fields, plan.decisions)
    assert run_stage(checked, balance, balance.Options(), quiet).fresh


def test_only_kept_pictures_count_and_loosening_brings_the_others_back(checked):
    run_stage(checked, check, check.Options(drop=("images/artists~alder/x.png",)), quiet)
    run_stage(checked, balance, balance.Options(), quiet)
    assert values(checked)["artists~alder/y.png"]["exact"] == 4 and len(values(checked)) == 4
    run_stage(checked, check, check.Options(), quiet)
    run_stage(checked, balance, balance.Options(), quiet)
    assert len(values(checked)) == 5


def test_a_weight_holds_among_siblings(checked):
    run_stage(checked, balance, balance.Options(weights={"characters": 3, "characters/Quill": 0.5}), quiet)
    found = values(checked)
    assert found["characters~Lumi/a.png"]["exact"] == pytest.approx(2)
    assert found["characters~Quill/a.png"]["exact"] == pytest.approx(2)
    assert found["artists~alder/x.png"]["exact"] == pytest.approx(1)


def test_a_weight_for_a_concept_that_is_not_there_suggests_the_likely_one(checked):
    with pytest.raises(PrepError, match="no kept picture is in 'characters/Lumy'; did you mean characters/Lumi"):
        balance.plan(checked, balance.Options(weights={"characters/Lumy": 2}))


def test_a_concept_held_at_the_cap_says_so(flattened, source):
    for number in range(6):
        save(painted(100 + number, 1.5), source / f"artists/birch/{number}.png")
    run_flatten(flattened, source)
    run_stage(flattened, check, check.Options(), quiet)
    run_stage(flattened, balance, balance.Options(max_repeat=4), quiet)
    row = flattened.decisions("multiplier")["images/characters~Quill/a.png"]
    assert row.value["exact"] == pytest.approx(4) and row.reason == "held at max_repeat"


def test_the_table_shows_promise_and_result_and_few_pictures_are_warned_of(checked):
    plan = balance.plan(checked, balance.Options(min_repeat=60))
    for column in ("promised", "share"):
        assert [row[column] for row in plan.table] == ["50.00%", "25.00%", "25.00%"]
    assert any(
        note.startswith("every picture of characters/Quill is shown 120 times per epoch: 1 pictures")
        for note in plan.notes
    )


def test_whole_repeats_above_the_exact_ones_are_warned_of(checked):
    assert any(
        "whole repeats are at least 1" in note for note in balance.plan(checked, balance.Options(min_repeat=0.1)).notes
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"a": 0.0}}, "the weight of a is 0"),
        ({"weights": {"a": float("nan")}}, "the weight of a is nan"),
        ({"min_repeat": 0.0}, "min_repeat is 0"),
        ({"max_repeat": 0.5}, "max_repeat is 0.5, below min_repeat"),
    ],
)
def test_options_out_of_range_are_told(options, message):
    with pytest.raises(PrepError, match=message):
        balance.Options(**options)
