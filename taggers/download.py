"""The files of a tagger: from the hub at a pinned revision and only those needed, or from a folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from taggers.errors import TaggerError
from taggers.spec import OVERRIDES, ModelSpec

REVISION_LENGTH = 12


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a tagger's files lie on this machine."""

    model: Path
    labels: Path


def revision_of(spec: ModelSpec) -> str:
    """What pins the model's weights and labels, short: the hub revision, or a hash of the files in its folder.

    Raises:
        TaggerError: a file of the folder is not there.
    """
    if spec.repo:
        return spec.revision[:REVISION_LENGTH]
    files = _in_folder(spec)
    digest = hashlib.sha256()
    assert spec.folder is not None
    for file in (files.model, files.labels, spec.folder / OVERRIDES):
        if file.exists():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:REVISION_LENGTH]


def fetch(spec: ModelSpec) -> ModelFiles:
    """The model's files, downloaded if they are not on this machine yet. A download that broke off goes on.

    Raises:
        TaggerError: they are not there, or cannot be had.
    """
    if not spec.repo:
        return _in_folder(spec)
    return ModelFiles(_from_hub(spec, spec.model), _from_hub(spec, spec.labels))


def _in_folder(spec: ModelSpec) -> ModelFiles:
    assert spec.folder is not None
    files = ModelFiles(spec.folder / spec.model, spec.folder / spec.labels)
    missing = [file.name for file in (files.model, files.labels) if not file.is_file()]
    if missing:
        raise TaggerError(
            f"{spec.folder} has no {' and no '.join(missing)}",
            f"put {spec.model} and {spec.labels} there, or name a built-in tagger",
        )
    empty = [file.name for file in (files.model, files.labels) if not file.stat().st_size]
    if empty:
        raise TaggerError(
            f"{' and '.join(empty)} in {spec.folder} is empty",
            "a download that broke off leaves such files; fetch it again",
        )
    return files


def _from_hub(spec: ModelSpec, name: str) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    by_hand = (
        f"or fetch {spec.model} and {spec.labels} from https://huggingface.co/{spec.repo}/tree/{spec.revision} "
        "into a folder and give that folder as the model"
    )
    try:
        try:
            path = huggingface_hub.hf_hub_download(spec.repo, name, revision=spec.revision, local_files_only=True)
        except errors.LocalEntryNotFoundError:
            path = huggingface_hub.hf_hub_download(spec.repo, name, revision=spec.revision)
    except errors.LocalEntryNotFoundError as error:
        raise TaggerError(
            f"{name} of {spec.name} is not on this machine and the hub cannot be reached",
            f"go online once and run the same again, {by_hand}",
        ) from error
    except errors.GatedRepoError as error:
        raise TaggerError(
            f"{spec.repo} wants a login before it gives {name}", f"log in with: hf auth login, {by_hand}"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise TaggerError(
            f"the hub has no {name} in {spec.repo} at {spec.revision}", f"name another tagger, {by_hand}"
        ) from error
    except Exception as error:
        raise TaggerError(
            f"{name} of {spec.name} could not be fetched: {_first_line(error)}",
            f"run the same again, it goes on where it stopped, {by_hand}",
        ) from error
    file = Path(path)
    if not file.is_file() or not file.stat().st_size:
        raise TaggerError(f"{file} is empty", f"delete it and run the same again, {by_hand}")
    return file


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
