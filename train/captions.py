"""The caption as shown at one moment of training."""

from __future__ import annotations

import numpy as np


def tags_of(caption: str) -> list[str]:
    """A caption's tags, whatever space stands around the commas."""
    return [tag for part in caption.split(",") if (tag := part.strip())]


def shown_caption(caption: str, draw: np.random.Generator, shuffle: bool, keep: int, dropout: float) -> str:
    """Drop the whole caption with probability `dropout`, else shuffle all tags but the first `keep`."""
    if draw.random() < dropout:
        return ""
    if not shuffle:
        return caption
    tags = tags_of(caption)
    head, rest = tags[:keep], tags[keep:]
    return ", ".join(head + [rest[index] for index in draw.permutation(len(rest))])
