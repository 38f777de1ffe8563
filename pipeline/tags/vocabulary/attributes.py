"""Attributes: what an image of one person has one value of, such as one colour of hair."""

from __future__ import annotations

import functools
from collections.abc import Collection

from pipeline.tags.vocabulary.aliases import singular, words
from pipeline.tags.vocabulary.composition import COLOURS
from pipeline.tags.vocabulary.implications import implies

HAIR, EYES, LENGTH, SKIN = "hair colour", "eye colour", "hair length", "skin"
COUNT, TIME, BACKGROUND = "count", "time of day", "background"
LOOKS = (HAIR, EYES, LENGTH, SKIN)
"""What a person has in every image, so that an image without it may lack its tag."""
SCENE = (TIME, BACKGROUND)
"""What a picture has, not a person: of these one image has one value, and the next one another."""
NAMED = (*LOOKS, COUNT, *SCENE)
_SHADES = ("light", "dark", "pale", "bright", "platinum", "strawberry")
_BASE = frozenset((*COLOURS, "blonde", "grey", "amber", "tan")) - {"striped", "plaid", "two-tone", "multicolored"}
_MIXES_OF = "multicolored two-tone gradient streaked rainbow striped plaid split-color mixed"
_MIXED = frozenset(_MIXES_OF.split())
_MIXES = {
    HAIR: frozenset(
        {"streaked hair", "colored tips", "colored inner hair", "split-color hair", "roots (hair)", "dyed bangs"}
    ),
    EYES: frozenset({"heterochromia", "mismatched pupils", "multicolored pupils"}),
    SKIN: frozenset({"tanlines", "patchwork skin", "facial mark", "bodypaint"}),
    TIME: frozenset({"split screen", "day and night"}),
}
_COLOURLESS = frozenset(
    {
        "monochrome",
        "multiple monochrome",
        "greyscale",
        "greyscale with colored background",
        "partially colored",
        "split theme",
        "sepia",
        "silhouette",
        "spot color",
        "limited palette",
        "lineart",
        "dark",
        "backlighting",
    }
)
_HIDING = {
    EYES: "closed eyes, from behind, facing away, head out of frame, faceless, covered eyes, sunglasses, blindfold, back, "
    "hair over eyes, no eyes, lower body, feet, hand focus, eyes out of frame, mask, helmet, covering own eyes, "
    "rolling eyes, blank eyes, solid eyes, solid circle eyes, solid oval eyes, button eyes, wavy eyes, dashed eyes, "
    ">_<, >o<, ^_^, =_=, u_u, x_x, xd, @_@, +_+, |_|, ._., 0_0, o_o, <|>_<|>, <o>_<o>",
    HAIR: "bald, head out of frame, lower body, feet, hand focus, helmet, hood up, covered head",
    LENGTH: "bald, head out of frame, lower body, feet, hand focus, helmet, hood up, hair up, hair bun, double bun, "
    "portrait, close-up, updo, covered head, ponytail, twintails",
}
_HIDES = {attribute: frozenset(text.split(", ")) for attribute, text in _HIDING.items()}
_TIED = frozenset({"ponytail", "twintails", "braid", "braids", "bun", "updo", "drills"})
"""Last words of styles that do not show how long hair is."""
_VALUES = {
    **{f"{length} hair": LENGTH for length in ("very short", "short", "medium", "long", "very long", "absurdly long")},
    **dict.fromkeys(
        ("dark skin", "very dark skin", "pale skin", "tan", "dark-skinned female", "dark-skinned male", "colored skin"),
        SKIN,
    ),
    **dict.fromkeys(("day", "night", "midnight", "sunset", "dusk", "evening", "twilight", "sunrise", "dawn"), TIME),
    **dict.fromkeys(("morning", "night sky", "starry sky", "moonlight"), TIME),
}
_ALIKE = (
    frozenset({"night", "midnight", "night sky", "starry sky", "moonlight"}),
    frozenset({"sunset", "dusk", "evening", "twilight"}),
    frozenset({"dusk", "evening", "twilight", "night sky", "starry sky", "moonlight"}),
    frozenset({"sunrise", "dawn", "morning", "twilight"}),
    frozenset({"day", "morning"}),
    frozenset({"dark skin", "very dark skin", "dark-skinned female", "dark-skinned male", "tan"}),
    frozenset({"dark skin", "very dark skin", "black skin"}),
    frozenset({"pale skin", "white skin"}),
    frozenset({"multiple girls", "2girls", "3girls", "4girls", "5girls", "6+girls"}),
    frozenset({"multiple boys", "2boys", "3boys", "4boys", "5boys", "6+boys"}),
)
_COUNTS = {
    **{f"{number}{kind}s": COUNT for number in ("2", "3", "4", "5", "6+") for kind in ("girl", "boy", "other")},
    **dict.fromkeys(("1girl", "1boy", "1other", "multiple girls", "multiple boys", "multiple others"), COUNT),
}
_THINGS = (
    "flower rose butterfly theme fire light petal star heart sparkle lily sky bird cat dog fur line text border "
    "hydrangea tulip balloon feather gem oni"
)
_MANY = frozenset(_THINGS.split())
"""Things that one image may well hold in two colours."""
_NAMES = {"hair": HAIR, "eye": EYES, "skin": SKIN, "background": BACKGROUND}


