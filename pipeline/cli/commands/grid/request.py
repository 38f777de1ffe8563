"""What a person asked a grid for, with what the set gives where nothing is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.commands.grid.source import Source
from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError

if TYPE_CHECKING:
    from train.grid.options import Asked
    from train.grid.plan import Common
    from train.models.text.prompts import Prompt

SIZE = re.compile(r"(\d{1,5})[x×](\d{1,5})")


def request_of(source: Source, given: Mapping[str, Any]) -> tuple[Asked, Common]:
    """The texts of every axis, and what all images have in common."""
    from train.grid.options import Asked
    from train.grid.plan import Common, clip_skip_of
    from train.models.options import ModelOptions, PrecisionOptions

    run = source.run
    if not given["bases"] and run is None:
        raise PrepError("there is no base model to paint with", "give --base MODEL, or a SET with a trained run")
    models = {base: ModelOptions(base=base) for base in given["bases"]}
    if run is not None and not models:
        models = {run.recipe.model.base: run.recipe.model}
    adapters = _adapters(source, given["adapters"])
    files = [file for _, file in adapters if file is not None]
    skip = run.recipe.text.clip_skip if run is not None else clip_skip_of(files) if files else 1
    axes = ("strength", "unet", "text", "blocks", "negative", "seed", "sampler", "steps", "guidance")
    asked = Asked(
        bases=list(models),
        adapters=adapters,
        prompts=_prompts(source, given),
        replace=given["replace"],
        clip_skip=given["clip_skip"] or (str(skip),),
        **{name: given[name] for name in axes},
    )
    precision = run.recipe.precision if run is not None else PrecisionOptions()
    if given["mixed_precision"] != "auto" or given["vram"] is not None or run is None:
        precision = PrecisionOptions(mixed_precision=given["mixed_precision"], vram=given["vram"])
    common = Common(
        models=models,
        named=_finder(files, given["folders"]),
        size=_size(given["size"]) or source.size,
        precision=precision,
        rescale=given["rescale"],
        batch_size=given["batch_size"],
        device=given["device"],
    )
    return asked, common


def _adapters(source: Source, wanted: Sequence[str]) -> list[tuple[str, Path | None]]:
    """Names and files: those asked for, else the run's snapshots, else the base model alone."""
    saved = dict(source.run.adapters) if source.run is not None else {}
    if not wanted:
        return list(saved.items()) or [("none", None)]
    found: list[tuple[str, Path | None]] = []
    for text in wanted:
        file = Path(text)
        if text == "none":
            found.append((text, None))
        elif text in saved:
            found.append((text, saved[text]))
        elif file.is_file():
            found.append((file.stem, file))
        elif file.is_dir():
            raise PrepError(f"{text} is a folder", "give an adapter's .safetensors file")
        else:
            raise PrepError(
                f"there is no adapter {text!r}{suggest(text, ('none', *saved))}", "give a file, or one of these"
            )
    names = [name for name, _ in found]
    return [
        (f"{file.resolve().parent.name}/{name}" if file is not None and names.count(name) > 1 else name, file)
        for name, file in found
    ]


def _prompts(source: Source, given: Mapping[str, Any]) -> tuple[Prompt, ...]:
    from pipeline.tags.formats.prompts import default_prompt
    from train.models.text.prompts import Prompt, asked_prompts

    prompts = asked_prompts(given["prompts"], given["prompts_file"], "--prompt", networks=True)
    prompts = prompts or tuple(Prompt(default_prompt(trigger, source.format)) for trigger in source.triggers)
    if not prompts:
        raise PrepError("there is nothing to paint", "give --prompt, such as: --prompt '1girl, TRIGGER'")
    return prompts


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = SIZE.fullmatch(text.strip().lower())
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(8 <= side <= 8192 for side in sides):
        raise PrepError(f"--size {text} is no size", "write it as 512x768, width first, sides from 8 to 8192")
    return sides


def _finder(files: Sequence[Path], folders: Sequence[Path]) -> Callable[[str], Path]:
    """Finds the file of `<lora:NAME>`: one of the adapters given, or NAME.safetensors in a folder."""

    def find(name: str) -> Path:
        named = [file for file in files if file.stem == name]
        if name == Path(name).name and not named:
            named = [folder / f"{name}.safetensors" for folder in folders if (folder / f"{name}.safetensors").is_file()]
        if not named:
            where = ", ".join(map(str, folders)) or "the adapters given"
            raise PrepError(f"<lora:{name}>: there is no {name}.safetensors in {where}", "give --lora-folder FOLDER")
        return named[0]

    return find
