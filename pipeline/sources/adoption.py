"""Generated images that a person takes into a set: what made each, by its generation text, and where it goes.

The text is the PNG chunk `parameters`, as prep and the web UIs write it: the prompt, perhaps a line with the negative one, and a
last line of `Key: value` pairs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pipeline.core.caption_text import read_caption_text
from pipeline.core.errors import PrepError
from pipeline.core.files import file_digest, write_text

CHUNK = "parameters"
PAIRS = re.compile(r'\s*([\w][\w \-/]{0,40}):\s*("(?:[^"\\]|\\.){0,4000}"|[^,]{0,400})(?:,|$)')
CALL = re.compile(r"<lora:([^:<>]{1,200})")


@dataclass(frozen=True, slots=True)
class Made:
    """A generated image: its caption, which is its prompt as training reads it, and what made it."""

    file: Path
    caption: str
    by: str


def made(file: Path) -> Made:
    """What a generated image says of itself.

    Raises:
        PrepError: it is no image, says nothing, or no adapter had a part in it.
    """
    try:
        with Image.open(file) as image:
            text = str(image.info.get(CHUNK, ""))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise PrepError(
            f"{file} is no image that can be read: {error}", "give images that prep or a web UI made"
        ) from error
    if not text.strip():
        raise PrepError(
            f"{file} does not say what made it", "bring it in with a caption beside it: prep flatten FOLDER SET"
        )
    last = text.strip().rpartition("\n")[2]
    facts = {key.strip(): value.strip().strip('"') for key, value in PAIRS.findall(last)}
    by = _made_by(facts if "Steps" in facts else {}, text)
    if not by:
        raise PrepError(
            f"{file} was made by the base model alone",
            "what it knows already teaches nothing new; give images of an adapter",
        )
    caption = read_caption_text(text).text
    if not caption:
        raise PrepError(
            f"{file} has an empty prompt, which would be its caption", "bring it in with a caption beside it"
        )
    return Made(file, caption, by)


def _made_by(facts: dict[str, str], text: str) -> str:
    """The adapter's name, "" where none had a part in the image."""
    if "Adapters" in facts:
        return facts["Adapters"]
    if "Adapter" in facts:
        return facts["Adapter"] if float(facts.get("Adapter strength") or 1) else ""
    if "Training step" in facts:
        return f"step {facts['Training step']}"
    return ", ".join(CALL.findall(text))


def folder_of(root: Path, concept: str, repeats: int) -> Path:
    """Where adopted images of a concept lie: beside the set, in a folder that says how often they are shown."""
    number = f"{repeats}_" if repeats > 1 else ""
    return root.resolve().parent / f"{root.resolve().name} adopted" / f"{number}{concept}"


def adopt(images: Sequence[Made], folder: Path) -> Iterator[Path]:
    """Copy images, each with its caption, into the folder; one that is there already stays, with the caption it has."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        target = folder / f"{image.file.stem[:80]} {file_digest(image.file)[:8]}.png"
        if not target.exists():
            shutil.copyfile(image.file, target)
            write_text(target.with_suffix(".txt"), image.caption + "\n")
        yield target
