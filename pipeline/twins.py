"""Regularization twins: where they lie, and how a decision names all of a picture's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

FOLDER = "regularization"


def every_twin(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each twin of a picture from its `twin` decision, which holds the first one and in `more` what the others have
    instead."""
    first = {key: held for key, held in value.items() if key != "more"}
    return [first, *({**first, **other} for other in value.get("more", ()))]


def twin_bucket(value: Mapping[str, Any]) -> dict[str, Any]:
    """How a twin is scaled and cropped, of a value that `every_twin` gave: a given one has a decision of its own, one that
    was painted has its picture's size as it is."""
    if "bucket" in value:
        return dict(value["bucket"])
    width, height = value["size"]
    return {"size": [width, height], "scaled": [width, height], "crop": [0, 0, width, height], "loss": 0.0}


def twin_path(path: str, number: int = 1) -> str:
    """images/<concept>/<name>.jpg → regularization/<concept>/<name>.png; the second is <name>-2.png."""
    _, concept, name = PurePosixPath(path).parts
    return f"{FOLDER}/{concept}/{PurePosixPath(name).stem}{'' if number == 1 else f'-{number}'}.png"


def twin_paths(paths: Sequence[str], count: int) -> dict[str, tuple[str, ...]]:
    """Where `count` twins of each picture go, none where another's is, also on disks that know no capitals: a name that is
    taken gets a hyphen more."""
    found = {path: [twin_path(path)] for path in paths}
    taken = {first.casefold() for (first,) in found.values()}
    for path in paths:
        for number in range(2, count + 1):
            twin = twin_path(path, number)
            while twin.casefold() in taken:
                twin = f"{twin.removesuffix(f'-{number}.png')}--{number}.png"
            taken.add(twin.casefold())
            found[path].append(twin)
    return {path: tuple(twins) for path, twins in found.items()}
