"""What one family of models is: its parts, where a single file holds them, and how its text is read; no torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class TextPart:
    """One text encoder: the folders of its weights and of its tokenizer, and the prefix and names of its weights in a
    single file. `padding` is the token that follows a text's end; `pooled` says that its projected text vector is used."""

    folder: str
    tokenizer: str
    prefix: str
    names: Literal["clip", "openclip"]
    padding: str
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """One family of base models.

    `penultimate` models read the text layer before the last as it is; the others the last one, under the final norm.
    `sized` models are conditioned on sizes and a pooled text vector too.
    `architecture` is a JSON file with the config of every part.
    """

    name: str
    title: str
    text: tuple[TextPart, ...]
    architecture: Path
    penultimate: bool = False
    sized: bool = False

    def configs(self) -> Mapping[str, Mapping[str, Any]]:
        """Part → its config as diffusers and transformers take it."""
        return dict(json.loads(self.architecture.read_text(encoding="utf-8")))


def shipped(name: str) -> Path:
    """The architecture of that name in the package."""
    return Path(str(resources.files("train.models.families") / "configs" / f"{name}.json"))
