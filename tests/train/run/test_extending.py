"""A finished run that is asked for with more steps goes on, and ends as one that was asked for with all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from quick_runs import QUICK, forget_run, quiet, weights

from train.extending import extension
from train.optimization.optimizers import KINDS
from train.options.recipe import make_recipe
from train.session import train_adapter

LONGER = {
    "AdamW": {"scheduler": "constant"},
    "warm-up": {"scheduler": "constant_with_warmup", "warmup_steps": 2},
    "ScheduleFreeAdamW": {"optimizer": "ScheduleFreeAdamW", "scheduler": "constant"},
    "accumulated": {"scheduler": "constant", "gradient_accumulation_steps": 2},
}


@pytest.mark.parametrize("options", LONGER.values(), ids=LONGER)
def test_a_finished_run_goes_on_to_the_same_bits_as_one_run_of_that_length(prepared, options):
    short, long = (make_recipe(**QUICK | options | {"steps": steps}) for steps in (4, 7))
    pytest.importorskip(KINDS[long.optimizer.optimizer].module)
    whole = weights(train_adapter(prepared, long, quiet).file)
    forget_run(prepared, "adapter")
    assert train_adapter(prepared, short, quiet).steps == 4
    on = train_adapter(prepared, long, quiet)
    assert (on.resumed_from, on.steps) == (4, 7)
    found = weights(on.file)
    assert whole.keys() == found.keys() and all(torch.equal(whole[key], found[key]) for key in whole)
    log = (on.file.parent / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 4, 5, 6, 7]
    assert json.loads((on.file.parent / "run.json").read_text(encoding="utf-8"))["steps"] == 7


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"scheduler": "cosine"}, "the cosine scheduler"),
        ({"scheduler": "constant_with_warmup", "warmup_share": 0.25}, "give warmup_steps"),
        ({"scheduler": "constant", "tag_warmup_share": 0.5}, "give tag_warmup_steps"),
        ({"scheduler": "constant", "gradient_accumulation_steps": 3}, "fewer batches"),
    ],
)
def test_a_run_whose_length_decided_what_it_learned_begins_anew_and_why_is_said(prepared, options, why):
    short, long = (make_recipe(**QUICK | options | {"steps": steps}) for steps in (4, 7))
    folder = Path(train_adapter(prepared, short, quiet).file).parent
    found = extension(folder, long, 7)
    assert found is not None and why in found.why_not
    assert train_adapter(prepared, long, quiet).resumed_from == 0


def test_a_run_that_was_stopped_is_none_to_extend(prepared):
    class Killed(BaseException):
        pass

    def die(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == 3:
            raise Killed

    options = QUICK | {"scheduler": "constant"}
    with pytest.raises(Killed):
        train_adapter(prepared, make_recipe(**options | {"steps": 4}), die)
    longer = make_recipe(**options | {"steps": 7})
    assert extension(prepared.root / "runs" / "adapter", longer, 7) is None
    assert train_adapter(prepared, longer, quiet).resumed_from == 0


def test_fewer_steps_other_settings_or_no_run_are_no_extension(prepared):
    constant = {"scheduler": "constant"}
    recipe = make_recipe(**QUICK | constant | {"steps": 4})
    folder = prepared.root / "runs" / "adapter"
    assert extension(folder, recipe, 4) is None
    train_adapter(prepared, recipe, quiet)
    assert extension(folder, make_recipe(**QUICK | constant | {"steps": 3}), 3) is None
    assert extension(folder, make_recipe(**QUICK | constant | {"steps": 7, "unet_lr": 2e-2}), 7) is None
    assert train_adapter(prepared, make_recipe(**QUICK | constant | {"steps": 3}), quiet).resumed_from == 0
