"""Traits: tags of what someone looks like whatever she wears, does and feels, in Danbooru's words.

What is true of one moment is none: an expression (`v-shaped eyebrows`, `heart-shaped pupils`), an act (`drying hair`),
a thing in the hand or at the wrist, how headwear sits (`tilted headwear`).
"""

from __future__ import annotations

import functools

from pipeline.tags.vocabulary.aliases import words


def _listed(text: str, separator: str = ", ") -> frozenset[str]:
    return frozenset(text.split(separator))


_HEADS = _listed(
    "hair bangs ponytail twintails braid braids bun buns drills ahoge sidelock sidelocks bob dreadlocks afro pigtails updo "
    "mohawk pompadour undercut sidecut eyes pupils eyelashes eyebrows sclera iris heterochromia skin fur ears horn horns antlers "
    "tail tails wing wings halo fang fangs freckles mole moles scar scars tattoo birthmark beard mustache stubble sideburns "
    "goatee hat beret beanie cap crown tiara hood hairband headband headdress headpiece hairclip hairpin headwear helmet "
    "veil eyepatch",
    " ",
)
"""Last words of traits, unless another word says otherwise."""
_PHRASES = _listed(
    "hair ornament, hair bow, hair ribbon, hair flower, hair bobbles, hair tubes, hair tie, hair scrunchie, hair beads, "
    "hair bell, hair stick, hair intake, hair intakes, hair flaps, hair ring, hair rings, hair bun, facial mark, "
    "animal ear fluff, scales, fins"
)
"""Several last words that make a trait together."""
_STARTS = ("scar on ", "scar across ", "mole on ", "mole under ", "mole above ")
_KINDS_OF_GIRL = _listed(
    "arthropod bat bear bird cat cow deer demon dog dragon fish fox frog goat horse leopard lion monkey monster moth mouse "
    "plant rabbit raccoon reptile robot sheep shark slime spider squirrel tiger weasel wolf",
    " ",
)
"""X where an `X girl` or an `X boy` is one by nature, not by dress or work."""
_EXACT_TRAITS = _listed(
    "side drill, hat with ears, bob cut, hime cut, bowl cut, buzz cut, pixie cut, eyebrow cut, "
    "bald, bald girl, one eye covered, third eye, "
    "hair between eyes, hair over one eye, hair over eyes, hair slicked back, hair pulled back, bangs pinned back, "
    "short hair with long locks, heart ahoge, forehead mark, forehead jewel, chest jewel, whiskers, whisker markings, "
    "body markings, bags under eyes, widow's peak, two side up, one side up, loose hair strand, colored inner hair, "
    "colored tips, dark-skinned female, dark-skinned male, tsurime, tareme, symbol in eye, star in eye, flower in eye, "
    "flaming eye, notched ear, "
    "no eyebrows, no sclera, artificial eye, mechanical eye, sharp teeth, buck teeth, elf, dark elf, oni, mermaid, "
    "merman, vampire, android, cyborg, centaur, centauroid, lamia, harpy, arachne, kitsune, goblin, female goblin, "
    "orc, furry, furry female, furry male, muscular, muscular female, muscular male, mature female, mature male, old, "
    "old man, old woman, fat, fat man, plump, "
    "bishounen, otoko no ko, snout, beak, hooves, gills, carapace, antennae, extra arms, "
    "extra mouth, extra faces, prosthesis, prosthetic arm, prosthetic leg, single mechanical arm, mechanical arms, "
    "mechanical legs, mechanical hands, mechanical parts, joints, doll joints, robot joints, amputee, double amputee, "
    "missing limb, stitches, stitched face, stitched mouth, stitched arm"
)
_NO_TRAITS = _listed(
    "closed eyes, half-closed eyes, covered eyes, narrowed eyes, empty eyes, blank eyes, solid eyes, "
    "solid oval eyes, solid circle eyes, heart-shaped eyes, crying with eyes open, sparkling eyes, upturned eyes, "
    "unusually open eyes, no eyes, blood from eyes, bloodshot eyes, hollow eyes, wavy eyes, dashed eyes, uneven eyes, "
    "crazy eyes, v-shaped eyes, wide oval eyes, heart-shaped pupils, constricted pupils, dilated pupils, no pupils, "
    "v-shaped eyebrows, raised eyebrows, eyes visible through hair, ears visible through hair, "
    "eyebrows hidden by hair, wet hair, messy hair, bed hair, hair down, hair up, shiny skin, wet skin, hugging tail, "
    "japari bun, clitoral hood"
)
_OTHERWISE = _listed(
    "hand hands another's own no removed unworn on over from blood through with fake alternate implied tilted backwards "
    "sideways spread torn pubic anal",
    " ",
)
"""Words before the last that make a state, an act, a costume or a sexual matter of it."""


@functools.cache
def is_trait(tag: str) -> bool:
    """Whether a tag says what someone looks like whatever she wears and does: hair, eyes, ears, horns, headwear."""
    if tag in _NO_TRAITS:
        return False
    if tag in _EXACT_TRAITS or tag.startswith(_STARTS):
        return True
    *before, last = words(tag)
    if any(word in _OTHERWISE or _acting(word) for word in before):
        return False
    if last in ("girl", "boy"):
        return len(before) == 1 and before[0] in _KINDS_OF_GIRL
    return last in _HEADS or any(tag == end or tag.endswith(f" {end}") for end in _PHRASES)


def _acting(word: str) -> bool:
    """Whether a word tells of an act or a passing state: `drying`, `rolling`, `glowing`; not `wing`."""
    return word.endswith("ing") and word not in ("wing", "ring", "string", "king", "earring", "spring")
