"""Runs of version 3 as version 4 writes them, with the hashes that keep fresh what was fresh."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from pipeline.core.files import digest_if_readable
from pipeline.store.migrations.to_4.digests import Changed, inputs_digest, options_digest, sha256
from pipeline.store.migrations.to_4.names import (
    FIELDS,
    NEW_TABLE,
    OLD_TABLE,
    option_name,
    options_of,
)
from pipeline.store.migrations.to_4.sentences.counts import counts_now

OPTIONS, OBSERVED = "options", "observed"
MODEL_FILES = (".safetensors", ".json", ".txt")
"""How the names of files end that a base model is identified by."""


@dataclass(slots=True)
class _Known:
    """What hashes of runs are made of: `bases` are the digests of base models that may have been used, `digests` a stage's
    (old hash, new hash, when it ended) of all that each of its runs read."""

    bases: tuple[str, ...]
    fields: Changed
    digests: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)


def bring_forward(connection: sqlite3.Connection, changed: Changed) -> None:
    """Change the table of runs and the names of files that runs made.

    Args:
        changed: what `digests.changed` found before decisions were changed.
    """
    known = _Known(tuple(_bases(connection)), changed)
    query = "SELECT id, stage, options, origins, counts, inputs, files, finished FROM runs ORDER BY id"
    for number, stage, *texts, files, finished in connection.execute(query).fetchall():
        options, origins, counts, inputs = (json.loads(text) for text in texts)
        name = option_name(stage)
        now = options_of(stage, options, origins)
        read = _inputs(stage, options, now, inputs, known)
        known.digests.setdefault(stage, []).append((inputs_digest(inputs), inputs_digest(read), finished))
        rows = (
            now,
            {name(key): origin for key, origin in origins.items()},
            counts_now(counts),
            read,
        )
        connection.execute(
            "UPDATE runs SET options=?, origins=?, counts=?, inputs=?, files=? WHERE id=?",
            (*map(_dump, rows), files and files.replace(f"/{OLD_TABLE}", f"/{NEW_TABLE}"), number),
        )
    connection.execute(
        "UPDATE file_history SET path=substr(path, 1, length(path) - ?) || ? WHERE path LIKE 'runs/%' AND path LIKE ?",
        (len(OLD_TABLE), NEW_TABLE, f"%/{OLD_TABLE}"),
    )


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _inputs(
    stage: str, options: dict[str, Any], now: dict[str, Any], inputs: dict[str, str], known: _Known
) -> dict[str, str]:
    """What a run read, by the hashes that version 4 computes; a hash that is none of those known stays, and the run is
    stale as it was."""
    read = {}
    for name, digest in inputs.items():
        if name == OPTIONS:
            read[name] = options_digest(now) if digest == options_digest(options) else digest
        elif name == OBSERVED:
            read[name] = dict(_observed(stage, options, known)).get(digest, digest)
        else:
            read[FIELDS.get(name, name)] = known.fields.get(name, {}).get(digest, digest)
    return read


def _observed(stage: str, options: dict[str, Any], known: _Known) -> Iterator[tuple[str, str]]:
    """(old hash, new hash) of what a stage may have seen that is made of other runs' hashes."""
    if stage == "train":
        for base in known.bases:
            for old, new, _ in known.digests.get("regularize", ()):
                yield sha256(f"{base} {old}"), sha256(f"{base} {new}")
    elif stage == "sample":
        file = options.get("file")
        prompts = f" {digest_if_readable(Path(file))}" if file else ""
        for old, new, finished in known.digests.get("train", ()):
            yield sha256(f"{old} {finished}{prompts}"), sha256(f"{new} {finished}{prompts}")


def _bases(connection: sqlite3.Connection) -> Iterator[str]:
    """What may have identified a base model, alone and with another VAE: of a file the hash of its bytes, of a folder one over
    the names and hashes of its files, as far as they were ever hashed."""
    hashes = {
        PurePath(source): content
        for source, content in connection.execute("SELECT source, content FROM files")
        if source.endswith(MODEL_FILES)
    }
    models = list(dict.fromkeys(hashes.values()))
    for folder in dict.fromkeys(parent for file in hashes for parent in file.parents):
        digest = hashlib.sha256()
        for file in sorted(file for file in hashes if folder in file.parents):
            digest.update(f"{file.relative_to(folder).as_posix()}\0{hashes[file]}\0".encode())
        models.append(digest.hexdigest())
    yield from ("", "not downloaded", *models)
    yield from (f"{base} {vae}" for base in models for vae in models)
