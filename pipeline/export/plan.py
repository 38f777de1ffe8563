"""An export planned: what the folder should hold, and what that changes. Nothing is written here but the run's row."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.config import registry
from pipeline.config.settings import options_for, settings_of
from pipeline.export.changes import Changes, compare
from pipeline.export.contents import Contents, read_contents
from pipeline.export.destination import destination
from pipeline.export.layouts import everydream, imagefolder, kohya, webdataset
from pipeline.export.record import Record
from pipeline.export.request import SHARD_BYTES, Layout, Request
from pipeline.store.manifest import Manifest
from pipeline.store.running.versions import versions

NAME = "export"
READS = ("images", "keep", "bucket", "manual_caption", "caption", "tags", "user_repeats", "repeats", "regularization")
LayoutName = Literal["kohya", "everydream", "imagefolder", "webdataset"]
Links = Literal["auto", "hardlink", "reflink", "copy", "symlink"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for; `folder` is absolute, `shard_bytes` is for webdataset alone; `escape` puts a
    backslash before the parentheses in captions."""

    folder: Path
    layout: LayoutName
    links: Links = "auto"
    resize: bool = False
    escape: bool = False
    shard_bytes: int = SHARD_BYTES


@dataclass(frozen=True, slots=True)
class Export:
    """A planned export: the record of what is there, what there should be, and how the two differ."""

    before: Record
    contents: Contents
    layout: Layout
    changes: Changes

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that a person should know."""
        return (*self.contents.warnings, *self.layout.warnings, *_notes(self.changes))

    @property
    def fresh(self) -> bool:
        """Whether the folder is as it should be, and its record too."""
        known = self.before.files
        same = all(known.get(path) == entry for path, entry in self.changes.kept.items())
        return same and not (self.changes.write or self.changes.remove or self.before.pending)

    def counts(self) -> dict[str, int]:
        """How many images there are, and what becomes of how many files; zeros left out."""
        found = {
            "images": len(self.contents.samples),
            "new_or_changed": len(self.changes.write),
            "unchanged": len(self.changes.kept),
            "removed": len(self.changes.remove),
            "edited_by_a_person": len(self.changes.edited),
            "in_the_way": len(self.changes.in_the_way),
            "strangers": len(self.changes.strangers),
        }
        return {name: number for name, number in found.items() if number}


def plan_export(manifest: Manifest, options: Options) -> Export:
    """Plan an export of the kept images.

    Raises:
        PrepError: the folder cannot be used, or the set is not ready.
    """
    before = destination(manifest.root, options.folder, options.layout, _sources(manifest))
    contents = read_contents(manifest, options.resize, options.escape)
    layout = _lay_out(manifest, contents, options)
    return Export(before, contents, layout, compare(options.folder, before, layout.files, options.links))


def _sources(manifest: Manifest) -> set[str]:
    """What the set is made from: as its settings say, and as flatten last read it."""
    run = manifest.last_run("flatten")
    return {*settings_of(manifest.root).sources, *(run.options.get("sources", ()) if run else ())}


def _lay_out(manifest: Manifest, contents: Contents, options: Options) -> Layout:
    request = Request(manifest.root, options.folder, options.resize, options.shard_bytes)
    if options.layout == "kohya":
        run, train = manifest.last_run("bucket"), registry.stage("train")
        assert train is not None
        recipe: Any = options_for("train", train.options(), settings_of(manifest.root), {})
        bucket = run.options if run and run.finished else None
        return kohya.lay_out(contents, request, bucket, recipe.captions.shuffle_tags, recipe.captions.keep_tags)
    others: Mapping[str, Callable[[Contents, Request], Layout]] = {
        "everydream": everydream.lay_out,
        "imagefolder": imagefolder.lay_out,
        "webdataset": webdataset.lay_out,
    }
    return others[options.layout](contents, request)


def _notes(changes: Changes) -> Iterator[str]:
    sentences = (
        (changes.edited, "files that a person changed since, left as they are: {n}, such as {first}"),
        (changes.in_the_way, "files that cannot be written, as others stand in their place: {n}, such as {first}"),
        (
            [path for path in changes.strangers if path.endswith(".npz")],
            "latents that another trainer left here: {n}, such as {first}; it may take old ones for images that "
            "changed, so delete them when in doubt",
        ),
        (
            [path for path in changes.strangers if not path.endswith(".npz")],
            "files that prep did not write, left as they are: {n}, such as {first}",
        ),
    )
    for paths, sentence in sentences:
        if paths:
            yield sentence.format(n=len(paths), first=paths[0])


@contextlib.contextmanager
def recorded(manifest: Manifest, options: Options, counts: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """A run of the manifest around a block, unfinished if the block fails; what is put into the mapping is counted too."""
    recorded: dict[str, Any] = {
        "folder": str(options.folder),
        "layout": options.layout,
        "links": options.links,
        "resize": options.resize,
        "escape": options.escape,
        "shard_bytes": options.shard_bytes,
    }
    with manifest.transaction():
        run = manifest.begin_run(NAME, recorded, {name: manifest.digest(name) for name in READS}, versions(("pillow",)))
    more: dict[str, int] = {}
    yield more
    with manifest.transaction():
        manifest.finish_run(run, {**counts, **more})
