"""What became of a file of the sources, and where an image's repeats come from."""

from __future__ import annotations

from pipeline.store.reasons.reason import Cause, Data, Reason, Table, Words


class PlacementReason(Reason):
    IMPORTED = "imported"
    RENAMED_UNSAFE = "renamed_unsafe"
    RENAMED_TAKEN = "renamed_taken"
    EXTENSION_FROM_CONTENT = "extension_from_content"
    EDITED_IN_SET = "edited_in_set"
    SOURCE_VANISHED = "source_vanished"
    PRUNED = "pruned"
    DELETED_IN_SET = "deleted_in_set"
    MOVED = "moved"
    NO_LONGER_A_SOURCE = "no_longer_a_source"
    CAPTION_IMPORTED = "caption_imported"
    CAPTION_DIFFERS = "caption_differs"
    CAPTION_REPEATED = "caption_repeated"
    CAPTION_EXCLUDED = "caption_excluded"
    CAPTION_WITHOUT_IMAGE = "caption_without_image"
    CAPTION_NOT_UTF8 = "caption_not_utf8"
    CAPTION_TOO_LARGE = "caption_too_large"
    CAPTION_UNREADABLE = "caption_unreadable"
    CAPTION_EMPTY = "caption_empty"
    TAGS_IMPORTED = "tags_imported"
    METADATA_IMPORTED = "metadata_imported"
    METADATA_NOT_USED = "metadata_not_used"
    METADATA_WITHOUT_IMAGE = "metadata_without_image"
    JSON_NOT_USED = "json_not_used"
    JSON_EMPTY = "json_empty"
    MULTIPLY_READ = "multiply_read"
    MULTIPLY_NO_NUMBER = "multiply_no_number"
    MULTIPLY_WITHOUT_IMAGES = "multiply_without_images"
    REPEATS_TOO_LARGE = "repeats_too_large"
    NOT_AN_IMAGE = "not_an_image"
    HIDDEN = "hidden"
    MASK = "mask"
    HOUSEKEEPING = "housekeeping"
    EVERYDREAM_SETTING = "everydream_setting"
    NAME_NOT_UTF8 = "name_not_utf8"
    UNREADABLE = "unreadable_file"
    FOLDER_UNREADABLE = "folder_unreadable"
    NOT_A_FILE = "not_a_file"
    LINK_LEADS_OUT = "link_leads_out"
    LINK_LOOP = "link_loop"
    BROKEN_LINK = "broken_link"
    FOLDER_REPEATED = "folder_repeated"
    A_SET = "a_set"
    BASE_MODEL_IMAGES = "base_model_images"
    SAMPLE_SHEET = "sample_sheet"
    ARCHIVE = "archive"
    ARCHIVE_UNKNOWN = "archive_unknown"
    ARCHIVE_A_SOURCE = "archive_a_source"
    ARCHIVE_PARTIAL = "archive_partial"
    ARCHIVE_NAMES = "archive_names"
    ARCHIVE_TOO_LARGE = "archive_too_large"
    ENTRY_SPECIAL = "entry_special"
    ENTRY_ENCRYPTED = "entry_encrypted"
    ENTRY_REPEATED = "entry_repeated"
    ENTRY_TOO_LARGE = "entry_too_large"
    ENTRY_DAMAGED = "entry_damaged"
    ENTRY_BACKSLASH = "entry_backslash"
    ENTRY_LEADS_OUT = "entry_leads_out"


class RepeatsSource(Reason):
    """Who says how often an image is to be shown. `instead_of` is the [code, data] of another one that it overrules."""

    FOLDER_NAME = "folder_name"
    MULTIPLY_FILE = "multiply_file"
    METADATA = "metadata"
    BY_PERSON = "repeats_by_person"


def _link(data: Data) -> str:
    return f"a link to {data['link']}" if "link" in data else ""


def _entries(data: Data) -> str:
    used = f"{data['used']} of {data['entries']} entries name an image"
    used += f"; captions from {', '.join(data['captions'])}" if data.get("captions") else ""
    used += f"; columns not understood: {', '.join(data['unknown'])}" if data.get("unknown") else ""
    return used + (f"; wrong: {data['wrong']}, such as {data['such_as']}" if "wrong" in data else "")


def _metadata(data: Data) -> str:
    return ", ".join(data["says"]) if "says" in data else _entries(data)


def _vanished(data: Data) -> str:
    return "and the image in the set too" if data.get("image_gone") else ""


def _multiply(data: Data) -> str:
    if "instead_of" in data:
        return f"multiply.txt {data['value']:g}, before {data['instead_of'][1]['folder']} of the folder's name"
    return f"multiply.txt {data['value']:g}"


def _metadata_repeats(data: Data) -> str:
    if "instead_of" not in data:
        return str(data["where"])
    code, other = data["instead_of"]
    return f"{data['where']}, before {source_words(Cause(RepeatsSource(code), other))}"


def source_words(cause: Cause) -> str:
    """The figures of a source of repeats."""
    if cause.reason == RepeatsSource.BY_PERSON:
        return "by you"
    if cause.reason == RepeatsSource.MULTIPLY_FILE:
        return _multiply(cause.data)
    return str(cause.data["folder"]) if cause.reason == RepeatsSource.FOLDER_NAME else _metadata_repeats(cause.data)


