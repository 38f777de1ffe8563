"""Names in an export: safe on every file system, and never one name for two things."""

from __future__ import annotations

from pipeline.core.filenames import safe, same_file_key

CAPTION = ".txt"
SETTINGS = frozenset(("multiply", "cond_dropout", "flip_p", "loss_scale", "batch_id", "shuffle_tags"))
"""Text files that EveryDream2 reads as a folder's settings, so that no caption may be called so."""
FILES = frozenset(("multiply.txt", "metadata.jsonl", "prep-export.json"))
"""Files that layouts write among folders of concepts, so that no folder may be called so."""


class Names:
    """Names given away in one export. Folders are claimed before the files in them."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._folders: set[str] = set()
        self._stems: set[str] = set()
        self.changed: list[tuple[str, str]] = []
        """(what a name would have been, what it is) for every name that had to change."""

    def folder(self, wanted: str) -> str:
        """A folder like `wanted`, a path with `/`, that no other has."""
        parts = (safe(part) for part in wanted.split("/"))
        plain = "/".join("_" + part if part.lower() in FILES else part for part in parts)
        name, number = plain, 1
        while same_file_key(name) in self._given:
            number += 1
            name = f"{plain} ({number})"
        self._given.add(same_file_key(name))
        self._folders |= {same_file_key(name[:end]) for end, sign in enumerate(name) if sign == "/"}
        self._folders.add(same_file_key(name))
        if name != wanted:
            self.changed.append((wanted, name))
        return name

    def file(self, folder: str, stem: str, *extensions: str) -> str:
        """The path in `folder`, without extension, for files called `stem` with these extensions."""
        plain = safe(stem)
        path, number = f"{folder}/{plain}", 1
        while not self._is_free(path, extensions):
            number += 1
            path = f"{folder}/{plain} ({number})"
        self._stems.add(same_file_key(path))
        if path != f"{folder}/{stem}":
            self.changed.append((f"{folder}/{stem}", path))
        return path

    def _is_free(self, path: str, extensions: tuple[str, ...]) -> bool:
        if same_file_key(path) in self._stems:
            return False
        if CAPTION in extensions and path.rpartition("/")[2].lower() in SETTINGS:
            return False
        return not any(same_file_key(path + extension) in self._folders for extension in extensions)

    def warnings(self) -> list[str]:
        """A sentence on the names that had to change."""
        if not self.changed:
            return []
        was, now = self.changed[0]
        return [f"names that had to change to be safe or unique: {len(self.changed)}, such as {was}, now {now}"]
