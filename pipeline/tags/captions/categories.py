"""The category of every tag that may stand in a caption, for its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def caption_categories(
    known: Mapping[str, str], rename: Mapping[str, str], added: Iterable[str], mix_copyrights: bool
) -> dict[str, str]:
    """Tag → category: the taggers' own, those of new names, ratings as captions write them, and tags that are added.

    Args:
        known: the taggers' tags → category.
        rename: tag → its new name.
        added: tags that come by folder.
        mix_copyrights: series stand among the general tags.
    """
    categories = dict(known)
    for tag, new in rename.items():
        if tag in categories:
            categories.setdefault(new, categories[tag])
    categories |= {f"rating:{tag}": "rating" for tag, category in categories.items() if category == "rating"}
    categories |= dict.fromkeys(added, "added")
    if mix_copyrights:
        categories = {tag: "general" if category == "copyright" else category for tag, category in categories.items()}
    return categories
