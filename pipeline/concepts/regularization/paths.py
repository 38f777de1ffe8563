"""Where regularization images lie in a set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

FOLDER = "regularization"


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
