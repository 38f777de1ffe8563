"""What options may hold: probabilities, and the texts that they put into captions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from pipeline.core.errors import PrepError


def check_probabilities(options: Mapping[str, float | None], thresholds: Mapping[str, float]) -> None:
    """See that probabilities are such; `thresholds` are those of single tags.

    Raises:
        PrepError: one is not above 0 and at most 1.
    """
    for name, value in (*options.items(), *((f"thresholds: {tag}", value) for tag, value in thresholds.items())):
        if value is not None and not (math.isfinite(value) and 0 < value <= 1):
            said = f"{name} = {value}" if name.startswith("thresholds: ") else f"{name} is {value}"
            raise PrepError(said, "give a probability above 0, at most 1")


def check_texts(separator: str, keep_separator: str, tags: Mapping[str, Mapping[str, str]]) -> None:
    """See that separators part and that tags are single ones.

    Args:
        tags: option → key → the tag that it gives.
    Raises:
        PrepError: one is not what it has to be.
    """
    if "," not in separator or "\n" in separator:
        raise PrepError(f"separator is {separator!r}", 'give a comma with or without spaces, such as ", "')
    if keep_separator.strip() != keep_separator or re.search(r"[,\n]", keep_separator):
        raise PrepError(f"keep_separator is {keep_separator!r}", "give a mark without commas or spaces, such as |||")
    for option, given in tags.items():
        for key, text in given.items():
            if not text.strip() or "," in text or "\n" in text:
                raise PrepError(
                    f"{option}: {key} = {text!r}", "give one tag, without commas; to drop a tag use blacklist"
                )
