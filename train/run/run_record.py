"""What a run was: SET/runs/NAME/run.json says by which settings, on what, with which programs, and what came of it;
set.json says the same of every image, so that a run that is done again can say what differs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text

if TYPE_CHECKING:
    from train.data.dataset import Example
    from train.run.snapshots import Snapshot

RUN, SET, STATE = "run.json", "set.json", "state.safetensors"
MOST_NAMED = 5
"""How many differing images are named one by one."""
OWN = ("name", "replay", "preset", "suggest")
"""Options that say which run it is, not how it goes."""


def run_folder(root: Path, name: str) -> Path:
    return root / "runs" / name


def adapter_file(root: Path, name: str) -> Path:
    """Where a run of that name leaves its adapter in a set."""
    return run_folder(root, name) / f"{name}.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What a run is at its start: its settings and where each came from, the versions of programs, the base model and the
    device, its batches, its images by path and their digest, the paths held out, and what was said of validation."""

    settings: Mapping[str, Any]
    origins: Mapping[str, str]
    versions: Mapping[str, str]
    base: Mapping[str, Any]
    device: str
    steps: int
    images: Mapping[str, Mapping[str, Any]]
    digest: str
    held_out: Sequence[str]
    info: Sequence[str]


def write_run(folder: Path, run: RunStart) -> None:
    """Write both files at the start of a run; `finish_run` adds what came of it."""
    concepts = Counter(row["concept"] for row in run.images.values())
    document = {
        "settings": {
            key: {"value": value, "origin": run.origins.get(key, "default")} for key, value in run.settings.items()
        },
        "versions": dict(run.versions),
        "seeds": {"seed": run.settings["seed"]},
        "set": {
            "digest": run.digest,
            "images": len(run.images),
            "concepts": dict(sorted(concepts.items())),
            "held out": list(run.held_out),
            "info": list(run.info),
        },
        "base": dict(run.base),
        "device": run.device,
        "steps": run.steps,
        "started": _now(),
        "snapshots": [],
        "result": {},
    }
    write_text(folder / SET, by_image(run.images))
    _write(folder / RUN, document)


def images_of(examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
    """What the run was made of: for every image all that training reads of it."""
    return {
        example.entry.key: {
            "concept": example.concept,
            "content": example.image.content,
            "caption": example.caption,
            "repeats": example.entry.repeats,
            "size": list(example.entry.bucket),
            "crop": list(example.image.bucket.crop),
            "reg_images": [reg_image.image.content for reg_image in example.reg_images],
        }
        for example in examples
    }


def note_adapter(folder: Path, figures: Sequence[str]) -> None:
    """Put into run.json what the adapter is that trains, a text for each part of the model."""
    document = read_run(folder / RUN)
    document["adapter"] = list(figures)
    _write(folder / RUN, document)


def note_snapshots(folder: Path, snapshots: Sequence[Snapshot]) -> None:
    """Put the list of snapshots as it is now into run.json."""
    document = read_run(folder / RUN)
    document["snapshots"] = [snapshot.row() for snapshot in snapshots]
    _write(folder / RUN, document)


def finish_run(folder: Path, **result: Any) -> None:
    """Note what came of the run."""
    document = read_run(folder / RUN)
    document["result"] = {**result, "finished": _now()}
    _write(folder / RUN, document)


def read_run(file: Path) -> dict[str, Any]:
    """A run.json.

    Raises:
        PrepError: it is not there, or no run.json.
    """
    if not file.is_file():
        raise PrepError(f"there is no {file}", "give the run.json of a run, SET/runs/NAME/run.json")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if not all("value" in row for row in document["settings"].values()) or "set" not in document:
            raise ValueError("it has no settings or no set")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrepError(f"{file} is not a run.json: {error}", "give the run.json of a run") from error
    return dict(document)


def settings_again(file: Path) -> dict[str, Any]:
    """The settings of an earlier run as they resolved then, to be used again under another name."""
    document = read_run(file)
    values = {key: row["value"] for key, row in document["settings"].items() if key not in OWN}
    return {**values, "name": f"{document['settings']['name']['value']}-again"}


def differences(file: Path, now: Mapping[str, Any], images: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What is not as it was in the run of this run.json, in words.

    Args:
        now: what `write_run` wrote for the new run.
    """
    then = read_run(file)
    before = {key: row["value"] for key, row in then["settings"].items()}
    after = {key: row["value"] for key, row in now["settings"].items()}
    for key in sorted((before.keys() | after.keys()) - set(OWN)):
        if before.get(key) != after.get(key):
            yield f"{key} was {before.get(key)!r}, now {after.get(key)!r}"
    for what in ("versions", "base"):
        for key in sorted(then[what].keys() | now[what].keys()):
            if then[what].get(key) != now[what].get(key):
                yield f"{key} was {then[what].get(key)}, now {now[what].get(key)}"
    if then["device"] != now["device"]:
        yield f"the device was {then['device']}, now {now['device']}"
    if then["set"]["digest"] != now["set"]["digest"]:
        yield from _differing_images(file.parent / SET, images)


def _differing_images(file: Path, now: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not file.is_file():
        yield f"the set is another one; how it differs is not known without {file}"
        return
    then = json.loads(file.read_text(encoding="utf-8"))
    yield from _named("left the set", sorted(then.keys() - now.keys()))
    yield from _named("came into the set", sorted(now.keys() - then.keys()))
    changed = {path: _changed(then[path], now[path]) for path in sorted(then.keys() & now.keys())}
    yield from _named("differ", [f"{path} ({', '.join(what)})" for path, what in changed.items() if what])


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [key for key in now if json.loads(json.dumps(now[key])) != then.get(key)]


def _named(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield f"{len(names)} images {what}: {', '.join(names[:MOST_NAMED])}{more}"


def by_image(images: Mapping[str, Mapping[str, Any]]) -> str:
    """What set.json holds: JSON with a line for each image, in order of path: there can be very many, and json indents slowly."""
    dump = json.JSONEncoder(ensure_ascii=False).encode
    return "{\n" + ",\n".join(f" {dump(path)}: {dump(row)}" for path, row in sorted(images.items())) + "\n}\n"


def _write(file: Path, document: Mapping[str, Any]) -> None:
    write_text(file, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
