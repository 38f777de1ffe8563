"""WebDataset: tar shards whose members `key.ext`, `key.txt` and `key.json` lie side by side.

A reader takes what stands before the first dot of a name for its key, so keys have none; the image's own name stands in
its JSON. Shards mix the concepts, as readers shuffle little more than a shard at a time, in an order that depends on
the images' paths alone.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from hashlib import sha256

from pipeline.core.filenames import flat
from pipeline.export.contents import Contents, Sample
from pipeline.export.layouts.imagefolder import concept_table, facts, left_out
from pipeline.export.naming import CAPTION, Names
from pipeline.export.request import Crop, Layout, Member, Request, Shard, Text

MEMBERS = 3
"""Most files of one image."""
END_BYTES = 2 * tarfile.RECORDSIZE
"""What an archive ends with, at most: two empty blocks, filled up to a whole record."""


def lay_out(contents: Contents, request: Request) -> Layout:
    """Shards of at most `request.shard_bytes`; an image that is larger has one alone."""
    names = Names()
    concepts = sorted({sample.image.concept for sample in contents.samples})
    folders = {concept: names.folder(_without_dots(flat(concept))) for concept in concepts}
    groups = []
    for sample in contents.samples:
        key = names.file(folders[sample.image.concept], _without_dots(sample.stem), CAPTION)
        groups.append((sha256(sample.image.path.encode()).hexdigest(), _members(sample, key, request)))
    groups.sort(key=lambda group: group[0])
    shards = tuple(_shards((members for _, members in groups), request.shard_bytes))
    alone = [shard for shard in shards if len(shard.members) <= MEMBERS]
    large = [shard for shard in alone if _bytes(shard.members) + END_BYTES > request.shard_bytes]
    warnings = [*left_out(contents.samples)]
    if large:
        warnings.append(f"shards larger than asked for, as one image alone is: {len(large)}, such as {large[0].path}")
    return Layout(shards, tuple(warnings), concept_table(contents.samples))


def _without_dots(name: str) -> str:
    return name.replace(".", "_")


def _members(sample: Sample, key: str, request: Request) -> tuple[Member, ...]:
    image = sample.exported(key, request)
    name = sample.stem + sample.extension_in(request)
    record = {"name": name, "caption": sample.caption, **facts(sample), "content": sample.image.content}
    size = _largest_png(*image.bucket.size) if isinstance(image, Crop) else sample.image.bytes
    members = [Member(image, size), _text(key + ".json", json.dumps(record, ensure_ascii=False))]
    return (*members, _text(key + CAPTION, sample.caption)) if sample.caption else tuple(members)


def _text(path: str, text: str) -> Member:
    data = f"{text}\n".encode()
    return Member(Text(path, data), len(data))


def _shards(groups: Iterable[tuple[Member, ...]], limit: int) -> Iterator[Shard]:
    """Fill one shard after the other; what belongs to one image stays together."""
    filled: list[Member] = []
    size, number = END_BYTES, 0
    for members in groups:
        more = _bytes(members)
        if filled and size + more > limit:
            yield Shard(f"{number:06}.tar", tuple(filled))
            filled, size, number = [], END_BYTES, number + 1
        filled += members
        size += more
    if filled:
        yield Shard(f"{number:06}.tar", tuple(filled))


def _bytes(members: Iterable[Member]) -> int:
    """The room that members take in an archive: headers, and contents filled up to whole blocks."""
    return sum(
        _header_bytes(member.file.path, member.bytes) + -(-member.bytes // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        for member in members
    )


def _header_bytes(path: str, size: int) -> int:
    """The room of a header: one block, or more where the name or the size does not fit into it."""
    if path.isascii() and len(path) <= tarfile.LENGTH_NAME and size < 8**11:
        return tarfile.BLOCKSIZE
    return len(header(path, size).tobuf(tarfile.PAX_FORMAT))


def header(path: str, size: int) -> tarfile.TarInfo:
    """A member's header: nothing in it depends on when, where or by whom it was written."""
    info = tarfile.TarInfo(path)
    info.size, info.mode = size, 0o644
    return info


def _largest_png(width: int, height: int) -> int:
    """Bytes that a PNG of 8-bit RGB cannot exceed: the rows with a filter byte each, stored, and what is around them."""
    rows = height * (3 * width + 1)
    return rows + rows // 1000 + 4096
