"""Where the vocabulary of CLIP lies, which single files lack; no torch here."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import PrepError

FILES = ("vocab.json", "merges.txt")
FIRST = "openai/clip-vit-large-patch14"
PINNED = "32bd64288804d66eefd0ccbe215aa642df71cc41"
"""The repository that is asked where no vocabulary is on this machine, and its revision."""
SOURCES = (
    (FIRST, ""),
    ("stable-diffusion-v1-5/stable-diffusion-v1-5", "tokenizer/"),
    ("stabilityai/stable-diffusion-xl-base-1.0", "tokenizer/"),
    ("stabilityai/stable-diffusion-2-1", "tokenizer/"),
    ("stabilityai/stable-diffusion-2-1-base", "tokenizer/"),
    ("runwayml/stable-diffusion-v1-5", "tokenizer/"),
    ("CompVis/stable-diffusion-v1-4", "tokenizer/"),
)
"""Hub repositories that hold the one vocabulary of all of SD's text encoders, and the folder there."""
HINT = "give a folder that holds vocab.json and merges.txt, such as the tokenizer folder of any SD model: tokenizer = FOLDER"


def vocabulary_folder(location: Path, given: Path | None = None, download: bool = True) -> Path:
    """The folder with the vocabulary: the one `given`, a model folder's own, `tokenizer` beside a single file, one in the
    hub's cache, or what is downloaded from the hub.

    Args:
        location: a base model's folder or single file.

    Raises:
        PrepError: the given one is none, or none can be had (or, without `download`, none is on this machine).
    """
    if given is not None:
        for folder in (given, given / "tokenizer"):
            if _holds(folder):
                return folder
        raise PrepError(f"tokenizer {given} holds no {' and '.join(FILES)}", HINT)
    if location.is_dir():
        return location / "tokenizer"
    if _holds(location.parent / "tokenizer"):
        return location.parent / "tokenizer"
    return _cached() or _downloaded(location, download)


def _holds(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _cached() -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for repository, folder, revision in ((FIRST, "", PINNED), *((*source, None) for source in SOURCES)):
        found = [try_to_load_from_cache(repository, f"{folder}{name}", revision=revision) for name in FILES]
        if all(isinstance(path, str) for path in found) and len({Path(str(path)).parent for path in found}) == 1:
            return Path(str(found[0])).parent
    return None


def _downloaded(location: Path, download: bool) -> Path:
    missing = f"{location} is a single file, which holds no tokenizer, and none is on this machine"
    if not download:
        raise PrepError(missing, HINT)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        files = [Path(hf_hub_download(FIRST, name, revision=PINNED)) for name in FILES]
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise PrepError(f"{missing}; {FIRST} cannot be downloaded: {str(error).splitlines()[0]}", HINT) from error
    return files[0].parent
