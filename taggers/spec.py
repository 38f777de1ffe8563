"""What one model wants and gives: colour order, range and padding do not show in a model's shape, so they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Layout = Literal["NHWC", "NCHW"]
Channels = Literal["BGR", "RGB"]
Interpolation = Literal["bicubic", "bilinear", "lanczos"]
Activation = Literal["none", "sigmoid"]
LabelKind = Literal["csv", "lines", "json"]

OVERRIDES = "model.toml"
USUAL = {"general": 0.35, "character": 0.85}
"""Thresholds for a model that publishes none: what most tools start with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One tagger. Pixels reach it as (x / 255 * scale - mean) / std in its channel order."""

    name: str
    repo: str = ""
    """Repository on the Hugging Face hub; "" where the files lie in `folder`."""
    revision: str = ""
    """Git commit on the hub; a branch or "" is resolved to a commit when first used. A folder has a hash instead."""
    folder: Path | None = None
    model: str = "model.onnx"
    labels: str = "selected_tags.csv"
    label_kind: LabelKind = "csv"
    """csv has columns name and category, lines is one name to a line, json maps outputs to names and categories."""
    preprocess: str = ""
    """A JSON file of the model that says side, padding, interpolation, mean and std; "" where they stand here."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """File → its published SHA-256."""
    layout: Layout = "NHWC"
    channels: Channels = "BGR"
    scale: float = 255.0
    """What a white pixel is before mean and std."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pad: tuple[int, int, int] | None = (255, 255, 255)
    """RGB colour around the image that makes it square; None stretches it instead."""
    canvas: int = 0
    """Side of a square the image is first fitted into and padded on; 0 pads it at its own size."""
    fit: Interpolation = "bicubic"
    """How it is fitted into the canvas."""
    interpolation: Interpolation = "bicubic"
    side: int = 0
    """Input side in pixels, needed only where the model leaves it open."""
    output: str = ""
    """Name of the output; "" takes the one that is as wide as there are labels."""
    activation: Activation = "none"
    """What turns the output into probabilities."""
    declared: bool = True
    """False for a folder that declares nothing: it is taken for a WD tagger only if its files look like one."""
    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(USUAL))
    """Category → probability from which a tag is said to hold, as published for this revision."""
    exclusive: tuple[str, ...] = ("rating",)
    """Categories of which only the most probable tag holds, whatever its probability."""

    @property
    def preprocessing(self) -> str:
        """How images are prepared, as part of the identity of scores."""
        if self.preprocess:
            return f"{self.preprocess}-1"
        fit = "stretch" if self.pad is None else "pad-" + "".join(f"{part:02x}" for part in self.pad)
        canvas = f"-{self.fit}-{self.canvas}" if self.canvas and self.pad is not None else ""
        return f"{fit}{canvas}-{self.interpolation}-1"

    @property
    def hub_revision(self) -> str:
        """What the files are asked for by; the main branch where none is named."""
        return self.revision or "main"
