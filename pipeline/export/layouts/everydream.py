"""EveryDream2: the folders of the concepts, with the exact repeats of each in its multiply.txt.

EveryDream2 reads a real number there, for that folder alone. Images of one concept with different repeats need
folders of their own, `2_c`, `3_c` … beside `c`: the number only tells them apart. So does that of `1_24_c`, which keeps
the name `24_c` from being read as 24 repeats of `c`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal

from pipeline.core.filenames import without_repeats
from pipeline.export.contents import Contents, Sample
from pipeline.export.naming import CAPTION, Names
from pipeline.export.request import Layout, Request, Text, Wanted

READ = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jfif"))
"""Extensions that EveryDream2 looks for."""


def lay_out(contents: Contents, request: Request) -> Layout:
    """The files for EveryDream2."""
    names = Names()
    files: list[Wanted] = []
    table = []
    groups = list(_groups(contents.samples))
    folders = [names.folder(folder) for folder, _, _ in groups]
    for (_, exact, samples), folder in zip(groups, folders, strict=True):
        number = decimal(exact)
        files.append(Text(f"{folder}/multiply.txt", f"{number}\n".encode()))
        for sample in samples:
            path = names.file(folder, sample.stem, sample.extension_in(request), CAPTION)
            files.append(sample.exported(path, request))
            if sample.caption:
                files.append(Text(path + CAPTION, f"{sample.caption}\n".encode()))
        table.append({"folder": folder, "images": len(samples), "multiply": number})
    warnings = [*names.warnings(), *_notes(contents, request, groups)]
    return Layout(tuple(sorted(files, key=lambda file: file.path)), tuple(warnings), tuple(table))


def decimal(number: float) -> str:
    """The number in digits, with as many decimals as it needs to be read back equal."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _groups(samples: Iterable[Sample]) -> Iterator[tuple[str, float, list[Sample]]]:
    """(folder, repeats, images): the most frequent repeats of a concept have the concept's own folder."""
    found: dict[str, dict[float, list[Sample]]] = {}
    for sample in samples:
        found.setdefault(sample.image.concept, {}).setdefault(sample.exact, []).append(sample)
    for concept in sorted(found):
        above, slash, name = concept.rpartition("/")
        most_first = sorted(found[concept].items(), key=lambda item: (-len(item[1]), item[0]))
        for place, (exact, some) in enumerate(most_first, 1):
            plain = place == 1 and without_repeats(name) is None
            yield concept if plain else f"{above}{slash}{place}_{name}", exact, some


def _notes(contents: Contents, request: Request, groups: list[tuple[str, float, list[Sample]]]) -> Iterator[str]:
    concepts = Counter(samples[0].image.concept for _, _, samples in groups)
    divided = [concept for concept, folders in concepts.items() if folders > 1]
    if divided:
        yield (f"concepts whose images have different repeats, a folder for each: {len(divided)}, such as {divided[0]}")
    if any(sample.caption is None for sample in contents.samples):
        yield "EveryDream2 takes a file's name up to the first _ where there is no caption"
    if any(sample.reg_images for sample in contents.samples):
        yield "EveryDream2 knows no regularization images; they are not written"
    if request.crops:
        yield "EveryDream2 has sizes of its own and crops again to them"
        return
    unread = [sample.image.path for sample in contents.samples if sample.extension not in READ]
    if unread:
        yield (
            f"images of a kind that EveryDream2 does not read: {len(unread)}, such as {unread[0]}; --resize writes "
            "them as PNG"
        )
