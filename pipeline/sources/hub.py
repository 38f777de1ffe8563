"""Folders of dataset repositories on the Hugging Face hub as sources: `hf://datasets/OWNER/NAME@REVISION/FOLDER`.

A source is remembered with the commit it stood at, so that the same set can be made again. Files come through
huggingface_hub into its own cache, once; only images and what may lie beside them are fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from pipeline.core.errors import PrepError
from pipeline.core.files import write_text
from pipeline.sources.source_file import ARCHIVES, CAPTIONS, DATA, EXTENSIONS, Found, concept_at, kind_of
from pipeline.store.reasons.placement import PlacementReason
from pipeline.store.reasons.reason import Cause

ProgressCallback = Callable[[str, int, int], None]
SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?(?:/(?P<folder>.*))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
FORM = "hf://datasets/OWNER/NAME, with @REVISION and /FOLDER as needed"


@dataclass(frozen=True, slots=True)
class Address:
    """A folder of a dataset repository, or an archive in it. `revision` is "" when none was named."""

    repo: str
    revision: str = ""
    folder: str = ""

    @property
    def pinned(self) -> bool:
        return bool(_COMMIT.fullmatch(self.revision))

    @property
    def is_archive(self) -> bool:
        return self.folder.lower().endswith(ARCHIVES)

    @property
    def root(self) -> str:
        """The repository at its revision, without the folder."""
        return f"hf://datasets/{self.repo}" + (f"@{quote(self.revision, safe='')}" if self.revision else "")

    def __str__(self) -> str:
        return self.root + (f"/{self.folder}" if self.folder else "")


def is_address(source: str) -> bool:
    return source.startswith(SCHEME)


def address(source: str) -> Address:
    """Read a source's address.

    Raises:
        PrepError: it is not that of a dataset repository.
    """
    found = _ADDRESS.fullmatch(source)
    folder = "/".join(part for part in (found["folder"] or "").split("/") if part) if found else ""
    if not found or ".." in folder.split("/"):
        raise PrepError(f"{source} is no address of a dataset repository", f"write it as {FORM}")
    return Address(found["repo"], unquote(found["revision"] or ""), folder)


def pinned(source: str) -> str:
    """The address with the commit that its revision (main, if none is named) stands for now.

    Raises:
        PrepError: the repository or the revision cannot be found, or wants a login.
    """
    where = address(source)
    return str(where if where.pinned else replace(where, revision=_commit(where)))


def _commit(where: Address) -> str:
    import huggingface_hub

    try:
        return str(huggingface_hub.HfApi().dataset_info(where.repo, revision=where.revision or None).sha)
    except Exception as error:
        try:
            snapshot = huggingface_hub.snapshot_download(
                where.repo, repo_type="dataset", revision=where.revision or None, local_files_only=True
            )
        except Exception:
            _refuse(where, error)
        return Path(snapshot).name


def scan(source: str, cache: Path, progress: ProgressCallback = lambda *_: None) -> Iterator[Found]:
    """Everything below the folder, fetched if it is not on this machine yet.

    Raises:
        PrepError: it cannot be had.
    """
    where = address(source)
    snapshot, left_out = fetch(source, cache, progress)
    top = Path(snapshot) / where.folder
    for folder, below, names in os.walk(top):
        below.sort()
        parts = Path(folder).relative_to(top).parts
        concept = concept_at(parts, where.folder.rpartition("/")[2] or where.repo.rpartition("/")[2])
        for name in sorted(names):
            path = "/".join((str(where), *parts, name))
            real = os.path.realpath(Path(folder) / name)
            kind, problem = kind_of(name)
            try:
                size = Path(real).stat().st_size
            except OSError as error:
                size, kind, problem = 0, "", Cause(PlacementReason.UNREADABLE, {"why": error.strerror})
            yield Found(path, concept, kind, size, problem=problem, file=real)
    for name in left_out:
        kind, problem = kind_of(name.rpartition("/")[2])
        parts = tuple(name.removeprefix(where.folder).strip("/").split("/")[:-1])
        yield Found(
            f"{where.root}/{name}",
            concept_at(parts, where.folder),
            problem=problem or Cause(PlacementReason.NOT_AN_IMAGE),
        )


def fetch(source: str, cache: Path, progress: ProgressCallback = lambda *_: None) -> tuple[str, list[str]]:
    """Where the files of a pinned address lie, and which files of its folder were left on the hub.

    Args:
        source: the pinned address.
        cache: the folder in which it is noted what was fetched.
    Raises:
        PrepError: it names no commit, or cannot be fetched.
    """
    where = address(source)
    if not where.pinned:
        raise PrepError(
            f"the source {source} does not name a commit, so it may change",
            f"write it as {pinned(source)} in prep.toml",
        )
    note = cache / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.json"
    noted = _noted(note)
    if noted is not None:
        return noted
    snapshot, listed = _download(where, progress)
    if not (Path(snapshot) / where.folder).exists():
        raise PrepError(
            f"{where.root} has no {where.folder or 'files that are wanted'}", "look at its files on the hub"
        )
    below = f"{where.folder}/" if where.folder else ""
    left_out = [name for name in listed if name.startswith(below) and not (Path(snapshot) / name).exists()]
    if listed:
        write_text(note, json.dumps({"source": source, "snapshot": snapshot, "left_out": left_out}))
    return snapshot, left_out


def _noted(note: Path) -> tuple[str, list[str]] | None:
    """What was fetched before, if it is still there."""
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        return (noted["snapshot"], noted["left_out"]) if Path(noted["snapshot"]).is_dir() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _download(where: Address, progress: ProgressCallback) -> tuple[str, list[str]]:
    """Fetch what is wanted; where it lies, and every file of the repository (none when the hub cannot be reached)."""
    import huggingface_hub
    from huggingface_hub import errors

    wanted: dict[str, Any] = {"repo_type": "dataset", "revision": where.revision, "allow_patterns": _patterns(where)}
    try:
        siblings = huggingface_hub.HfApi().dataset_info(where.repo, revision=where.revision).siblings or ()
        bars = _bars(progress, where.repo)
        snapshot = huggingface_hub.snapshot_download(where.repo, **wanted, tqdm_class=bars)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        _refuse(where, error)
    except Exception as error:
        return _cached(where, wanted, error), []
    return snapshot, [file.rfilename for file in siblings]


def _cached(where: Address, wanted: dict[str, Any], error: Exception) -> str:
    """The files as they lie on this machine, when the hub cannot be reached."""
    import huggingface_hub

    try:
        snapshot: str = huggingface_hub.snapshot_download(where.repo, **wanted, local_files_only=True)
    except Exception:
        _refuse(where, error)
    if not (Path(snapshot) / where.folder).exists():
        _refuse(where, error)
    return snapshot


def _bars(progress: ProgressCallback, repo: str) -> Any:
    """Progress bars that draw nothing and tell `progress` how many files are here."""
    from tqdm.auto import tqdm

    class Bars(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.done, self.files = 0, 0 if "unit" in options else int(options.get("total") or 0)
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "disable": True})

        def __iter__(self) -> Iterator[Any]:
            for each in super().__iter__():
                self.update(1)
                yield each

        def update(self, n: float | None = 1) -> bool | None:
            if self.files:
                self.done += int(n or 0)
                progress(f"fetching {repo}", self.done, self.files)
            return None

    return Bars


def _patterns(where: Address) -> list[str]:
    """Patterns of the files to fetch, in any case: `images/*.[pP][nN][gG]`."""
    if where.is_archive:
        return [_literal(where.folder)]
    start = _literal(where.folder) + "/" if where.folder else ""
    endings = (
        "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in end) for end in (*EXTENSIONS, *CAPTIONS, *DATA)
    )
    return sorted(f"{start}*{ending}" for ending in endings)


def _literal(name: str) -> str:
    return re.sub(r"([\[*?])", r"[\1]", name)


def _refuse(where: Address, error: Exception) -> NoReturn:
    """Say why a repository cannot be had, and what to do."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/datasets/{where.repo}"
    if isinstance(error, errors.GatedRepoError):
        raise PrepError(f"{where.repo} wants a login", f"ask for access at {page}, then log in with: hf auth login")
    if isinstance(error, errors.RepositoryNotFoundError):
        raise PrepError(
            f"the hub has no dataset {where.repo}, or does not show it", "see its name; if it is private: hf auth login"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        raise PrepError(f"{where.repo} has no revision {where.revision}", f"choose one of {page}/commits/main")
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise PrepError(
        f"{where} is not on this machine and the hub cannot be reached: {first}",
        "go online and run the same again; it goes on where it stopped",
    ) from error
