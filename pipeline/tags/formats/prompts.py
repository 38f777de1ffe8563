"""What is generated where a person gives no prompt."""

from __future__ import annotations

from pipeline.core.caption_text import escaped
from pipeline.tags.formats.families import FAMILIES
from pipeline.tags.formats.phrases import phrase_of


def default_prompt(trigger: str, name: str = "booru") -> str:
    """One girl and the trigger word, with the words that the family's card puts around a prompt; parentheses are escaped.

    Args:
        name: the format of the captions; one that is not known counts as booru.
    """
    family = FAMILIES.get(name, FAMILIES["booru"])
    count = phrase_of("1girl") if family.name == "prose" else "1girl"
    return ", ".join((*family.before, count, escaped(trigger), *family.after))
