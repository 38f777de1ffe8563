"""What a run leaves in its folder, and what it does with what it finds there."""

import json
import signal

import pytest
from decided import decided
from safetensors.torch import load_file

from pipeline.config.settings import Settings, resolved
from pipeline.core.errors import PrepError
from pipeline.stages import train as train_stage
from pipeline.store.history.undo import newest
from pipeline.store.running.runner import run_stage
from train.evaluation.validation_history import read_evaluations
from train.options.recipe import Recipe, make_recipe
from train.session import train_adapter

OPTIONS = {
    "base": "miniature",
    "rank": 2,
    "alpha": 2.0,
    "batch_size": 2,
    "epochs": 3,
    "unet_lr": 1e-3,
    "save_precision": "fp32",
    "save_every_epochs": 1,
    "validation_images": 3,
    "validation_times": 2,
    "device": "cpu",
}


def quiet(what: str, done: int, total: int) -> None:
    pass


def folder_of(manifest, name="adapter"):
    return manifest.root / "runs" / name


def run_of(manifest, name="adapter"):
    return json.loads((folder_of(manifest, name) / "run.json").read_text(encoding="utf-8"))


def adapters(manifest, name="adapter"):
    return sorted(file.name for file in folder_of(manifest, name).glob("*.safetensors") if file.stem != "state")


class Killed(BaseException):
    pass


