"""Regularization images: where they lie, and how a decision names all of an image's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

FOLDER = "regularization"


def every_reg_image(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each regularization image of an image from its `regularization` decision, which holds the first one and in
    `more` what the others have instead."""
    first = {key: held for key, held in value.items() if key != "more"}
    return [first, *({**first, **other} for other in value.get("more", ()))]


def reg_image_bucket(value: Mapping[str, Any]) -> dict[str, Any]:
    """How a regularization image is scaled and cropped, of a value that `every_reg_image` gave: a given one has a
    decision of its own, one that was painted has its image's size as it is."""
    if "bucket" in value:
        return dict(value["bucket"])
    width, height = value["size"]
    return {"size": [width, height], "scaled": [width, height], "crop": [0, 0, width, height], "loss": 0.0}


def reg_image_path(path: str, number: int = 1) -> str:
    """images/<concept>/<name>.jpg → regularization/<concept>/<name>.png; the second is <name>-2.png."""
    _, concept, name = PurePosixPath(path).parts
    return f"{FOLDER}/{concept}/{PurePosixPath(name).stem}{'' if number == 1 else f'-{number}'}.png"


def reg_image_paths(paths: Sequence[str], count: int) -> dict[str, tuple[str, ...]]:
    """Where `count` regularization images of each image go, none where another's is, also on disks that know no
    capitals: a name that is taken gets a hyphen more."""
    found = {path: [reg_image_path(path)] for path in paths}
    taken = {first.casefold() for (first,) in found.values()}
    for path in paths:
        for number in range(2, count + 1):
            reg_image = reg_image_path(path, number)
            while reg_image.casefold() in taken:
                reg_image = f"{reg_image.removesuffix(f'-{number}.png')}--{number}.png"
            taken.add(reg_image.casefold())
            found[path].append(reg_image)
    return {path: tuple(reg_images) for path, reg_images in found.items()}
