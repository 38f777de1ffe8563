"""Plain values that stages, the manifest and the trainer exchange."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.store.reasons.reason import Data, Reason

Json = Any
THE_SET = "."
"""The path of decisions that are about the set as a whole."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the set. `path` is its key: POSIX, relative to the set, `images/<concept>/<name>.<ext>`.

    `concept` is the folder path in the source tree (`characters/fanart/Anisphia`, never flattened), `source` the
    original file, `content` the SHA-256 of its bytes in hex, `link` how it came here (hardlink, copy …).
    """

    path: str
    concept: str
    source: str
    content: str
    bytes: int
    link: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the pixels of one content say, measured once. Sizes are (width, height) after EXIF rotation.

    `problem` is why it cannot be decoded ("" when it can); then the rest holds what was still readable, or zeros.
    `orientation` is EXIF's, 1 to 8; `transparent` whether any pixel lets the background through, `hidden` the share
    of pixels that are clear and hold another colour than white. `sharpness` is the variance of the Laplacian of the
    image at a fixed working size, `contrast` the standard deviation of its grey. `phash` is the PDQ hash, 64 hex
    digits, `hash_quality` what PDQ says of it, 0 to 100. `bits` are per channel, `profile` the name of the embedded
    colour profile. The bars are uniform strips along the edges, in pixels. `fingerprint` is written and read by
    `pipeline.images.duplicates`, `focus` by `pipeline.images.buckets.detail_profile`. `coding` is lossless, lossy or
    palette, "" where an older prep did not ask; `jpeg_quality` 1 to 100, 0 for other formats; `lost` the share of a
    JPEG's pixels that its data does not hold; `background` the colour, #rrggbb, that a transparent image was measured on.
    """

    content: str
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    frames: int = 1
    orientation: int = 1
    transparent: bool = False
    sharpness: float = 0.0
    contrast: float = 0.0
    phash: str = ""
    problem: str = ""
    hash_quality: int = 0
    fingerprint: str = ""
    hidden: float = 0.0
    bits: int = 8
    profile: str = ""
    bar_left: int = 0
    bar_top: int = 0
    bar_right: int = 0
    bar_bottom: int = 0
    focus: str = ""
    coding: str = ""
    jpeg_quality: int = 0
    lost: float = 0.0
    background: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of a plan and of the record: for `path`, `field` is `value`, because of `reason`.

    `value` is of the field's type (see the table of fields in `pipeline/store/manifest.py`); `reason` a code that is
    counted, and `data` what is behind it. `pipeline.store.wording` tells both in English.
    """

    path: str
    field: str
    value: Any
    reason: Reason
    data: Data = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A file to bring into the set without touching the original. `how` is auto, hardlink, reflink, copy or symlink."""

    source: str
    path: str
    how: str = "auto"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a stage would do. It speaks of every image, so that applying it leaves nothing stale behind.

    `fields` are the decision fields the stage owns: on apply, rows of these fields that the plan does not name go.
    `images` replaces the table of images (flatten only); `captions` are (path, text) pairs that a person wrote, to be
    imported as such, the text as its file holds it; `info` are worth knowing and call for nothing, `warnings` are
    warnings; `table` holds rows worth printing, all with the same keys.
    """

    stage: str
    fields: tuple[str, ...]
    decisions: tuple[Decision, ...] = ()
    images: tuple[Image, ...] | None = None
    links: tuple[Link, ...] = ()
    captions: tuple[tuple[str, str], ...] = ()
    info: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    table: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One application of a stage. `finished` is "" while it runs or when it was killed; `undone` the run that undid it.

    `inputs` names what the stage read with a hash of each; `versions` the programs that took part; `origins` says where
    each option came from (default, prep.toml, flag …).
    """

    id: int
    stage: str
    options: Mapping[str, Json]
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    counts: Mapping[str, int]
    started: str
    finished: str
    undone: int | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """One hash of all that was read."""
        return hashlib.sha256(json.dumps(dict(self.inputs), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Tagger:
    """Which model gave scores: its identity is name, revision and how images were prepared for it."""

    name: str
    revision: str
    preprocessing: str
    provider: str
    categories: Mapping[str, str]
    """Tag → category (general, character, copyright, artist, meta, rating), in output order."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Category → probability from which a tag holds, as published for this model."""
    tag_thresholds: Mapping[str, float] = field(default_factory=dict)
    """The same by tag, which goes before its category's."""
    sha256: str = ""
    """Hash of the model file."""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.revision}/{self.preprocessing}"
