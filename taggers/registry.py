"""Which tagger a name stands for: one that is built in, a hub repository of a known family, or a folder."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from taggers.errors import TaggerError
from taggers.families import BUILT_IN, DEFAULT, family_spec
from taggers.overrides import folder_spec
from taggers.spec import OVERRIDES, USUAL, ModelSpec

__all__ = [
    "BUILT_IN",
    "DEFAULT",
    "OVERRIDES",
    "USUAL",
    "ModelSpec",
    "exclusive_categories",
    "find_spec",
    "published_thresholds",
]


def find_spec(model: str) -> ModelSpec:
    """The spec of a built-in name or hub repository, each with @REVISION if another is wanted, or of a folder.

    Raises:
        TaggerError: it is none of these, or the folder's model.toml cannot be understood.
    """
    known = _known(model)
    if known is not None:
        return known
    try:
        folder = Path(model).expanduser()
    except RuntimeError:  # ~ of nobody that is known
        folder = Path(model)
    if folder.is_dir():
        return folder_spec(folder)
    name, at, revision = model.rpartition("@")
    known = _known(name) if at else None
    if known is not None and known.repo and revision:
        return known if revision == known.revision else replace(known, revision=revision, checksums={})
    raise TaggerError(
        f"no tagger called {model!r}, and no folder of that name",
        f"{_meant(model)}known: {', '.join(BUILT_IN)}; or animetimm/BACKBONE.dbv4-full from the hub; "
        "or give a folder with model.onnx and selected_tags.csv",
    )


def published_thresholds(name: str) -> Mapping[str, float] | None:
    """Category → threshold of a tagger that is known by this name; None for any other."""
    spec = _named(name)
    return spec.thresholds if spec else None


def exclusive_categories(name: str) -> tuple[str, ...]:
    """The categories of which only the most probable tag holds, for a tagger of this name; ratings for any other."""
    spec = _named(name)
    return spec.exclusive if spec else ("rating",)


def _known(model: str) -> ModelSpec | None:
    for spec in BUILT_IN.values():
        if model and model in (spec.name, spec.repo):
            return spec
    return family_spec(model)


def _named(name: str) -> ModelSpec | None:
    if name.startswith("animetimm-") and name not in BUILT_IN:
        return family_spec("animetimm/" + name.removeprefix("animetimm-").replace("-dbv4", ".dbv4"))
    return BUILT_IN.get(name)


def _meant(model: str) -> str:
    """The three known names at most that are nearest, as a question; "" when none is near."""
    plain = PurePath(model).name.lower().replace("-tagger", "").replace("-v1-4", "")
    *others, last = difflib.get_close_matches(plain, BUILT_IN, 3) or [""]
    return f"did you mean {', '.join(others)} or {last}? " if others else f"did you mean {last}? " if last else ""
