"""Which contradictions are fixed: all of them, or those that a person names by attribute or image."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipeline.core.errors import PrepError
from pipeline.tags.statistics.survey import Odd
from pipeline.tags.vocabulary.attributes import NAMED


def to_fix(odd: Odd, named: Sequence[str], paths: Collection[str]) -> frozenset[tuple[str, str]]:
    """(image, attribute) of the contradictions to fix.

    Args:
        named: attributes and images; all of them if there are none.
        paths: the kept images.
    Raises:
        PrepError: what was named is neither an attribute nor an image.
    """
    attributes = sorted({*NAMED, *(each.attribute for found in odd.found.values() for each in found)})
    lost = [name for name in named if name not in paths and name not in attributes]
    if lost:
        raise PrepError(
            f"fix names {', '.join(map(repr, lost))}, which is neither an attribute nor a kept image",
            f"attributes are: {', '.join(attributes)}; images are named as in images/Lumi/a.png",
        )
    return frozenset(
        (path, each.attribute)
        for path, found in odd.found.items()
        for each in found
        if each.fix != "look" and (not named or path in named or each.attribute in named)
    )
