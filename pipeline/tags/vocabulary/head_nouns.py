"""What the spelling of two tags tells of them, where no table does: `red dress` is a `dress`, `braid` no `bra`.

The last words of a tag are what it is about, unless a word before them says otherwise (`no shoes`, `after kiss`), or the
noun is one that names other things as well: a nose ring is no `ring`, a hime cut is none of the `cuts`.
"""

from __future__ import annotations

import functools

from pipeline.tags.vocabulary.aliases import singular, words

_PREPOSITIONS_TEXT = (
    "on in at of from over under between behind around against with without by through to into onto near beside "
    "across above below out off"
)
_PREPOSITIONS = frozenset(_PREPOSITIONS_TEXT.split())
"""A tag that begins with one tells a place, of which there are several: `hat on back` is not `on back`."""
_BLOCKING_TEXT = (
    "no non fake faux unworn removed missing invisible broken toy stuffed imminent own another another's other's "
    "others one's her his their covered after implied spoken nearly nontraditional partially half and"
)
_BLOCKING = _PREPOSITIONS | frozenset(_BLOCKING_TEXT.split())
"""After these the last word is not what the tag is about: `on back`, `holding sword`, `no shoes`, `fake tail`."""
_AMBIGUOUS_TEXT = (
    "collar ring suit back cuff cut bubble lip belt curtain cover border pool gun tail profile sandwich gauntlet "
    "vein sole day drill nail note"
)
_AMBIGUOUS = frozenset(_AMBIGUOUS_TEXT.split())
"""Nouns, in the singular, that name another thing in a compound than alone, where tables must tell."""
_OTHERWISE = {
    "airplane": "paper airplane",
    "apple": "adam's apple",
    "bag": "blood bag, pastry bag",
    "ball": "energy ball, poke ball, ultra ball",
    "band": "dynamax band",
    "basket": "skirt basket",
    "beads": "anal beads",
    "bear": "teddy bear",
    "blind": "window blinds",
    "blowing": "bubble blowing",
    "bone": "hip bones, prone bone",
    "box": "dialogue box",
    "bra": "sports bra",
    "bra lift": "sports bra lift",
    "briefs": "boxer briefs, swim briefs",
    "bulge": "cheek bulge, stomach bulge",
    "can": "trash can",
    "cane": "candy cane",
    "castle": "sand castle",
    "chicken": "fried chicken",
    "circle": "magic circle",
    "cleavage": "toe cleavage",
    "cloud": "dust cloud",
    "costume": "adapted costume, alternate costume, embellished costume",
    "crack": "butt crack",
    "cream": "ice cream",
    "cross": "watson cross",
    "cup": "bust cup, breast cup, suction cups",
    "dog": "hot dog",
    "doll": "daruma doll",
    "duck": "rubber duck",
    "ejaculation": "female ejaculation",
    "energy": "monster energy",
    "eyes": "closed eyes",
    "fang": "skin fangs",
    "fangs": "skin fang",
    "field": "track and field",
    "fish": "jelly fish",
    "flute": "champagne flute",
    "focus": "solo focus",
    "gears": "maneuver gear",
    "girl": "cat girl",
    "harness": "gag harness",
    "heart": "finger heart",
    "hood": "clitoral hood",
    "horns": "hair horns",
    "horse": "sea horse",
    "hug": "pillow hug, self hug",
    "ice": "shaved ice",
    "juice": "pussy juice",
    "key": "piano keys",
    "kiss": "pocky kiss",
    "lock": "leg lock",
    "log": "chat log",
    "man": "gingerbread man",
    "mechanic": "gameplay mechanics",
    "monster": "duel monster",
    "music": "sheet music",
    "neck": "scoop neck",
    "onion": "spring onion",
    "perspective": "bad perspective",
    "pillow": "lap pillow",
    "plate": "crotch plate, license plate, shoulder plates",
    "potato": "sweet potato",
    "puppet": "shadow puppet",
    "rabbit": "snow rabbit",
    "riding": "dildo riding",
    "ripples": "ass ripple",
    "rocket": "team rocket",
    "rose": "crescent rose",
    "scabbard": "human scabbard",
    "screen": "split screen",
    "sex": "armpit sex, thigh sex",
    "shadow": "drop shadow",
    "shell": "shotgun shell",
    "ship": "abyssal ship",
    "sign": "dollar sign, ok sign",
    "skull": "team skull",
    "slippers": "ballet slippers",
    "space": "negative space",
    "spikes": "diffraction spikes",
    "stick": "hair stick, wafer stick",
    "sticker": "blush stickers",
    "string": "cum string",
    "tie": "bow tie",
    "tiles": "mahjong tile",
    "toy": "sex toy",
    "tube": "hair tubes, lipstick tube, test tube, torpedo tubes",
    "umbrella": "leaf umbrella",
    "wand": "magic wand",
    "wheel": "ferris wheel",
    "wings": "hair wings",
}
_DENYING_TEXT = "no unworn fake without missing removed implied after spoken"
_DENYING = frozenset(_DENYING_TEXT.split())
_KINDS_TEXT = (
    "flowing wedding floating glowing evening sleeping bathing string charming running training king spring wing "
    "ring swimming boxing morning ceiling"
)
_KINDS = frozenset(_KINDS_TEXT.split())
"""Words on -ing that name a kind rather than an act: a wedding dress is a dress, a sleeping bag a bag."""


@functools.cache
def general_names(tag: str) -> tuple[str, ...]:
    """What the last words of a tag say that it is a kind of: `light brown hair` → brown hair, hair; some are no tags."""
    parts = words(tag)
    found = []
    for start in range(1, len(parts)):
        before, rest = parts[start - 1], parts[start:]
        if before in _BLOCKING or (before.endswith("ing") and before not in _KINDS):
            break
        if rest[0] not in _PREPOSITIONS and rest[-1][-1].isalpha() and singular(rest[-1]) not in _AMBIGUOUS:
            found.append(" ".join(rest))
    return tuple(name for name in found if not _is_exception(tag, name))


@functools.cache
def is_kind_of(child: str, parent: str) -> bool:
    """Whether the head noun says so: `child` ends with the words of `parent`, singular or plural alike."""
    return alike(parent) in map(alike, general_names(child))


@functools.cache
def alike(tag: str) -> str:
    """Equal for tags that differ in the number of their last word only."""
    parts = words(tag)
    return " ".join((*parts[:-1], singular(parts[-1]))) if parts else ""


def says_otherwise(child: str, parent: str) -> bool:
    """Whether a tag that ends with another's words is known to be something else: a hot dog, no shoes, a fake tail."""
    return _is_exception(child, parent) or not _DENYING.isdisjoint(child.split())


def _is_exception(child: str, parent: str) -> bool:
    """Whether the last words of a tag name something else: `red sports bra` by way of `sports bra`."""
    parts, general = words(child), alike(parent)
    return any((alike(" ".join(parts[start:])), general) in _EXCEPTIONS for start in range(len(parts)))


_EXCEPTIONS = frozenset(
    (alike(child), alike(parent)) for parent, text in _OTHERWISE.items() for child in text.split(", ")
)
"""(tag, what it is no kind of, although it ends with its words), in the singular."""
