"""What is a trait and what is none, in tags that Danbooru has."""

from __future__ import annotations

import pytest

from pipeline.tags.vocabulary.traits import is_trait


@pytest.mark.parametrize(
    "tag",
    [
        "white hair",
        "twintails",
        "red eyes",
        "cat ears",
        "witch hat",
        "crown",
        "hair bow",
        "dragon horns",
        "fox tail",
        "double bun",
        "mole under mouth",
        "hair between eyes",
        "hat",
    ],
)
def test_looks_are_traits(tag: str) -> None:
    assert is_trait(tag)


@pytest.mark.parametrize(
    "tag",
    [
        "smile",
        "closed eyes",
        "blue kimono",
        "boots",
        "beach",
        "hand in own hair",
        "solo",
        "looking at viewer",
        "adjusting hair",
        "unworn hat",
        "fake tail",
        "cocktail",
        "portrait",
    ],
)
def test_outfit_pose_expression_and_background_are_none(tag: str) -> None:
    assert not is_trait(tag)


WORDS = {
    "an expression": "v-shaped eyebrows, raised eyebrows, raised eyebrow, furrowed brow, heart-shaped pupils, "
    "constricted pupils, dilated pupils, heart in eye, half-closed eyes, rolling eyes, crazy eyes, unusually open eyes",
    "a gesture": "hand on own face, adjusting headwear, tying hair, drying hair, rubbing eyes, averting eyes, "
    "hugging tail, holding own tail, covering own eyes, hand in another's hair, brushing hair, hair tucking",
    "at the wrist or in the hand": "wrist scrunchie, scrunchie, red scrunchie, wrist cuffs, drill, holding hat, hair brush",
    "how headwear sits": "tilted headwear, backwards hat, sideways hat, hat over one eye, hood up, hood down, "
    "ears through headwear, horns through headwear, hair through headwear, unworn helmet, alternate headwear",
    "how a picture is drawn": "eyes visible through hair, eyebrows hidden by hair, solid oval eyes, no humans",
    "a costume": "playboy bunny, magical girl, fake horns, fake mustache, fake animal ears",
    "nakedness": "female pubic hair, anal tail, pubic tattoo, clitoral hood",
    "a count or a work": "1girl, 2girls, policewoman, japari bun",
}
"""What a tag speaks of → tags of that kind that end as traits do or stand near them."""


@pytest.mark.parametrize("what", WORDS)
def test_what_is_true_of_one_moment_or_of_things_is_no_trait(what: str) -> None:
    assert [tag for tag in WORDS[what].split(", ") if is_trait(tag)] == []


OF_A_PERSON = {
    "a cut": "bob cut, hime cut, bowl cut, undercut, mohawk, updo, short hair with long locks, twin drills, side drill",
    "a kind": "horse girl, demon girl, wolf girl, dog girl, dragon girl, cat boy, elf, dark elf, furry, otoko no ko",
    "eyes": "one eye covered, third eye, slit pupils, star-shaped pupils, heterochromia, colored sclera, tsurime",
    "scars and marks": "scar on cheek, scar across eye, scar on face, burn scar, multiple scars, mole on breast, "
    "freckles, facial mark, star facial mark, arm tattoo, joestar birthmark",
    "a beard": "beard, full beard, goatee, stubble, mustache, long sideburns, facial hair, bald",
    "fur": "body fur, white fur, two-tone fur, neck fur, animal ear fluff",
    "a body": "dark skin, blue skin, muscular female, prosthetic arm, doll joints, sharp teeth, old man, wing ears",
    "worn in the hair": "hair scrunchie, star hair ornament, hair bell, white hairband, hair flower",
}
"""What makes a person → tags of it."""


@pytest.mark.parametrize("what", OF_A_PERSON)
def test_what_makes_a_person_is_a_trait(what: str) -> None:
    assert [tag for tag in OF_A_PERSON[what].split(", ") if not is_trait(tag)] == []