def killed_at(step: int):
    def die(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == step:
            raise Killed

    return die


def test_a_folder_answers_what_was_trained_on_what_and_which_snapshot_to_take(prepared):
    origins = {"rank": "flag", "batch_size": "prep.toml"}
    train_adapter(prepared, make_recipe(**OPTIONS), quiet, origins=origins, versions={"torch": "9"})
    run = run_of(prepared)
    assert run["settings"]["rank"] == {"value": 2, "origin": "flag"}
    assert run["settings"]["batch_size"] == {"value": 2, "origin": "prep.toml"}
    assert run["settings"]["alpha"]["origin"] == "default"
    assert run["versions"] == {"torch": "9"} and run["seeds"] == {"seed": 420}
    assert run["base"]["name"] == "miniature" and len(run["base"]["digest"]) == 64
    assert run["set"]["images"] == 6 and run["set"]["concepts"] == {"Lumi": 6} and len(run["set"]["digest"]) == 64
    assert [row["file"] for row in run["snapshots"]] == [
        "adapter-000001.safetensors",
        "adapter-000002.safetensors",
        "adapter.safetensors",
    ]
    losses = {
        evaluation.step: evaluation.loss for evaluation in read_evaluations(folder_of(prepared) / "validation.jsonl")
    }
    assert [row["validation"] for row in run["snapshots"]] == [losses[row["step"]] for row in run["snapshots"]]
    assert [row["best"] for row in run["snapshots"]].count(True) == 1
    assert run["result"]["best"] in {row["file"] for row in run["snapshots"]}
    images = json.loads((folder_of(prepared) / "set.json").read_text(encoding="utf-8"))
    assert images["images/Lumi/0 ✨ [x].png"]["caption"].startswith("Lumi, ")
    shown = (folder_of(prepared) / "images.csv").read_text(encoding="utf-8").splitlines()
    assert len(shown) == 7


def test_snapshots_hold_the_weights_of_their_step_and_the_final_one_those_of_the_end(prepared):
    train_adapter(prepared, make_recipe(**OPTIONS), quiet)
    train_adapter(prepared, make_recipe(**OPTIONS | {"scheduler": "constant", "name": "long"}), quiet)
    train_adapter(prepared, make_recipe(**OPTIONS | {"scheduler": "constant", "epochs": 2, "name": "short"}), quiet)
    second = load_file(folder_of(prepared, "long") / "long-000002.safetensors")
    whole = load_file(folder_of(prepared, "short") / "short.safetensors")
    assert all(bool((second[key] == whole[key]).all()) for key in whole)
    last = load_file(folder_of(prepared, "long") / "long.safetensors")
    assert any(bool((second[key] != last[key]).any()) for key in last)


def test_only_the_last_snapshots_and_the_best_stay(prepared):
    train_adapter(prepared, make_recipe(**OPTIONS | {"epochs": 5, "keep_last": 1}), quiet)
    rows = run_of(prepared)["snapshots"]
    assert adapters(prepared) == sorted(row["file"] for row in rows)
    kept = {row["file"] for row in rows}
    assert {"adapter.safetensors", "adapter-000004.safetensors"} <= kept and len(kept) <= 3


def test_what_a_person_put_there_is_not_written_over(prepared):
    train_adapter(prepared, make_recipe(**OPTIONS), quiet)
    mine = folder_of(prepared) / "adapter-000001.safetensors"
    mine.write_bytes(b"merged by hand")
    with pytest.raises(PrepError, match="training would write over what it has not written itself"):
        train_adapter(prepared, make_recipe(**OPTIONS | {"epochs": 1}), quiet)
    assert mine.read_bytes() == b"merged by hand"


def test_another_run_of_the_same_name_leaves_no_old_snapshot_beside_its_own(prepared):
    train_adapter(prepared, make_recipe(**OPTIONS | {"epochs": 4}), quiet)
    assert "adapter-000003.safetensors" in adapters(prepared)
    train_adapter(prepared, make_recipe(**OPTIONS | {"epochs": 2}), quiet)
    assert adapters(prepared) == ["adapter-000001.safetensors", "adapter.safetensors"]
    assert next(read_evaluations(folder_of(prepared) / "validation.jsonl")).step == 0


def test_a_killed_run_ends_with_the_same_looks_and_snapshots_as_an_undisturbed_one(prepared):
    for name in ("undisturbed", "killed"):
        recipe = make_recipe(**OPTIONS | {"name": name, "save_state_every": 4, "optimizer": "ScheduleFreeAdamW"})
        if name == "killed":
            for step in (7, 11):
                with pytest.raises(Killed):
                    train_adapter(prepared, recipe, killed_at(step))
        train_adapter(prepared, recipe, quiet)
    one, other = (folder_of(prepared, name) for name in ("undisturbed", "killed"))
    assert (one / "validation.jsonl").read_bytes() == (other / "validation.jsonl").read_bytes()
    assert (one / "images.csv").read_bytes() == (other / "images.csv").read_bytes()
    for file in adapters(prepared, "undisturbed"):
        first, second = load_file(one / file), load_file(other / file.replace("undisturbed", "killed"))
        assert all(bool((first[key] == second[key]).all()) for key in first), file


def test_validating_generating_and_saving_change_nothing_of_what_is_learned(prepared):
    plain = {key: value for key, value in OPTIONS.items() if not key.startswith(("validation", "save_every"))}
    plain |= {"validation": "none", "optimizer": "ScheduleFreeAdamW", "name": "plain"}
    first = train_adapter(prepared, make_recipe(**plain), quiet)
    busy = {"sample_prompts": ("1girl --s 2 --d 1",), "sample_every_steps": 2, "optimizer": "ScheduleFreeAdamW"}
    second = train_adapter(prepared, make_recipe(**OPTIONS | busy | {"name": "busy", "validation_every": 1}), quiet)
    one, other = load_file(first.file), load_file(second.file)
    assert all(bool((one[key] == other[key]).all()) for key in one)
    assert (folder_of(prepared, "busy") / "progress" / "grid.png").is_file()


def test_patience_ends_a_run_that_gets_no_better(prepared):
    stalled = {"unet_lr": 1e-12, "epochs": 50, "patience": 2, "validation_every": 1, "save_every_epochs": 0}
    trained = train_adapter(prepared, make_recipe(**OPTIONS | stalled), quiet)
    assert trained.steps < 60
    run = run_of(prepared)
    assert run["result"]["ended"] == "no better look for so long" and run["result"]["steps"] == trained.steps
    assert (folder_of(prepared) / "adapter.safetensors").is_file()
    again = train_adapter(prepared, make_recipe(**OPTIONS | stalled), quiet)
    assert again.steps == trained.steps, "a run that has ended does not go on"


def test_ctrl_c_saves_and_the_run_goes_on_from_there(prepared):
    recipe, before = make_recipe(**OPTIONS | {"save_state_every": 1000}), signal.getsignal(signal.SIGINT)

    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_adapter(prepared, recipe, interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    trained = train_adapter(prepared, recipe, quiet)
    assert trained.resumed_from == 6
    undisturbed = train_adapter(prepared, make_recipe(**OPTIONS | {"name": "undisturbed"}), quiet)
    one, other = load_file(trained.file), load_file(undisturbed.file)
    assert all(bool((one[key] == other[key]).all()) for key in one)


def test_looks_on_another_grid_are_put_away_when_a_run_goes_on(prepared):
    with pytest.raises(Killed):
        train_adapter(prepared, make_recipe(**OPTIONS | {"save_state_every": 1}), killed_at(7))
    trained = train_adapter(prepared, make_recipe(**OPTIONS | {"validation_times": 3}), quiet)
    assert trained.resumed_from == 7
    assert "validation_times changed, so earlier validations" in trained.warnings[0]
    assert (folder_of(prepared) / "validation before.jsonl").is_file()
    assert all(evaluation.step > 7 for evaluation in read_evaluations(folder_of(prepared) / "validation.jsonl"))


def test_a_run_done_again_says_what_differs_and_that_its_weights_are_the_same(prepared):
    recipe = make_recipe(**OPTIONS | {"rank": 4})
    train_adapter(prepared, recipe, quiet)
    file = folder_of(prepared) / "run.json"
    again = resolved("train", Recipe, Settings(stages={"train": {"rank": 8, "epochs": 1}}), {"replay": file})
    assert (
        again.options.adapter.rank == 4
        and again.options.batches.epochs == 3
        and again.options.run.name == "adapter-again"
    )
    assert again.origins["rank"] == "replay" and again.origins["replay"] == "flag"
    trained = train_adapter(prepared, again.options, quiet, origins=again.origins)
    assert trained.compared == (
        f"the weights are the same to the bit as those of {file.parent / 'adapter.safetensors'}",
    )
    other = resolved("train", Recipe, Settings(), {"replay": file, "rank": 2, "name": "third"})
    trained = train_adapter(prepared, other.options, quiet)
    assert f"other than in {file}: rank was 4, now 2" in trained.compared
    assert any(note.startswith("the weights are others than those of") for note in trained.compared)


def test_a_replay_names_the_images_that_are_not_as_they_were(prepared):
    train_adapter(prepared, make_recipe(**OPTIONS), quiet)
    file = folder_of(prepared) / "run.json"
    path = prepared.kept()[0].path

    with prepared.transaction():
        prepared.put_rows(prepared.begin_run("test", {}), [decided(path, "caption", "Lumi, other")])
    again = resolved("train", Recipe, Settings(), {"replay": file})
    warnings = train_adapter(prepared, again.options, quiet).compared
    assert f"other than in {file}: 1 images differ: {path} (caption)" in warnings


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"settings": 3}'])
def test_what_is_no_run_json_is_refused(tmp_path, text):
    file = tmp_path / "run.json"
    with pytest.raises(PrepError, match="there is no"):
        resolved("train", Recipe, Settings(), {"replay": file})
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PrepError, match=r"is not a run\.json"):
        resolved("train", Recipe, Settings(), {"replay": file})


