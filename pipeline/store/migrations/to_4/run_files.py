"""Files of training runs, runs/NAME and those that an undo keeps. Each is replaced as a whole, and one that is changed
already stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.files import digest_if_readable, replacing, write_bytes
from pipeline.store.migrations.to_4.digests import sha256
from pipeline.store.migrations.to_4.names import (
    BESIDE_NOW,
    DECIDED,
    LOG,
    NEW_TABLE,
    OLD_TABLE,
    OPTIONS,
    SET,
    TABLE,
    VALIDATION,
    recipe_now,
    renamed,
)

OLD_BESIDE = frozenset(
    {
        "name", "processes", "save_precision", "save_every_epochs", "save_every_steps", "keep_last", "state_every",
        "validation_pictures", "validation_times", "validation_noises", "validation_every", "patience",
        "sample_prompts", "sample_file", "sample_every_epochs", "sample_every_steps", "tensorboard", "export_for",
        "save_checkpoint", "device", "preset", "suggest", "replay",
    }
)  # fmt: skip
"""Options that change nothing of what is learned, by their old names."""
STATE, RUN = "state.safetensors", "run.json"


def bring_forward(root: Path) -> None:
    """Change the files of every run of a set."""
    for folder in (*(root / "runs").glob("*/"), *(root / "undo").glob("*/runs/*/")):
        _state(folder)
        for name, change in CHANGES.items():
            _change(folder / name, change)
        table = folder / OLD_TABLE
        if table.is_file():
            _change(table, _table)
            table.replace(folder / NEW_TABLE)


def _change(file: Path, change: Callable[[str], str]) -> None:
    """Replace a file by what its text becomes; one that is not there or not what it should be stays as it is."""
    try:
        before = file.read_bytes().decode()
        after = change(before)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    if after != before:
        write_bytes(file, after.encode())


def _run(text: str) -> str:
    document = json.loads(text)
    document["settings"] = _settings(document["settings"])
    document["set"] = renamed(document["set"], {"pictures": "images", "remarks": "info"})
    return _document(document)


def _settings(rows: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of run.json, each a value with its origin; those of today that version 3 had none of as what it did."""
    added = {name: {"value": value, "origin": "default"} for name, value in DECIDED.items()}
    return {**renamed(rows, OPTIONS["train"]), **{name: row for name, row in added.items() if name not in rows}}


def _set(text: str) -> str:
    return _document({path: renamed(image, SET) for path, image in json.loads(text).items()})


def _recipe(text: str) -> str:
    return json.dumps(recipe_now(json.loads(text)), indent=2, ensure_ascii=False) + "\n"


def _document(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _log(text: str) -> str:
    """The last line of a log may be half of one, as a killed run leaves it; it stays so."""
    whole, end, rest = text.rpartition("\n")
    lines = [json.dumps(renamed(json.loads(line), LOG), ensure_ascii=False) for line in whole.splitlines()]
    return "\n".join(lines) + end + rest


def _validation(text: str) -> str:
    """Like a log, it may end in half a line."""
    whole, end, rest = text.rpartition("\n")
    lines = [json.dumps(_evaluation(json.loads(line)), ensure_ascii=False) for line in whole.splitlines()]
    return "\n".join(lines) + end + rest


def _evaluation(line: Mapping[str, Any]) -> dict[str, Any]:
    parts = {
        part: {name: renamed(losses, VALIDATION) for name, losses in line[part].items()}
        for part in ("concepts", "bands")
    }
    return renamed({**line, **parts}, VALIDATION)


def _table(text: str) -> str:
    head, _, rows = text.partition("\n")
    ending = "\r" if head.endswith("\r") else ""
    return ",".join(TABLE.get(name, name) for name in head.rstrip("\r").split(",")) + f"{ending}\n{rows}"


CHANGES: Mapping[str, Callable[[str], str]] = {
    RUN: _run,
    "set.json": _set,
    "recipe.json": _recipe,
    "log.jsonl": _log,
    "validation.jsonl": _validation,
}


def _state(folder: Path) -> None:
    """Give a saved state the name of its run that version 4 asks for: a hash of its options among others."""
    file = folder / STATE
    try:
        settings, rest = _identity(folder)
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        kept = header["__metadata__"]["digest"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    old = {key: value for key, value in settings.items() if key not in OLD_BESIDE}
    if kept != _digest(old, rest):
        return
    now = {key: value for key, value in recipe_now(old).items() if key not in BESIDE_NOW}
    header["__metadata__"]["digest"] = _digest(now, rest)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(file) as temporary, file.open("rb") as source, temporary.open("wb") as target:
        source.seek(8 + length)
        target.write(len(text).to_bytes(8, "little") + text)
        while block := source.read(1 << 20):
            target.write(block)


def _identity(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """A run's options, and the hashes of its set, of the adapter it starts from and of its base model."""
    document = json.loads((folder / RUN).read_text(encoding="utf-8"))
    settings = {key: row["value"] for key, row in document["settings"].items()}
    start = digest_if_readable(Path(settings["start_from"])) if settings["start_from"] else ""
    return settings, [document["set"]["digest"], start, document["base"]["digest"]]


def _digest(options: Mapping[str, Any], rest: list[str]) -> str:
    return sha256(json.dumps([dict(options), *rest], sort_keys=True))
