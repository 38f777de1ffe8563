"""A character's own traits are pruned into the trigger word, where the figures allow it."""

from __future__ import annotations

import pytest
from scored_sets import SOLO, Build, caption, rows, run

from pipeline.core.errors import PrepError

# --- core tags


def core_set() -> dict[str, dict[str, float] | None]:
    looks = {**SOLO, "white hair": 0.9, "red eyes": 0.9, "smile": 0.9}
    others = {**SOLO, "blue hair": 0.9, "red eyes": 0.9}
    return {
        **{f"fanart/Lumi/{number}": looks for number in range(3)},
        **{f"screenshots/Lumi/{number}": looks for number in range(3)},
        **{f"fanart/Quill/{number}": others for number in range(2)},
        "artists/alder/0": {**SOLO, "white hair": 0.9},
        "duo/Lumi+Quill/0": {"2girls": 0.9, "white hair": 0.9, "blue hair": 0.9},
        "fanart/Lumi/guest": {"2girls": 0.9, "white hair": 0.9},
    }


def test_core_traits_are_pruned_into_the_trigger_over_all_folders_of_the_character(build: Build) -> None:
    manifest = build(core_set())
    outcome = run(manifest)
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, 1girl, solo, smile"
    figures = "in 6 of 6 images, 1 of 3 others"
    assert rows(manifest, "fanart~Lumi/0")["white hair"] == ("dropped", f"core of Lumi: {figures}")
    assert caption(manifest, "artists~alder/0") == "alder, 1girl, solo, white hair"
    assert caption(manifest, "duo~Lumi+Quill/0") == "Lumi, Quill, 2girls, blue hair", "Quill has too few images"
    assert outcome.plan is not None
    assert outcome.plan.table[1] == {
        "found": "core tag",
        "of": "Lumi",
        "tag": "white hair",
        "figures": figures,
        "then": "pruned",
    }
    assert outcome.plan.info == (
        "core tags need 5 images of one person alone: Quill has 2; their traits stay in captions",
    ), "alder is a style"


def test_a_trait_is_kept_where_it_may_be_anothers(build: Build) -> None:
    manifest = build(core_set())
    run(manifest)
    assert rows(manifest, "fanart~Lumi/guest")["white hair"] == ("kept", "core of Lumi, but there are 2 persons")


def test_pruning_can_be_turned_off_and_made_stricter(build: Build) -> None:
    manifest = build(core_set())
    run(manifest, prune="none")
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, 1girl, solo, red eyes, smile, white hair"
    run(manifest, core_lift=2.0)
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, 1girl, solo, red eyes, smile"
    run(manifest, core_images=2)
    assert "blue hair" not in caption(manifest, "fanart~Quill/0")


# --- core tags, chosen


def test_what_is_pruned_into_a_trigger_word_and_what_is_kept_can_be_said(build: Build) -> None:
    manifest = build(core_set())
    run(manifest, keep={"Lumi": "red_eyes"}, prune_tags={"Lumi": "smile"})
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, 1girl, solo, red eyes"
    found = rows(manifest, "fanart~Lumi/0")
    assert found["smile"] == ("dropped", "core of Lumi: as asked")
    assert found["red eyes"][1].startswith("core of Lumi, kept as asked: in 6 of 6 images")
    run(manifest, core={"Lumi": "keep"})
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, 1girl, solo, red eyes, smile, white hair"
    run(manifest, core={"*/Lumi": "none"})
    assert rows(manifest, "fanart~Lumi/0")["white hair"] == ("kept", "0.90 ≥ 0.50")
    run(manifest, prune="none", core={"Lumi": "prune"})
    assert caption(manifest, "fanart~Lumi/0") == "Lumi, 1girl, solo, smile"
    with pytest.raises(PrepError, match="Lumi is both to prune and to keep: smile"):
        run(manifest, keep={"Lumi": "smile"}, prune_tags={"Lumi": "smile"})


def test_nothing_is_pruned_for_styles_unless_they_are_no_styles(build: Build) -> None:
    manifest = build(
        {
            **{f"artists/alder/{number}": {**SOLO, "white hair": 0.9} for number in range(6)},
            **{f"fanart/Quill/{number}": SOLO for number in range(6)},
        }
    )
    run(manifest)
    assert caption(manifest, "artists~alder/0") == "alder, 1girl, solo, white hair"
    run(manifest, styles=())
    assert caption(manifest, "artists~alder/0") == "alder, 1girl, solo"


def test_two_trigger_words_of_one_person_are_one_person(build: Build) -> None:
    manifest = build(core_set())
    run(manifest, triggers={"Lumi": "lumi, white witch"})
    assert caption(manifest, "fanart~Lumi/0") == "lumi, white witch, 1girl, solo, smile"