P = PlacementReason
WORDS: Table = {
    P.IMPORTED: Words("imported", _link),
    P.RENAMED_UNSAFE: Words("renamed, unsafe name", _link),
    P.RENAMED_TAKEN: Words("renamed, name taken", _link),
    P.EXTENSION_FROM_CONTENT: Words("extension from content", _link),
    P.EDITED_IN_SET: Words("edited in the set", _link),
    P.SOURCE_VANISHED: Words("source vanished", _vanished),
    P.PRUNED: Words("source gone, taken out of the set"),
    P.DELETED_IN_SET: Words("deleted from the set"),
    P.MOVED: Words("moved", "{to}"),
    P.NO_LONGER_A_SOURCE: Words("no longer among the sources"),
    P.CAPTION_IMPORTED: Words("caption imported"),
    P.CAPTION_DIFFERS: Words("caption in the set differs and stays"),
    P.CAPTION_REPEATED: Words("same as another caption file", "{other}"),
    P.CAPTION_EXCLUDED: Words("excluded for another caption file", "{other}"),
    P.CAPTION_WITHOUT_IMAGE: Words("text without an image"),
    P.CAPTION_NOT_UTF8: Words("caption is not UTF-8", "{why} at byte {byte}"),
    P.CAPTION_TOO_LARGE: Words("caption is larger than 1 MiB", "{bytes} bytes"),
    P.CAPTION_UNREADABLE: Words("caption cannot be read", "{why}"),
    P.CAPTION_EMPTY: Words("caption is empty"),
    P.TAGS_IMPORTED: Words("tags imported", "{tags} tags"),
    P.METADATA_IMPORTED: Words("metadata imported", _metadata),
    P.METADATA_NOT_USED: Words("metadata not used", "{why}"),
    P.METADATA_WITHOUT_IMAGE: Words("metadata names no image", _entries),
    P.JSON_NOT_USED: Words("json not used", "{why}"),
    P.JSON_EMPTY: Words("json without tags or caption"),
    P.MULTIPLY_READ: Words("multiply.txt imported", "{text}"),
    P.MULTIPLY_NO_NUMBER: Words("multiply.txt holds no number above 0", "{text!r}"),
    P.MULTIPLY_WITHOUT_IMAGES: Words("multiply.txt without images", "{text}"),
    P.REPEATS_TOO_LARGE: Words("repeats in the folder's name are too large, not used", "{name}"),
    P.NOT_AN_IMAGE: Words("not an image"),
    P.HIDDEN: Words("hidden"),
    P.MASK: Words("mask of another image", "of {of}"),
    P.HOUSEKEEPING: Words("folder of a system or program, not read"),
    P.EVERYDREAM_SETTING: Words("EveryDream setting, not used"),
    P.NAME_NOT_UTF8: Words("name is not UTF-8"),
    P.UNREADABLE: Words("cannot be read", lambda data: str(data.get("why", ""))),
    P.FOLDER_UNREADABLE: Words("folder cannot be read", "{why}"),
    P.NOT_A_FILE: Words("not a regular file"),
    P.LINK_LEADS_OUT: Words("link leads out of its source", "to {to}"),
    P.LINK_LOOP: Words("link loop", lambda data: f"back to {data['to']}" if "to" in data else ""),
    P.BROKEN_LINK: Words("broken link"),
    P.FOLDER_REPEATED: Words("folder read already", "as {to}"),
    P.A_SET: Words("a set of prep"),
    P.BASE_MODEL_IMAGES: Words("images that the base model made without the adapter, for comparison"),
    P.SAMPLE_SHEET: Words("a sheet of sample images"),
    P.ARCHIVE: Words("archive; name it as a source to use it"),
    P.ARCHIVE_UNKNOWN: Words("archive of a kind that is not read"),
    P.ARCHIVE_A_SOURCE: Words("archive, a source of its own"),
    P.ARCHIVE_NAMES: Words("names read as {encoding}", "such as {such_as}", "names read in a code page"),
    P.ARCHIVE_PARTIAL: Words("archive not read to its end", "{why}"),
    P.ARCHIVE_TOO_LARGE: Words("archive unpacks to too much", "more than {limit}"),
    P.ENTRY_SPECIAL: Words("link or device in an archive"),
    P.ENTRY_ENCRYPTED: Words("encrypted entry"),
    P.ENTRY_REPEATED: Words("another entry of the archive has this name"),
    P.ENTRY_TOO_LARGE: Words("entry unpacks to too much", "more than {mebibytes} MiB"),
    P.ENTRY_DAMAGED: Words("damaged entry", "{why}"),
    P.ENTRY_BACKSLASH: Words("entry's name holds a backslash"),
    P.ENTRY_LEADS_OUT: Words("entry's name leads out of the archive"),
    RepeatsSource.FOLDER_NAME: Words("repeats in the folder's name", "{folder}"),
    RepeatsSource.MULTIPLY_FILE: Words("multiply.txt", _multiply),
    RepeatsSource.METADATA: Words("repeats in metadata", _metadata_repeats),
    RepeatsSource.BY_PERSON: Words("repeats set by you"),
}
