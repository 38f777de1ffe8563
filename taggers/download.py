"""The files of a tagger: from the hub at a pinned revision and only those needed, or from a folder."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from taggers.errors import TaggerError
from taggers.families import BUILT_IN
from taggers.spec import OVERRIDES, ModelSpec

REVISION_LENGTH = 12
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a tagger's files lie on this machine, and the SHA-256 of its model. `preprocess` is None where none is."""

    model: Path
    labels: Path
    preprocess: Path | None
    sha256: str


def is_pinned(spec: ModelSpec) -> bool:
    """Whether its name alone says which files are meant: a folder on this machine, or a commit on the hub."""
    return not spec.repo or bool(_COMMIT.fullmatch(spec.revision))


def pinned(spec: ModelSpec, known: str = "") -> ModelSpec:
    """The spec with the commit its revision stands for: `known` if given, else what the hub, or its cache, says.

    Raises:
        TaggerError: the hub cannot be reached and nothing of it is on this machine, or it has no such revision.
    """
    if is_pinned(spec):
        return spec
    return replace(spec, revision=known if _COMMIT.fullmatch(known) else _commit(spec))


def revision_of(spec: ModelSpec) -> str:
    """What pins the model's weights and labels: a commit, short where it is built in, or a hash of a folder's files.

    Raises:
        TaggerError: a file of the folder is not there.
    """
    if spec.repo:
        built_in = BUILT_IN.get(spec.name)
        return spec.revision[:REVISION_LENGTH] if built_in and built_in.revision == spec.revision else spec.revision
    files = _in_folder(spec)
    assert spec.folder is not None
    beside = sorted(spec.folder.glob(f"{spec.model}*data"))
    digest = hashlib.sha256()
    for file in (files.model, files.labels, files.preprocess, spec.folder / OVERRIDES, *beside):
        if file is not None and file.exists():
            digest.update(bytes.fromhex(sha256_of(file)))
    return digest.hexdigest()[:REVISION_LENGTH]


def published_sha256(spec: ModelSpec) -> str:
    """The SHA-256 of the model file as far as it is known before it is fetched; "" where it is not."""
    return spec.checksums.get(spec.model, "") if spec.repo else _in_folder(spec).sha256


def fetch(spec: ModelSpec) -> ModelFiles:
    """The model's files, downloaded if they are not on this machine yet. A download that broke off goes on.

    Raises:
        TaggerError: they are not there, cannot be had, or are not the files that were published.
    """
    if not spec.repo:
        return _in_folder(spec)
    model, labels = _from_hub(spec, spec.model), _from_hub(spec, spec.labels)
    preprocess = _from_hub(spec, spec.preprocess) if spec.preprocess else None
    return ModelFiles(model, labels, preprocess, sha256_of(model))


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes in hex; a file that did not change is read once."""
    known = file.stat()
    return _sha256(file, known.st_size, known.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _sha256(file: Path, size: int, modified: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _in_folder(spec: ModelSpec) -> ModelFiles:
    assert spec.folder is not None
    names = (spec.model, spec.labels, *([spec.preprocess] if spec.preprocess else []))
    files = [spec.folder / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise TaggerError(
            f"{spec.folder} has no {' and no '.join(missing)}",
            f"put {' and '.join(names)} there, or name a built-in tagger",
        )
    empty = [file.name for file in files if not file.stat().st_size]
    if empty:
        raise TaggerError(
            f"{' and '.join(empty)} in {spec.folder} is empty",
            "a download that broke off leaves such files; fetch it again",
        )
    return ModelFiles(files[0], files[1], files[2] if spec.preprocess else None, sha256_of(files[0]))


def _from_hub(spec: ModelSpec, name: str) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        try:
            path = huggingface_hub.hf_hub_download(spec.repo, name, revision=spec.hub_revision, local_files_only=True)
        except errors.LocalEntryNotFoundError:
            path = huggingface_hub.hf_hub_download(spec.repo, name, revision=spec.hub_revision)
    except Exception as error:
        raise _refusal(spec, name, error) from error
    file = Path(path)
    if not file.is_file() or not file.stat().st_size:
        raise TaggerError(f"{file} is empty", f"delete it and run the same again, {_by_hand(spec)}")
    published = spec.checksums.get(name, "")
    if published and sha256_of(file) != published:
        raise TaggerError(
            f"{file} is not the file that was published: its SHA-256 is {sha256_of(file)}, not {published}",
            f"delete {file.resolve()} and run the same again, {_by_hand(spec)}",
        )
    return file


def _commit(spec: ModelSpec) -> str:
    """The commit that a branch or tag of the hub stands for, asked there, or remembered from when it was asked."""
    import huggingface_hub

    try:
        return str(huggingface_hub.HfApi().model_info(spec.repo, revision=spec.hub_revision).sha)
    except Exception as error:
        try:
            snapshot = huggingface_hub.hf_hub_download(
                spec.repo, spec.labels, revision=spec.hub_revision, local_files_only=True
            )
        except Exception:
            raise _refusal(spec, spec.labels, error) from error
        return next(part for part in reversed(Path(snapshot).parts) if _COMMIT.fullmatch(part))


def _refusal(spec: ModelSpec, name: str, error: Exception) -> TaggerError:
    """Why the hub does not give a file, and what to do."""
    from huggingface_hub import errors

    by_hand = _by_hand(spec)
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return TaggerError(
            f"{name} of {spec.name} is not on this machine and the hub cannot be reached",
            f"go online once and run the same again, {by_hand}",
        )
    if isinstance(error, errors.GatedRepoError):
        return TaggerError(
            f"{spec.repo} wants a login before it gives {name}",
            f"ask for access at https://huggingface.co/{spec.repo}, then log in with: hf auth login, {by_hand}",
        )
    if isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError | errors.EntryNotFoundError):
        return TaggerError(
            f"the hub has no {name} in {spec.repo} at {spec.hub_revision}", f"name another tagger, {by_hand}"
        )
    return TaggerError(
        f"{name} of {spec.name} could not be fetched: {_first_line(error)}",
        f"run the same again, it goes on where it stopped, {by_hand}",
    )


def _by_hand(spec: ModelSpec) -> str:
    names = [spec.model, spec.labels, *([spec.preprocess] if spec.preprocess else [])]
    like = f' with a {OVERRIDES} that says like = "{spec.name}"' if spec.name in BUILT_IN else ""
    return (
        f"or fetch {' and '.join(names)} from https://huggingface.co/{spec.repo}/tree/{spec.hub_revision} "
        f"into a folder{like} and give that folder as the model"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