def test_the_base_model_with_the_adapter_merged_in_is_written_and_works_as_the_adapter_does(prepared):
    import torch

    from train.adapters.adapter import attach_adapter
    from train.models.load import load_base
    from train.models.text.conditioning import Conditioning

    options = {key: value for key, value in OPTIONS.items() if key not in ("rank", "alpha")}
    options |= {"algorithm": "full", "train_norm": True, "epochs": 2, "save_checkpoint": True}
    trained = train_adapter(prepared, make_recipe(**options), quiet)
    base, merged = (
        load_base("miniature", device="cpu"),
        load_base(str(folder_of(prepared) / "merged-adapter"), device="cpu"),
    )
    noisy, states = torch.randn(1, 4, 16, 16), torch.randn(1, 77, base.unet.config.cross_attention_dim)
    stored = 2e-3  # two units in the last place of a half near 1, as which the merged weights are kept
    with torch.no_grad():
        plain = base.predict(noisy, torch.tensor([500]), Conditioning(states))
        attach_adapter(base, trained.file)
        attached = base.predict(noisy, torch.tensor([500]), Conditioning(states))
        assert torch.allclose(merged.predict(noisy, torch.tensor([500]), Conditioning(states)), attached, atol=stored)
        assert not torch.allclose(plain, attached, atol=stored)
    train_adapter(prepared, make_recipe(**options | {"epochs": 1}), quiet)
    (folder_of(prepared) / "merged-adapter" / "unet" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PrepError, match="save_checkpoint would write over"):
        train_adapter(prepared, make_recipe(**options), quiet)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"clip_skip": 99}, "clip_skip"),
        ({"zero_terminal_snr": True}, "predicts epsilon"),
        ({"optimizer_args": {"weight_dekay": "1"}}, "weight_dekay"),
        ({"vae": "nowhere/at all/"}, "vae"),
    ],
)
def test_a_start_that_is_refused_changes_nothing_and_leaves_no_run(prepared, wrong, words):
    """The run before it stays whole, and undo takes back that one."""
    options = {key: value for key, value in OPTIONS.items() if key != "epochs"} | {"steps": 2}
    run_stage(prepared, train_stage.STAGE, make_recipe(**options), quiet)
    folder = folder_of(prepared)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    runs = [run.id for run in prepared.runs()]
    for _ in range(2):
        with pytest.raises(PrepError, match=words):
            run_stage(prepared, train_stage.STAGE, make_recipe(**options | wrong), quiet)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert [run.id for run in prepared.runs()] == runs
    assert newest(prepared).stage == "train" and newest(prepared).id == runs[-1]


