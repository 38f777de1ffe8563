"""What `prep train --dry-run` says of a run, from the record alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from decided import decided
from painted_sets import quiet
from recorded_sets import recorded_set

from pipeline.core.errors import PrepError
from pipeline.stages import train
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image
from pipeline.store.running.runner import preview_stage
from pipeline.store.values.regularization import RegularizationAssignment, RegularizationImage
from pipeline.store.wording import figures, phrase
from train.options.recipe import make_recipe

LONG = ", ".join(f"red hair {number}" for number in range(30))
SIZES = ((64, 64), (56, 72))


@pytest.fixture
def manifest(tmp_path: Path):
    """Eight images of Lumi at 64×64 and two of Quill at 56×72, shown once and twice an epoch."""
    manifest = recorded_set(
        tmp_path / "set",
        [
            (f"images/{concept}/{number}.png", concept, size, f"{concept}, 1girl, solo", exact)
            for number in range(10)
            for concept, size, exact in [("Lumi", SIZES[0], 1.0) if number < 8 else ("Quill", SIZES[1], 2.0)]
        ],
    )
    yield manifest
    manifest.close()


def change(manifest: Manifest, field: str, values: dict[str, object]) -> None:
    with manifest.transaction():
        run = manifest.begin_run("test", {})
        manifest.put_rows(run, [decided(path, field, value) for path, value in values.items()])


def planned(manifest: Manifest, **options):
    return train.plan(manifest, make_recipe(**{"base": "miniature", **options}))


def remark(plan, opening: str) -> str:
    (found,) = [each for each in plan.info if each.startswith(opening)]
    return found


def test_steps_epochs_and_exposures_are_reported_for_every_concept(manifest):
    plan = planned(manifest, epochs=4, batch_size=4)
    assert plan.counts == {
        "images": 10,
        "images_held_out": 0,
        "regularization_images": 0,
        "exposures_an_epoch": 12,
        "exposures_in_the_run": 48,
        "steps": 12,
        "full_batches": 12,
        "partial_batches": 0,
    }
    assert plan.table == (
        {
            "concept": "Lumi",
            "images": 8,
            "an epoch": 8.0,
            "in the run": 32,
            "share %": 66.7,
            "fewest exposures": 4,
            "most exposures": 4,
        },
        {
            "concept": "Quill",
            "images": 2,
            "an epoch": 4.0,
            "in the run": 16,
            "share %": 33.3,
            "fewest exposures": 8,
            "most exposures": 8,
        },
    )
    assert plan.info[:4] == (
        "lora of rank 16 on miniature: 12 steps of up to 4 images, 4 whole epochs; the first epoch has 3",
        "updates: 12",
        "batches: 12 full, 0 partial; batch fill 100.0%",
        "fewest exposures: images/Lumi/0.png, 4 times; most: images/Quill/8.png, 8 times",
    )
    assert plan.warnings == () and plan.decisions == ()


def test_partial_batches_and_buckets_that_fill_none_are_reported(manifest):
    plan = planned(manifest, epochs=1, batch_size=8)
    assert (plan.counts["full_batches"], plan.counts["partial_batches"]) == (1, 1)
    assert plan.warnings == (
        "1 of 2 bucket resolutions have fewer exposures an epoch than a batch of 8: 56×72 (4); no image is left out, but "
        "their batches stay partial",
    )


def test_updates_count_the_batches_that_are_added_up(manifest):
    assert planned(manifest, epochs=4, gradient_accumulation_steps=3).info[1] == "updates: 4, one after every 3 steps"
    by_epoch = planned(manifest, epochs=4, gradient_accumulation_steps=2, accumulation_window="epoch")
    assert by_epoch.info[1] == "updates: 8, one after every 2 steps and at each epoch's end"
    assert planned(manifest, epochs=4, gradient_accumulation_steps=0).info[1] == "updates: 6, one after every 2 steps"


def test_images_that_the_steps_do_not_reach_are_reported(manifest):
    plan = planned(manifest, steps=2)
    (note,) = plan.warnings
    assert "images are never shown in 2 steps, such as images/" in note and note.endswith("the first epoch alone has 3")
    assert "0 whole epochs and 2 steps of the next" in plan.info[0]
    assert sum(row["in the run"] for row in plan.table) == plan.counts["exposures_in_the_run"] == 8


def test_reg_images_are_counted_in_unless_left_out(manifest):
    reg_images = {
        image.path: RegularizationAssignment((RegularizationImage(f"x/{number}", "", (64, 64), 1),))
        for number, image in enumerate(manifest.kept()[:3])
    }
    change(manifest, "regularization", reg_images)
    plan = planned(manifest)
    assert plan.counts["regularization_images"] == 3
    assert f"7 images have no regularization image; make them with: prep regularize {manifest.root}" in plan.warnings
    assert "images and their regularization images" in plan.info[0] and "for 13 cached latents" in remark(
        plan, "disk: "
    )
    assert planned(manifest, prior_loss_weight=0.0).counts["regularization_images"] == 0


def test_disk_and_memory_are_reported_with_how_they_come_about(manifest):
    plan = planned(manifest)
    disk, memory = remark(plan, "disk: "), remark(plan, "memory, ")
    latents = 2 * 4 * 4 * (8 * 16 * 16 + 2 * 14 * 18)
    assert disk == (
        f"disk: about {latents / 1000:.3g} kB for 10 cached latents, 4.67 MB for the training state with AdamW, 778 kB "
        "for the adapter of 389120 parameters"
    )
    assert memory.startswith("memory, roughly: ") and "4 images of 64×64" in memory


def test_an_image_that_is_in_the_set_twice_has_one_latent(manifest):
    with manifest.transaction():
        images = [Image(*(each.path, each.concept, each.source, "0" * 64, 1, "copy")) for each in manifest.images()]
        manifest.put_images(images)
    assert "for 2 cached latents" in remark(planned(manifest), "disk: ")


def test_a_base_model_that_is_not_here_leaves_the_rest_of_the_plan(manifest, monkeypatch):
    def not_here(name: str, revision: str | None, download: bool = True) -> Path:
        assert not download, "a plan downloads nothing"
        raise PrepError(f"base model {name} cannot be downloaded: offline")

    monkeypatch.setattr("train.models.locate.find_folder", not_here)
    plan = planned(manifest, base="someone/model", epochs=4)
    assert plan.counts["steps"] == 12
    assert remark(plan, "disk: about ").endswith("for the adapter of 6782976 parameters")
    assert remark(plan, "someone/model is not on this machine yet: taken to be Stable Diffusion 1.x, by its name")
    assert remark(plan, "memory, roughly: ")
    assert remark(plan, "which tags") == (
        "which tags the limit of 75 tokens truncates is not known: base model someone/model cannot be downloaded: offline"
    )


# --- captions


def test_tags_beyond_the_limit_are_named_for_every_image(manifest):
    path = "images/Lumi/3.png"
    change(manifest, "caption", {path: LONG})
    plan = planned(manifest)
    (row,) = plan.decisions
    assert plan.fields == ("truncated_tags",)
    assert (row.path, row.field, phrase(row)) == (path, "truncated_tags", "tags beyond 75 tokens")
    assert row.value == LONG.split(", ")[-len(row.value) :] and len(row.value) > 5
    assert figures(row).endswith("tokens more than are read")
    (note,) = plan.warnings
    assert (
        note.startswith("1 captions have more than 75 tokens, the rest is not read (other tags each time")
        and path in note
    )
    assert note.endswith("shorten them with prep curate, or give max_tokens = 150")
    assert planned(manifest, max_tokens=225).decisions == ()
    assert "other tags each time" not in planned(manifest, shuffle_tags=False).warnings[0]


def test_prefix_and_suffix_count_towards_the_limit_and_marks_do_not(manifest):
    assert (
        len(planned(manifest, caption_suffix=LONG).decisions)
        == len(planned(manifest, caption_prefix=LONG).decisions)
        == 10
    )
    just = ", ".join(["red"] * 38)
    change(manifest, "caption", {"images/Lumi/3.png": just.replace("red, ", "red, |||, ", 2)})
    assert planned(manifest).decisions == ()
    change(manifest, "caption", {"images/Lumi/3.png": f"{just}, red"})
    assert [row.value for row in planned(manifest).decisions] == [["red"]]


def test_a_preview_lists_the_cut_tags_and_writes_nothing(manifest, command):
    change(manifest, "caption", {"images/Lumi/3.png": LONG})
    result = command("train", manifest.root, "--base", "miniature", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    reported = json.loads(result.stdout)
    assert [row["path"] for row in reported["decisions"]] == ["images/Lumi/3.png"]
    assert reported["counts"]["truncated_tags"] == 1
    assert {row["concept"] for row in reported["table"]} == {"Lumi", "Quill"}
    whole = command("train", manifest.root, "--base", "miniature", "--max-tokens", "225", "--dry-run", "--json")
    assert json.loads(whole.stdout)["decisions"] == []
    assert not manifest.decisions("truncated_tags")
    assert not (manifest.root / "runs").exists() and not (manifest.root / "cache").exists()


def test_the_separator_of_curation_is_not_read_as_a_tag_by_mistake(manifest):
    with manifest.transaction():
        manifest.finish_run(manifest.begin_run("curate", {"keep_separator": "§§"}), {})
    planned(manifest)
    change(manifest, "caption", {"images/Lumi/3.png": "Lumi, §§, 1girl"})
    with pytest.raises(PrepError, match="captions hold '§§', the keep_separator of curation") as caught:
        planned(manifest)
    assert 'keep_separator = "§§"' in caught.value.hint
    assert planned(manifest, keep_separator="§§").decisions == ()


def test_options_that_find_nothing_in_the_captions_are_reported(manifest):
    warnings = planned(manifest, wildcards=True, group_separator=";;;", caption_lines="one").warnings
    assert warnings == (
        "wildcards does nothing: no caption holds {a|b}",
        "group_separator does nothing: no caption holds ;;;",
        "caption_lines does nothing: no caption has a second line",
    )
    change(manifest, "caption", {"images/Lumi/3.png": "{a|b};;;c\nd", "images/Lumi/4.png": "Lumi, }:)"})
    (note,) = planned(manifest, wildcards=True, group_separator=";;;", caption_lines="one").warnings
    assert note.startswith("1 captions hold a brace without its partner") and "images/Lumi/4.png" in note


def test_what_comes_later_than_the_end_of_the_run_is_refused(manifest):
    with pytest.raises(PrepError, match="tag_warmup_steps is 12, but the run has 12 steps"):
        planned(manifest, epochs=4, tag_warmup_steps=12)
    with pytest.raises(PrepError, match="caption_dropout_epochs is 5, but the run ends in epoch 4"):
        planned(manifest, steps=12, caption_dropout_epochs=5)
    assert planned(manifest, steps=13, caption_dropout_epochs=5).counts["steps"] == 13


def test_a_text_encoder_that_is_trained_too_fast_is_reported(manifest):
    (note,) = planned(manifest, train_text_encoder=True, text_encoder_lr=5e-4).warnings
    assert note.startswith("the text encoder is trained at 0.0005; guides for SD 1.x give it 1e-5 to 1e-4")
    (note,) = planned(manifest, train_text_encoder=True, unet_lr=5e-5, text_encoder_lr=1e-4).warnings
    assert note.startswith("the text encoder is trained at 0.0001, faster than the UNet at 5e-05")
    assert planned(manifest, train_text_encoder=True, unet_lr=5e-4, text_encoder_lr=1e-4).warnings == ()


def test_an_empty_set_and_an_unprepared_one_are_refused(manifest, tmp_path):
    change(manifest, "keep", {image.path: False for image in manifest.images()})
    with pytest.raises(PrepError, match="has no kept image") as caught:
        planned(manifest)
    assert "prep log" in caught.value.hint
    change(manifest, "keep", {"images/Lumi/3.png": True})
    with manifest.transaction():
        manifest.put_decisions(manifest.begin_run("test", {}), ("bucket",), ())
    with pytest.raises(PrepError, match="1 kept images have no bucket") as caught:
        planned(manifest)
    assert "prep bucket" in caught.value.hint


def test_planning_twice_says_the_same(manifest):
    first, second = (preview_stage(manifest, train.STAGE, make_recipe(base="miniature"), quiet) for _ in range(2))
    assert first == second


def test_every_option_is_a_flag(command):
    result = command("train", "--help")
    assert result.exit_code == 0
    assert all(flag in result.output for flag in ("--max-tokens", "--tag-dropout", "--keep-separator", "--wildcards"))


def test_a_plan_loads_no_model_and_none_of_the_libraries_that_could(manifest):
    said = subprocess.run(
        [sys.executable, "-c", PLAN_ALONE, str(manifest.root)], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.split() == ["12"], said.stdout


PLAN_ALONE = """
import sys
from pathlib import Path
from pipeline.store.manifest import Manifest
from pipeline.stages import train
from train.options.recipe import make_recipe
with Manifest.open(Path(sys.argv[1])) as manifest:
    print(train.plan(manifest, make_recipe(base="miniature", epochs=4, device="cpu")).counts["steps"])