@functools.cache
def attribute_of(tag: str) -> str | None:
    """The attribute that a tag fills: one of `NAMED`, or for any `{colour} {noun}` the noun's colour, as `skirt colour`."""
    if tag in _VALUES or tag in _COUNTS:
        return _VALUES.get(tag) or _COUNTS[tag]
    parts = words(tag)
    while len(parts) > 2 and parts[0] in _SHADES:
        parts = parts[1:]
    if len(parts) < 2 or parts[0] not in _BASE:
        return COUNT if tag in _COUNTS else None
    if parts[0] == "platinum" or any(part in _BASE | _MIXED for part in parts[1:]):
        return None
    noun = singular(parts[-1])
    if len(parts) == 2 and noun in _NAMES:
        return _NAMES[noun]
    return None if noun in _MANY or not noun.isalpha() else f"{' '.join(parts[1:])} colour"


def noun_of(attribute: str) -> str:
    """What an attribute is of: `hair colour` → hair, `eye colour` → eyes."""
    return "eyes" if attribute == EYES else attribute.removesuffix(" colour").removesuffix(" length")


EVERY_COLOUR = "every colour"
"""What excuses all attributes of colour."""


@functools.cache
def excuses(tag: str) -> tuple[str, ...]:
    """What a tag excuses from having one value that can be inferred, as attributes, things, or `EVERY_COLOUR`; nothing for most.

    `heterochromia` excuses the eye colour, `gradient hair` all of hair, a drawing without colours or in the tones of one
    (`blue theme`) every colour.
    """
    found = [attribute for attribute, tags in _MIXES.items() if tag in tags]
    parts = words(tag)
    if len(parts) > 1 and parts[0] in _MIXED and "pubic" not in parts:
        found.append(singular(parts[-1]))
    tinted = tag in _COLOURLESS or (len(parts) == 2 and parts[0] in _BASE and parts[1] == "theme")
    return (*found, EVERY_COLOUR) if tinted else tuple(found)


@functools.cache
def excused_by(attribute: str) -> frozenset[str]:
    """Which excuses hold for an attribute."""
    every = () if attribute in (COUNT, TIME, LENGTH) else (EVERY_COLOUR,)
    return frozenset((attribute, singular(words(noun_of(attribute))[-1]), *every))


def hidden(attribute: str, tags: Collection[str]) -> bool:
    """Whether an image need not show what fills an attribute: eyes that are closed, a person seen from behind."""
    if not _HIDES.get(attribute, frozenset()).isdisjoint(tags):
        return True
    return attribute == LENGTH and any(map(_ties, tags))


@functools.cache
def _ties(tag: str) -> bool:
    return words(tag)[-1] in _TIED


@functools.cache
def compatible(one: str, other: str) -> bool:
    """Whether two values of an attribute do not contradict each other: `light blue hair` and `blue hair`, sunset and dusk."""
    if one == other or implies(one, other) or implies(other, one):
        return True
    return any(one in alike and other in alike for alike in _ALIKE)