def test_when_a_run_has_ended_a_person_is_reported_where_and_how_good_the_adapter_is(prepared):
    outcome = run_stage(prepared, train_stage.STAGE, make_recipe(**OPTIONS), quiet)
    trained, adapter, validation, page = outcome.results
    evaluations = list(read_evaluations(folder_of(prepared) / "validation.jsonl"))
    assert trained.startswith(f"trained {run_of(prepared)['result']['steps']} steps in ") and adapter.endswith(
        "adapter.safetensors"
    )
    assert (
        f"{evaluations[0].loss:.4g} at step 0" in validation and f"{evaluations[-1].loss:.4g} at the end" in validation
    )
    assert f"take {run_of(prepared)['result']['best']}" in validation
    assert page == f"all about it: {folder_of(prepared) / 'report.html'}"


def test_the_state_is_kept_beside_every_snapshot(prepared):
    options = OPTIONS | {"save_every_epochs": 0, "save_every_steps": 3, "save_state_every": 1000}
    with pytest.raises(Killed):
        train_adapter(prepared, make_recipe(**options), killed_at(5))
    assert train_adapter(prepared, make_recipe(**options), quiet).resumed_from == 3


def test_a_plan_says_that_an_adapter_of_that_name_is_there_and_runs_of_other_names_stay_fresh(prepared):
    options = {key: value for key, value in OPTIONS.items() if key != "epochs"} | {"steps": 2}
    run_stage(prepared, train_stage.STAGE, make_recipe(**options), quiet)
    run_stage(prepared, train_stage.STAGE, make_recipe(**options | {"name": "other"}), quiet)
    assert run_stage(prepared, train_stage.STAGE, make_recipe(**options), quiet).fresh
    assert not any(
        "takes its place" in note
        for note in train_stage.plan(prepared, make_recipe(**options | {"name": "c"})).warnings
    )
    (note,) = [
        note
        for note in train_stage.plan(prepared, make_recipe(**options | {"rank": 4})).warnings
        if "takes its" in note
    ]
    assert f"of run {prepared.last_run('train', 'adapter').id} is there" in note
