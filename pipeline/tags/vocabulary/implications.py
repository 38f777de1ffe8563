"""A tag that a more exact one makes needless: `hat` beside `witch hat`.

Two sources: the head noun of a tag, by whole words (`school uniform` is a `uniform`; `braid` is no `bra`), and a table
of our own for what spelling cannot tell (a `beret` is a `hat`).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping

from pipeline.tags.vocabulary.aliases import singular, words

_ABOUT_IMAGE = {
    "outdoors": "forest, beach, street, park, garden, mountain, field, flower field, rooftop, ocean, river, lake, "
    "desert, poolside, alley, road, railroad tracks, playground",
    "indoors": "bedroom, classroom, kitchen, bathroom, living room, office, library, train interior, restaurant, cafe, "
    "gym, hallway, dungeon, stage, shop, infirmary",
    "sky": "night sky, starry sky, sunset, sunrise",
    "water": "ocean, river, lake, waterfall, pool, onsen",
    "nature": "forest, mountain, field, waterfall",
    "simple background": "white background, grey background, black background, blue background, pink background, "
    "red background, green background, yellow background, purple background, orange background, "
    "brown background, beige background, aqua background, transparent background, "
    "gradient background, two-tone background",
    "multiple girls": "2girls, 3girls, 4girls, 5girls, 6+girls",
    "multiple boys": "2boys, 3boys, 4boys, 5boys, 6+boys",
    "multiple others": "2others, 3others, 4others, 5others, 6+others",
}
_ABOUT_PERSON = {
    "hat": "beret, beanie, cap, baseball cap, peaked cap, military hat, witch hat, sun hat, straw hat, top hat, "
    "santa hat, sailor hat, fedora, sombrero, mob cap, nurse cap, garrison cap, wizard hat, party hat, chef hat",
    "headwear": "hat, beret, witch hat, crown, tiara, helmet, hood, hairband, headband, beanie, cap, baseball cap",
    "animal ears": "cat ears, dog ears, fox ears, wolf ears, rabbit ears, horse ears, mouse ears, bear ears, cow ears, "
    "tiger ears, lion ears, raccoon ears, goat ears, sheep ears, pig ears, bat ears, squirrel ears",
    "tail": "cat tail, dog tail, fox tail, wolf tail, demon tail, dragon tail, horse tail, rabbit tail, lion tail",
    "wings": "angel wings, demon wings, bat wings, dragon wings, fairy wings, feathered wings, bird wings",
    "horns": "demon horns, dragon horns, oni horns, goat horns, sheep horns, cow horns, antlers, single horn",
    "footwear": "boots, shoes, sneakers, sandals, slippers, high heels, loafers, geta, mary janes, thigh boots, "
    "knee boots, ankle boots, flip-flops, platform footwear, uwabaki, high heel boots",
    "boots": "thigh boots, knee boots, ankle boots, high heel boots, cowboy boots, rubber boots, lace-up boots",
    "shoes": "sneakers, loafers, mary janes, uwabaki, ballet slippers",
    "legwear": "thighhighs, pantyhose, kneehighs, socks, stockings, leggings, leg warmers, tabi",
    "pantyhose": "fishnet pantyhose, torn pantyhose",
    "socks": "kneehighs, ankle socks, loose socks, bobby socks",
    "dress": "sundress, pinafore dress, wedding dress, china dress, maid dress, evening gown, nightgown, gown, chemise",
    "shirt": "t-shirt, blouse, dress shirt, polo shirt, tank top, sweatshirt, aloha shirt",
    "skirt": "miniskirt, pleated skirt, pencil skirt, high-waist skirt, long skirt, microskirt, tutu, hakama skirt",
    "pants": "jeans, denim, sweatpants, leather pants, hakama pants, capri pants, yoga pants, track pants",
    "shorts": "short shorts, denim shorts, bike shorts, gym shorts, dolphin shorts, micro shorts, cutoffs",
    "jacket": "blazer, leather jacket, hooded jacket, track jacket, letterman jacket, haori, denim jacket",
    "coat": "trench coat, labcoat, fur coat, winter coat, duffel coat, raincoat, peacoat",
    "sweater": "turtleneck sweater, ribbed sweater, cardigan, sweater vest, virgin killer sweater, sweater dress",
    "swimsuit": "bikini, one-piece swimsuit, school swimsuit, competition swimsuit, micro bikini, sports bikini, "
    "casual one-piece swimsuit, swim trunks, rash guard, side-tie bikini bottom",
    "bikini": "micro bikini, string bikini, front-tie bikini top, sports bikini",
    "underwear": "bra, panties, lingerie, boxers, briefs, thong, underwear only",
    "uniform": "school uniform, serafuku, military uniform, gym uniform, gakuran, nurse uniform, police uniform",
    "school uniform": "serafuku, gakuran, summer uniform, winter uniform",
    "japanese clothes": "kimono, yukata, hakama, furisode, miko, haori, hakama skirt, fundoshi, haregi",
    "kimono": "furisode, yukata, short kimono, layered kimono",
    "chinese clothes": "china dress, hanfu, changpao",
    "traditional clothes": "kimono, yukata, hanfu, china dress, hanbok, dirndl",
    "gloves": "elbow gloves, fingerless gloves, mittens, latex gloves, half gloves",
    "jewelry": "necklace, earrings, bracelet, ring, pendant, choker, anklet, brooch, tiara, crown, piercing, "
    "ear piercing, hoop earrings, stud earrings, wedding ring",
    "earrings": "hoop earrings, stud earrings, single earring, tassel earrings",
    "necklace": "pendant, pearl necklace, locket",
    "hair ornament": "hairclip, hair flower, hair bow, hair ribbon, hairpin, hair stick, scrunchie, hair bell, "
    "hair bobbles, x hair ornament, hair tubes, kanzashi",
    "eyewear": "glasses, sunglasses, goggles, monocle, eyepatch, rimless eyewear, under-rim eyewear",
    "glasses": "round eyewear, semi-rimless eyewear, under-rim eyewear, black-framed eyewear, red-framed eyewear",
    "weapon": "sword, gun, knife, spear, bow (weapon), axe, staff, scythe, dagger, katana, rifle, handgun, polearm",
    "sword": "katana, rapier, greatsword, saber, wakizashi",
    "gun": "rifle, handgun, pistol, shotgun, submachine gun, assault rifle, machine gun, revolver, sniper rifle",
    "twintails": "low twintails, short twintails, high twintails",
    "hair bun": "double bun, single hair bun, cone hair bun, braided bun",
    "braid": "regularization image braids, single braid, french braid, side braid, crown braid, low regularization image braids",
    "bangs": "blunt bangs, swept bangs, parted bangs, asymmetrical bangs",
    "ponytail": "side ponytail, high ponytail, low ponytail, short ponytail, folded ponytail",
    "long hair": "very long hair, absurdly long hair",
    "smile": "grin, light smile, evil smile, smirk, seductive smile, doyagao",
    "food": "bread, cake, fruit, ice cream, onigiri, sandwich, sushi, rice, noodles, meat, chocolate, cookie, pizza",
    "fruit": "apple, strawberry, orange (fruit), banana, cherry, grapes, watermelon, peach, lemon (fruit)",
    "flower": "rose, sunflower, tulip, lily (flower), hydrangea, cherry blossoms, hibiscus, camellia, daisy",
    "bag": "backpack, handbag, school bag, shoulder bag, randoseru, tote bag",
}
_BLOCKERS = (
    "on in at of from over under between behind around against with without by through to into onto near beside across "
    "no non fake faux unworn removed missing invisible broken toy stuffed imminent "
    "own another another's other's others one's her his their "
    "covered"
)
"""After these the last word is not what the tag is about: `on back`, `holding sword`, `no shoes`, `fake tail`."""
_BLOCKING = frozenset(_BLOCKERS.split())
_EXCEPTIONS = frozenset(
    {
        ("teddy bear", "bear"),
        ("hot dog", "dog"),
        ("ice cream", "cream"),
        ("sea horse", "horse"),
        ("gingerbread man", "man"),
        ("cat girl", "girl"),
        ("paper airplane", "airplane"),
        ("closed eyes", "eyes"),
        ("jelly fish", "fish"),
        ("bow tie", "tie"),
        ("solo focus", "focus"),
    }
)


def _children(table: dict[str, str]) -> dict[str, frozenset[str]]:
    return {parent: frozenset(child.strip() for child in text.split(",")) for parent, text in table.items()}


ABOUT_IMAGE = _children(_ABOUT_IMAGE)
"""Tag → more exact ones, where it does not matter how many persons there are."""
ABOUT_PERSON = _children(_ABOUT_PERSON)
"""Tag → more exact ones that may speak of another person, where there is more than one."""


def needless(
    tags: Iterable[str],
    one_person: bool,
    more: Mapping[str, Collection[str]] | None = None,
    never: Collection[tuple[str, str]] = (),
) -> dict[str, str]:
    """Tag → the more exact tag beside it that is implied.

    With more than one person only what speaks of the whole image is found: the hat of one is not the hat of another.

    Args:
        more: exact tag → tags that are needless beside it on one person, from a person's rules or the set's own scores.
        never: (exact tag, general tag) pairs that are not to be merged.
    """
    tags = sorted(tags)
    keys = list(map(_key_of, tags))
    present_keys = set(keys)
    found: dict[str, str] = {}
    for child, generics in zip(tags, map(_generics, tags), strict=True):
        if present_keys.isdisjoint(generics):
            continue
        for parent in (tag for generic in generics for tag, key in zip(tags, keys, strict=True) if key == generic):
            if implies(child, parent, one_person) and (child, parent) not in never:
                found.setdefault(parent, child)
    present = set(tags) if one_person and more else set()
    for child in tags if present else ():
        for parent in (more or {}).get(child, ()):
            if parent in present and not leads_to(found, child, parent):
                found.setdefault(parent, child)
    return {tag: found[tag] for tag in tags if tag in found}


def leads_to(found: Mapping[str, str], child: str, parent: str) -> bool:
    """Whether `child` itself goes because of `parent`, at however many removes: then `parent` has to stay."""
    while child in found:
        child = found[child]
        if child == parent:
            return True
    return False


def implies(child: str, parent: str, one_person: bool = True) -> bool:
    """Whether `child` says all that `parent` says."""
    if child in ABOUT_IMAGE.get(parent, ()):
        return True
    return one_person and (child in ABOUT_PERSON.get(parent, ()) or is_kind_of(child, parent))


@functools.cache
def _generics(child: str) -> tuple[str, ...]:
    """The keys of all tags that `child` could make needless."""
    parts = words(child)
    by_head = [_key(parts[start:]) for start in range(1, len(parts))]
    by_table = [
        _key(words(parent))
        for table in (ABOUT_IMAGE, ABOUT_PERSON)
        for parent, children in table.items()
        if child in children
    ]
    return tuple(dict.fromkeys(by_head + by_table))


@functools.cache
def _key_of(tag: str) -> str:
    return _key(words(tag))


def _key(parts: tuple[str, ...]) -> str:
    """Equal for tags that differ in the number of their last word only."""
    return " ".join((*parts[:-1], singular(parts[-1]))) if parts else ""


def is_kind_of(child: str, parent: str) -> bool:
    """Whether the head noun says so: `child` ends with the words of `parent`, singular or plural alike."""
    longer, shorter = words(child), words(parent)
    extra = len(longer) - len(shorter)
    if extra < 1 or not shorter or (child, parent) in _EXCEPTIONS or not parent[-1].isalpha():
        return False
    if longer[extra:-1] != shorter[:-1] or singular(longer[-1]) != singular(shorter[-1]):
        return False
    return not any(word in _BLOCKING or (word.endswith("ing") and word not in _KINDS) for word in longer[:extra])


def says_otherwise(child: str, parent: str) -> bool:
    """Whether a tag that ends with another's words is known to be something else: a hot dog, no shoes, a fake tail."""
    return (child, parent) in _EXCEPTIONS or not _DENYING.isdisjoint(child.split())


_DENYING = frozenset({"no", "unworn", "fake", "without", "missing", "removed", "implied"})
_KINDS = frozenset(
    {
        "flowing",
        "wedding",
        "floating",
        "glowing",
        "evening",
        "sleeping",
        "bathing",
        "string",
        "charming",
        "running",
        "training",
        "king",
        "spring",
        "wing",
        "ring",
        "swimming",
        "boxing",
        "morning",
        "ceiling",
    }
)
"""Words on -ing that name a kind rather than an act: a wedding dress is a dress, a sleeping bag a bag."""
