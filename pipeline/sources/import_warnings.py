"""What a person should know once images are imported: what was left out, and what it would take to change that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.sources.placement import Placing
from pipeline.sources.repeats import Folders
from pipeline.sources.source_file import EXTENSIONS, Found
from pipeline.store.reasons.placement import PlacementReason as P
from pipeline.store.reasons.reason import Reason

_SENTENCES: Mapping[Reason, str] = {
    P.SOURCE_VANISHED: "images that stay in the set though their source is gone; --prune takes them out: {n}",
    P.PRUNED: "images taken out of the set, as their source is gone (the files stay in images/, unused): {n}",
    P.DELETED_IN_SET: "images that you deleted from the set, left out: {n}",
    P.NO_LONGER_A_SOURCE: "images that left the set, as their folder is no longer a source (the files stay): {n}",
    P.MOVED: "images that moved in the sources: {n}",
    P.MASK: "masks, which belong to the images they are named after (kept in masks/) and are not trained on: {n}",
    P.HOUSEKEEPING: "folders of systems and programs (previews, bins), not read: {n}",
    P.CAPTION_NOT_UTF8: "caption files left out because they are not UTF-8; save them as UTF-8: {n}",
    P.JSON_NOT_USED: "JSON files beside images that could not be used; prep log says why: {n}",
    P.METADATA_NOT_USED: "JSON and CSV files that describe no images or could not be read, not used: {n}",
    P.NAME_NOT_UTF8: "files left out because their names are not UTF-8; rename them: {n}",
    P.FOLDER_UNREADABLE: "folders that cannot be read: {n}",
    P.UNREADABLE: "files that cannot be read: {n}",
    P.LINK_LEADS_OUT: "links that lead out of their source, left out; to take them in give --follow-links: {n}",
    P.MULTIPLY_NO_NUMBER: "multiply.txt files without a number above 0, not used: {n}",
    P.ARCHIVE: "archives in the sources, not opened; name them as sources too: {n}",
    P.ARCHIVE_PARTIAL: "archives that could be read only in part: {n}",
}


def warnings(root: Path, placing: Placing, images: Iterable[Found], named: Folders) -> list[str]:
    """Warnings on the import as a whole.

    Args:
        root: the set.
        images: the images of the sources.
        named: what the names of their folders say.
    """
    counts = Counter(decision.reason for decision in placing.rows)
    warnings = [sentence.format(n=counts[reason]) for reason, sentence in _SENTENCES.items() if counts[reason]]
    stripped = sorted(
        {f"{each.concept} → {named.concepts[each.folder]}" for each in images if each.folder in named.concepts}
    )
    if stripped:
        warnings.append(f"repeats taken off folder names: {_some(stripped)}")
    if named.zero:
        warnings.append(
            f"folders named with 0 repeats, which kohya would leave out; to leave them out take them out of the "
            f"sources: {_some(named.zero)}"
        )
    for row in placing.rows:
        if row.reason == P.ARCHIVE_NAMES and row.data["encoding"] != "utf-8":
            warnings.append(
                f"names in {Path(row.path).name} are read as {row.data['encoding']}, such as {row.data['such_as']}; "
                "if that is wrong give --zip-encoding"
            )
    expected = {image.path for held in (placing.images, placing.before) for image in held.values()}
    strangers = sorted(images_in(root) - expected)
    if strangers:
        warnings.append(
            f"images in images/ that have no source and are not used, such as {strangers[0]}; "
            f"put them in a source folder: {len(strangers)}"
        )
    return warnings if placing.images else [*warnings, "no image was found"]


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def images_in(root: Path) -> set[str]:
    files = (root / "images").glob("*/*")
    return {path.relative_to(root).as_posix() for path in files if path.suffix.lower() in EXTENSIONS}
