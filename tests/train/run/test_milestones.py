import pytest

from train.data.progress import START, Progress
from train.options.recipe import Recipe, make_recipe
from train.run.milestones import Actions, due, milestones

PROMPTED = {"sample_prompts": ("1girl",)}


def due_in(recipe: Recipe, now: Progress) -> Actions:
    return due(now, recipe.saving, recipe.validation, recipe.samples)


def seen(**options) -> dict[str, list[int]]:
    """Steps of a run of three epochs, of four batches each, at which something is due."""
    recipe = make_recipe(**PROMPTED | options)
    places = [START] + [Progress(step, (step + 3) // 4, step % 4 == 0, step == 12) for step in range(1, 13)]
    found = {now.step: due_in(recipe, now) for now in places}
    return {
        what: [step for step, wanted in found.items() if getattr(wanted, what)]
        for what in ("snapshot", "evaluate", "generate")
    }


@pytest.mark.parametrize(
    ("options", "snapshots", "evaluations", "samples"),
    [
        ({}, [], [0, 12], [0, 12]),
        ({"save_every_epochs": 1}, [4, 8], [0, 4, 8, 12], [0, 4, 8, 12]),
        ({"save_every_epochs": 2}, [8], [0, 8, 12], [0, 8, 12]),
        ({"save_every_steps": 5}, [5, 10], [0, 5, 10, 12], [0, 5, 10, 12]),
        ({"save_every_steps": 5, "save_every_epochs": 1}, [4, 5, 8, 10], [0, 4, 5, 8, 10, 12], [0, 4, 5, 8, 10, 12]),
        ({"validation_every": 6, "save_every_epochs": 1}, [4, 8], [0, 6, 12], [0, 4, 8, 12]),
        ({"sample_every_steps": 3, "save_every_epochs": 1}, [4, 8], [0, 4, 8, 12], [0, 3, 6, 9, 12]),
        ({"sample_every_epochs": 1, "validation": "none"}, [], [], [0, 4, 8, 12]),
        ({"sample_prompts": (), "save_every_epochs": 1}, [4, 8], [0, 4, 8, 12], []),
    ],
)
def test_what_is_due_follows_the_options(options, snapshots, evaluations, samples):
    assert seen(**options) == {"snapshot": snapshots, "evaluate": evaluations, "generate": samples}
    recipe = make_recipe(**PROMPTED | options)
    counted = list(milestones(12, {4: 1, 8: 2, 12: 3}, recipe.saving, recipe.validation, recipe.samples))
    sums = [sum(getattr(each, what) for each in counted) for what in ("snapshot", "evaluate", "generate")]
    assert sums == [len(snapshots), len(evaluations), len(samples)]


def test_the_end_of_the_run_is_no_snapshot_as_the_adapter_itself_is_saved_there():
    assert not due_in(make_recipe(save_every_steps=12), Progress(12, 3, True, True)).snapshot