print(*(name for name in ("torch", "diffusers", "transformers", "lycoris", "cv2") if name in sys.modules))
"""


def test_what_else_a_run_does_is_counted(manifest):
    plan = planned(manifest, epochs=4, save_every_epochs=1, keep_last=2, sample_prompts=("1girl", "1boy"))
    assert remark(plan, "also: ") == (
        "also: 3 snapshots, of which 2 are kept; 5 evaluations of the validation loss, each on 40 latents; sample images "
        "of 2 prompts, 5 times"
    )
    plain = planned(manifest, epochs=4, validation="none")
    assert not [each for each in plain.info if each.startswith("also: ")]


def test_images_held_out_are_counted_and_not_shown(manifest, monkeypatch):
    monkeypatch.setattr("train.evaluation.holdout.LEAST_KEPT", 4)
    plan = planned(manifest, epochs=4, validation="held-out", validation_share=0.1)
    assert plan.counts["images_held_out"] == 10 - plan.counts["images"] > 0
    assert plan.counts["exposures_an_epoch"] == 12, "their concept keeps its exposures"


def test_images_that_are_not_mirrored_are_reported(manifest):
    path = manifest.kept()[0].path
    change(manifest, "caption", {path: "Lumi, looking left"})
    assert path in remark(planned(manifest, flip=True), "flip")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unet_lr": 0.1}, "unet_lr is 0.1, 200 times what suits lora with AdamW (0.0005)"),
        ({"alpha": 32.0}, "alpha is 32, above rank 16: the change is scaled by 2"),
        (
            {"algorithm": "locon", "conv_rank": 2, "conv_alpha": 3.0},
            "conv_alpha is 3, above conv_rank 2: the change is scaled by 1.5",
        ),
        ({"rank": 4096, "alpha": 1.0}, "the rank is above the width of"),
    ],
)
def test_settings_that_are_seldom_meant_are_reported_with_what_they_come_to(manifest, options, said):
    assert any(said in note for note in planned(manifest, **options).warnings)
    assert not any(said in note for note in planned(manifest).warnings)


def test_a_run_of_a_few_updates_is_reported(manifest):
    assert "the weights are updated 10 times in all" in planned(manifest, steps=10).info[-1]
    assert not any("times in all" in note for note in planned(manifest, steps=50).info)


def test_a_warm_up_that_is_longer_than_the_run_is_refused(manifest):
    with pytest.raises(PrepError, match="warmup_steps is 12, 12 updates of warm-up, but the run makes 12"):
        planned(manifest, steps=12, warmup_steps=12)
    with pytest.raises(PrepError, match="num_cycles is 50, but the run makes 12 updates"):
        planned(manifest, steps=12, scheduler="cosine_with_restarts", num_cycles=50)
