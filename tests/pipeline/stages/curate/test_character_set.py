"""Twenty pictures of one character, with scores as a WD tagger gives them, get the captions that a trainer would sign."""

from __future__ import annotations

import pytest
from scored_sets import Build, caption, rows, run

from pipeline.store.manifest import Manifest

FOLDER = "characters/Sorrel"
LOOKS = {
    "long hair": 0.93,
    "black hair": 0.9,
    "hime cut": 0.71,
    "blunt bangs": 0.82,
    "sidelocks": 0.66,
    "red eyes": 0.94,
    "animal ears": 0.97,
    "fox ears": 0.92,
    "animal ear fluff": 0.8,
    "tail": 0.9,
    "fox tail": 0.88,
    "fox girl": 0.78,
    "mole": 0.6,
    "mole under eye": 0.63,
    "hair ribbon": 0.76,
    "scar": 0.44,
    "scar on cheek": 0.42,
}
"""What she is, with the probability it usually comes with."""
SCENES = (
    "smile 0.88, looking at viewer 0.93, upper body 0.8, simple background 0.83, white background 0.79, blush 0.55",
    "standing 0.81, full body 0.9, outdoors 0.92, forest 0.6, tree 0.7, day 0.74, sky 0.5, closed mouth 0.7",
    "sitting 0.89, indoors 0.86, cowboy shot 0.5, holding cup 0.82, cup 0.9, holding 0.88, table 0.6",
    "open mouth 0.9, :d 0.62, smile 0.91, arms up 0.77, upper body 0.71, blue sky 0.84, sky 0.9, cloud 0.7, day 0.8",
    "closed eyes 0.93, sleeping 0.86, lying 0.88, on back 0.7, on bed 0.74, bed 0.8, indoors 0.6, -red eyes",
    "from behind 0.9, looking back 0.66, standing 0.6, night 0.81, night sky 0.7, starry sky 0.64, sky 0.8, outdoors 0.7",
    "angry 0.6, v-shaped eyebrows 0.83, frown 0.55, pointing at viewer 0.7, portrait 0.5, simple background 0.6",
    "running 0.77, full body 0.62, open mouth 0.5, sweat 0.6, street 0.5, outdoors 0.88, day 0.5, shoes 0.7",
    "wink 0.2, one eye closed 0.88, v 0.79, smile 0.9, upper body 0.82, grey background 0.61, simple background 0.7",
    "profile 0.74, looking to the side 0.6, rain 0.83, umbrella 0.9, holding umbrella 0.86, holding 0.9, outdoors 0.8",
    "crying 0.8, tears 0.9, sad 0.4, close-up 0.66, black background 0.72, simple background 0.71",
    "heart-shaped pupils 0.7, symbol-shaped pupils 0.66, blush 0.92, smile 0.7, upper body 0.7, heart 0.6, pink background 0.6",
    "kneeling 0.5, hands on own thighs 0.6, from above 0.74, looking up 0.6, indoors 0.7, wooden floor 0.5",
    "adjusting hair 0.66, tying hair 0.58, mouth hold 0.5, hair tie in mouth 0.45, upper body 0.6, indoors 0.5",
    "jumping 0.83, full body 0.7, arms up 0.5, open mouth 0.6, day 0.7, blue sky 0.7, sky 0.8, outdoors 0.6",
    "reading 0.81, book 0.9, holding book 0.84, holding 0.8, sitting 0.7, library 0.5, bookshelf 0.6, indoors 0.6",
    "holding sword 0.86, sword 0.9, holding 0.87, weapon 0.9, fighting stance 0.6, cowboy shot 0.55, sparks 0.4",
    "multiple views 0.86, smile 0.6, simple background 0.8, white background 0.77, full body 0.5",
    "speech bubble 0.7, spoken heart 0.5, watermark 0.6, smile 0.8, upper body 0.6, beach 0.8, ocean 0.7, outdoors 0.8",
    "convenient censoring 0.6, steam 0.8, steam censor 0.5, bath 0.6, onsen 0.7, water 0.8, smile 0.6, -hair ribbon",
)
"""What each picture shows beside her, `-tag` for what of her looks it does not show."""
KEPT = (
    "smile, open mouth, sitting, standing, upper body, full body, cowboy shot, simple background, white background, day, "
    "closed eyes, v-shaped eyebrows, one eye closed, heart-shaped pupils, from behind, looking back, tying hair, "
    "adjusting hair, crying, black background, night, starry sky, multiple views, steam censor"
)
"""What a prompt has to be able to ask for."""


def scores(number: int) -> dict[str, float]:
    scene = SCENES[number].split(", ")
    hidden = {each[1:] for each in scene if each.startswith("-")}
    wave = (number * 7 % 5 - 2) / 100
    found = {"1girl": 0.99, "solo": 0.96} | {tag: score + wave for tag, score in LOOKS.items() if tag not in hidden}
    for tag, score in (each.rsplit(" ", 1) for each in scene if not each.startswith("-")):
        found[tag] = float(score)
    return found | {"brown hair": 0.12, "cat ears": 0.18, "dress": 0.2, "2girls": 0.02}


@pytest.fixture
def captioned(build: Build) -> Manifest:
    manifest = build({f"{FOLDER}/{number}": scores(number) for number in range(len(SCENES))})
    run(manifest)
    return manifest


def said(manifest: Manifest, number: int) -> str:
    return caption(manifest, f"{FOLDER.replace('/', '~')}/{number}")


def test_what_she_is_goes_into_the_trigger_and_what_she_does_stays(captioned: Manifest) -> None:
    told = [said(captioned, number).split(", ") for number in range(len(SCENES))]
    assert all(tags[0] == "Sorrel" for tags in told)
    assert sorted({tag for tags in told for tag in tags if tag in LOOKS}) == []
    spoken = {tag for tags in told for tag in tags}
    assert [tag for tag in KEPT.split(", ") if tag not in spoken] == []


def test_captions_read_as_a_person_would_write_them(captioned: Manifest) -> None:
    assert said(captioned, 0) == "Sorrel, 1girl, solo, looking at viewer, smile, upper body, white background, blush"
    assert said(captioned, 5) == (
        "Sorrel, 1girl, solo, from behind, night, night sky, outdoors, looking back, starry sky, standing"
    )
    assert said(captioned, 6) == (
        "Sorrel, 1girl, solo, v-shaped eyebrows, pointing at viewer, angry, simple background, frown, portrait"
    )
    assert said(captioned, 18) == "Sorrel, 1girl, solo, beach, smile, ocean, upper body"


def test_every_trait_says_why_it_went_and_nothing_is_found_to_contradict(captioned: Manifest) -> None:
    told = rows(captioned, f"{FOLDER.replace('/', '~')}/0")
    alone = len(SCENES) - 1
    why = f"core of Sorrel: in {alone} of {alone} images, no other images to compare"
    assert told["hime cut"] == ("dropped", why), "several views tell nothing"
    assert told["fox girl"][1].startswith("core of Sorrel")
    assert captioned.decisions("contradictions") == {}


def test_what_is_drawn_over_a_picture_is_flagged_and_steam_that_covers_is_not(captioned: Manifest) -> None:
    flagged = {row.path.rsplit("/", 1)[1]: row.value for row in captioned.decisions("flags").values()}
    assert flagged == {"18.png": ["watermark", "text"]}
