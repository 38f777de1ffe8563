"""Plain values that stages, the manifest and the trainer exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of the set. `path` is its key: POSIX, relative to the set, `images/<concept>/<name>.<ext>`.

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
    `sharpness` is the variance of the Laplacian of the picture at a fixed working size; `phash` 16 hex digits.
    """

    content: str
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    frames: int = 1
    rotated: bool = False
    transparent: bool = False
    sharpness: float = 0.0
    contrast: float = 0.0
    phash: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of a plan and of the record: for `path`, `field` is `value`, because of `reason`.

    `value` is JSON (see the table of fields in `pipeline/manifest.py`); `reason` a short phrase that is counted;
    `evidence` the figures behind it, for people.
    """

    path: str
    field: str
    value: Json
    reason: str
    evidence: str = ""


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
    taken in as such, the text as its file holds it; `notes` are warnings for the person; `table` holds rows worth
    printing, all with the same keys.
    """

    stage: str
    fields: tuple[str, ...]
    decisions: tuple[Decision, ...] = ()
    images: tuple[Image, ...] | None = None
    links: tuple[Link, ...] = ()
    captions: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    table: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One application of a stage. `finished` is "" while it runs or when it was killed."""

    id: int
    stage: str
    options: Mapping[str, Json]
    digest: str
    counts: Mapping[str, int]
    started: str
    finished: str


@dataclass(frozen=True, slots=True)
class Tagger:
    """Which model gave scores: its identity is name, revision and how pictures were prepared for it."""

    name: str
    revision: str
    preprocessing: str
    provider: str
    categories: Mapping[str, str]
    """Tag → category (general, character, copyright, artist, meta, rating), in output order."""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.revision}/{self.preprocessing}"
