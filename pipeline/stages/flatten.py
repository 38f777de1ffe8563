"""Import folders of images into a set; the originals are never changed.

A source is a folder, an archive (.zip, .tar, .tar.gz), or a folder of a dataset repository, written
hf://datasets/OWNER/NAME/FOLDER. Every image below it gets its place in SET/images/CONCEPT: a clone where
the disk can, else a copy. A concept is the folder's path below the source; images directly in a source make a
concept of its name. What a person wrote comes along: captions beside images (.txt, .caption) or in metadata files,
repeats in folder names (24_NAME) and multiply.txt, tags that a downloader saved as JSON, masks
(NAME-masklabel.png, masks/NAME.png), which are kept in SET/masks and not trained on. What is left out, renamed or
found changed is listed with its reason. More sources can be added by running it again.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field

from pipeline.core.links import How
from pipeline.sources.auxiliary import with_masks
from pipeline.sources.beside.booru_scores import take_tags
from pipeline.sources.beside.captions import import_captions
from pipeline.sources.beside.data_files import read_data_files
from pipeline.sources.beside.sidecars import Beside
from pipeline.sources.import_warnings import warnings
from pipeline.sources.known_contents import hash_new
from pipeline.sources.masks import place_masks
from pipeline.sources.placement import Placing
from pipeline.sources.repeats import folders, repeats_rows
from pipeline.sources.room import Room
from pipeline.sources.source_file import IMAGE, Found, sniffed
from pipeline.sources.source_list import checked, contents, look
from pipeline.store.manifest import Manifest
from pipeline.store.records import Plan
from pipeline.store.running.stage import ProgressCallback, Stage, WorkResult

NAME = "flatten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    sources: tuple[str, ...] = field(default=(), metadata={"section": "set"})
    """Folders, archives and dataset repositories to bring images from."""
    repeats_in_names: bool = True
    """Read a folder of images called N_NAME as the concept NAME to be shown N times, as kohya-ss/sd-scripts does."""
    link: How = "auto"
    """How images come into the set: reflink (shares the disk's blocks until one side is edited), copy, hardlink or
    symlink; auto takes a reflink where the disk can, else a copy. Links take no room, but are the originals: an editor
    that saves in place in the set changes these too."""
    zip_encoding: str = "auto"
    """Code page of the names in zips that do not call them UTF-8, such as cp932, gbk, cp949, big5, cp437, cp1251; auto
    chooses one for all names of an archive together and says which."""
    prune: bool = False
    """Take out of the set what left it: images whose source is gone, and images that you deleted from its images folder,
    which are brought back otherwise. Undo the run to have them again."""
    follow_links: bool = False
    """Follow links in the sources that lead out of them, too."""


def observe(manifest: Manifest, options: Options) -> str:
    """Hash the listing of the sources."""
    digest = hashlib.sha256()
    for line in look(checked(manifest, options.sources), options.follow_links):
        digest.update(line.encode(errors="surrogatepass"))
    return digest.hexdigest()


def missing(manifest: Manifest, options: Options) -> str:
    """Why the stage must run although no source changed: an image of the set was lost or edited there."""
    root = str(manifest.root)
    changed = [image.path for image in manifest.images() if _bytes(f"{root}/{image.path}") != image.bytes]
    return f"images of the set lost or edited: {len(changed)}, such as {changed[0]}" if changed else ""


def measure(manifest: Manifest, options: Options, progress: ProgressCallback) -> None:
    """Unpack and fetch what is not here yet, hash every image whose size or time is new, take in booru tags."""
    found = _contents(manifest, options, progress)
    hash_new(manifest, found, progress)
    take_tags(manifest, found)


def plan(manifest: Manifest, options: Options) -> Plan:
    """Give every image of the sources a place; an image that has one keeps it."""
    found = _contents(manifest, options)
    images = {each.path: each for each in found if each.kind == IMAGE and not each.problem}
    beside, named = Beside(found), folders(found, options.repeats_in_names)
    data = read_data_files(found, images, beside)
    described = data.described

    def concept(image: Found) -> str:
        row = described.get(image.path)
        return (row.concept if row else "") or named.concepts.get(image.folder, image.concept)

    placing = Placing(
        manifest,
        options.sources,
        options.link,
        {each.path for each in found},
        {path: concept(each) for path, each in images.items()},
        {path: row.name for path, row in described.items() if row.name},
        options.prune,
    )
    known = manifest.known_files()
    placing.place_all(found, known)
    masks = place_masks(placing, found, known)
    for path, cause in (*named.rows, *data.rows):
        placing.leave_out(path, cause)
    captions = import_captions(manifest, placing, found, beside, described)
    repeats = repeats_rows(placing.images, images, named, described, manifest.decisions("user_repeats"))
    room = Room(manifest.root, options.link, placing.links, images | {mask.path: mask for mask in masks})
    room.check()
    return Plan(
        NAME,
        ("imported", "user_repeats"),
        (*placing.rows, *repeats),
        images=tuple(sorted(placing.images.values(), key=lambda image: image.path)),
        links=tuple(placing.links),
        captions=tuple(captions.items()),
        info=tuple(room.info()),
        warnings=(*room.warnings(), *warnings(manifest.root, placing, images.values(), named)),
    )


def work(manifest: Manifest, options: Options, progress: ProgressCallback) -> WorkResult:
    """Count how the images of the set came to it."""
    links = Counter(image.link for image in manifest.images())
    return WorkResult({f"linked:{link}": number for link, number in links.most_common()})


def _contents(manifest: Manifest, options: Options, progress: ProgressCallback = lambda *_: None) -> list[Found]:
    sources = checked(manifest, options.sources)
    found = contents(sources, manifest.root, options.follow_links, progress, options.zip_encoding)
    return with_masks([sniffed(each) for each in found])


def _bytes(path: str) -> int:
    """A file's size, -1 when it is not there."""
    try:
        return os.stat(path).st_size  # noqa: PTH116  (a Path for each image would double the time)
    except OSError:
        return -1


STAGE = Stage(
    name=NAME,
    help=__doc__,
    options=Options,
    reads=(),
    plan=plan,
    observe=observe,
    observes="sources",
    measure=measure,
    missing=missing,
    work=work,
    makes=(),
)
