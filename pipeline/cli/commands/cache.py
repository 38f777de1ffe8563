"""Show what is in the set's cache, what of it is unused, and what is damaged."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import console
from pipeline.cli.set_folder import SET
from pipeline.config.settings import options_for, settings_of
from pipeline.core.errors import PrepError
from pipeline.store.manifest import Manifest
from pipeline.store.opening import open_read, open_write

if TYPE_CHECKING:
    from train.options.recipe import Recipe

KINDS = {
    "latents": "images encoded by the VAE",
    "archives": "archives unpacked by prep flatten",
    "hub": "files downloaded by prep flatten",
    "thumbnails": "small images that prep review shows",
}
NAMED = 20
"""How many damaged files are named without --json."""


@dataclass(frozen=True, slots=True)
class Use:
    """Names of the latents that the set uses, or why that cannot be known; `warnings` are what was left aside."""

    names: frozenset[str] | None
    why: str = ""
    warnings: tuple[str, ...] = ()


@click.command(short_help="Show what is in the set's cache, what of it is unused, and what is damaged.")
@click.argument("root", metavar="SET", type=SET)
@click.option("--verify", is_flag=True, help="Read every latent and list those that do not match their checksum.")
@click.option(
    "--compare",
    is_flag=True,
    help="Encode every image again, with the base model of prep.toml, and list the latents that are of other pixels.",
)
@click.option(
    "--trim",
    is_flag=True,
    help="Remove unused latents, and with --compare those of other pixels; nothing else is touched.",
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON document to stdout.")
def command(root: Path, verify: bool, compare: bool, trim: bool, as_json: bool) -> None:
    """Show what is in the set's cache, what of it is unused, and what is damaged.

    A latent is in use if training needs it for a kept image, a regularization image or one of their augmented views, with
    the settings in prep.toml or those of a run that was not undone. The whole cache can be deleted: what is needed is made
    again.

    Latents of other pixels are those of a file that was edited after prep had hashed it, as earlier versions stored them.
    """
    with open_write(root, "cache") if trim else open_read(root) as manifest:
        use = used_latents(manifest)
        found = _looked_through(manifest, use, verify)
        found |= _compared(manifest, trim) if compare else {}
        found |= _trimmed(manifest, use) if trim else {}
    console.print_json(found) if as_json else _show(found)


def _looked_through(manifest: Manifest, use: Use, verify: bool) -> dict[str, Any]:
    from train.data.latent_files import lying

    folder = manifest.root / "cache"
    latents = lying(folder / "latents")
    unused = [] if use.names is None else [size for name, size in latents.items() if name not in use.names]
    found: dict[str, Any] = {
        "set": str(manifest.root),
        "kinds": [_counted(kind) for kind in _kinds(folder)],
        "latents": {
            "files": len(latents),
            "bytes": sum(latents.values()),
            "unused_files": None if use.names is None else len(unused),
            "unused_bytes": None if use.names is None else sum(unused),
            "unknown": use.why,
        },
        "warnings": [*use.warnings, *_foreign(folder / "latents", latents)],
    }
    return found | ({"damaged": _damaged(folder / "latents", len(latents))} if verify else {})


def _foreign(folder: Path, latents: Collection[str]) -> Iterator[str]:
    """Files among the latents that prep did not put there."""
    from train.data.latent_files import VAES, latent_file

    ours = {str(folder / VAES), *(str(latent_file(folder, name)) for name in latents)}
    others = sorted(entry.path for entry in _files(folder) if entry.path not in ours) if folder.is_dir() else []
    if others:
        yield f"{len(others)} files there were not made by prep and are left alone, such as {others[0]}"


def _kinds(folder: Path) -> list[Path]:
    return sorted(inner for inner in folder.iterdir() if inner.is_dir()) if folder.is_dir() else []


def _counted(kind: Path) -> dict[str, Any]:
    """Files and bytes below a folder; links are not followed."""
    sizes = [entry.stat(follow_symlinks=False).st_size for entry in _files(kind)]
    return {
        "kind": kind.name,
        "files": len(sizes),
        "bytes": sum(sizes),
        "what": KINDS.get(kind.name, "not made by prep"),
    }


def _files(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry


def _damaged(folder: Path, count: int) -> list[dict[str, str]]:
    from train.data.latent_files import latent_file, verify

    found = []
    with console.progress_bars() as progress:
        for done, (name, why) in enumerate(verify(folder), 1):
            if why:
                found.append({"file": str(latent_file(folder, name)), "why": why})
            if done % 100 == 0 or done == count:
                progress("checking latents", done, count)
    return found


def _compared(manifest: Manifest, remove: bool) -> dict[str, Any]:
    """Latents of other pixels than their image has; with `remove` they are taken away."""
    from train.inspection import other_pixels
    from train.options.recipe import Recipe

    recipe = options_for("train", Recipe, settings_of(manifest.root), {})
    with console.progress_bars() as progress:
        rows = [
            {"image": str(image.file), "file": str(file), "off": round(off, 2)}
            for image, file, off in other_pixels(manifest, recipe, progress)
        ]
    for row in rows if remove else ():
        Path(str(row["file"])).unlink(missing_ok=True)
    return {"of_other_pixels": rows}


# --- what is used


def used_latents(manifest: Manifest) -> Use:
    """What the set's images use under every recipe that may be trained, or resumed, again, by every VAE that was used
    with its base model."""
    from train.data.dataset import examples, views_to_cache
    from train.data.latent_files import latent_name, lying, vaes

    folder = manifest.root / "cache" / "latents"
    noted = vaes(folder)
    if not noted and lying(folder):
        return Use(None, f"{folder} no longer says which VAEs its latents are from")
    names: set[str] = set()
    try:
        recipes, warnings = _recipes(manifest)
        for recipe in recipes:
            images = views_to_cache(examples(manifest, recipe.dataset))
            for vae, bases in noted.items():
                names |= {latent_name(image, vae) for image in images if recipe.model.base in bases}
    except PrepError as error:
        return Use(None, error.message)
    return Use(frozenset(names), warnings=warnings)


def _recipes(manifest: Manifest) -> tuple[list[Recipe], tuple[str, ...]]:
    """The recipe of prep.toml and those of runs that were not undone, with notes on runs that cannot be read."""
    from train.options.recipe import Recipe, recipe_of

    found, warnings = [options_for("train", Recipe, settings_of(manifest.root), {})], []
    for run in manifest.runs():
        if run.stage == "train" and run.undone is None:
            try:
                recipe = recipe_of(run.options)
            except PrepError:
                warnings.append(
                    f"run {run.id} was made by another version of prep; latents that only it used count as unused"
                )
                continue
            if recipe not in found:
                found.append(recipe)
    return found, tuple(warnings)


def _trimmed(manifest: Manifest, use: Use) -> dict[str, Any]:
    from train.data.latent_files import trim

    if use.names is None:
        raise PrepError(
            f"cannot tell which latents are in use: {use.why}",
            f"fix that (prep train records its VAE again), or delete {manifest.root / 'cache' / 'latents'}; what is needed "
            "is made again",
        )
    removed = trim(manifest.root / "cache" / "latents", use.names)
    return {"removed": {"files": removed.files, "bytes": removed.bytes}}


# --- words


def _show(found: dict[str, Any]) -> None:
    from pipeline.core.humanize import in_words

    console.print_table([{**row, "bytes": in_words(row["bytes"])} for row in found["kinds"]])
    if not found["kinds"]:
        console.say("the cache is empty")
    latents = found["latents"]
    if latents["unknown"]:
        console.warn(f"cannot tell which latents are in use: {latents['unknown']}")
    else:
        console.say(
            f"{latents['unused_files']} of {latents['files']} latents are unused, {in_words(latents['unused_bytes'])}"
            + ("; remove them with --trim" if latents["unused_files"] and "removed" not in found else "")
        )
    for note in found["warnings"]:
        console.say(note)
    for row in found.get("damaged", ())[:NAMED]:
        console.warn(f"damaged: {row['file']}: {row['why']}")
    if "damaged" in found:
        if len(found["damaged"]) > NAMED:
            console.say(f"… and {len(found['damaged']) - NAMED} more; --json lists all of them")
        console.say(f"{len(found['damaged'])} latents are damaged; prep train makes those it needs again")
    for row in found.get("of_other_pixels", ())[:NAMED]:
        console.warn(f"of other pixels: {row['file']} is not what the VAE makes of {row['image']}")
    if "of_other_pixels" in found:
        count, removed = len(found["of_other_pixels"]), "removed" in found
        end = (
            "; they are removed, prep train makes those it needs again" if removed else "; remove them with --trim too"
        )
        console.say(f"{count} latents are of other pixels{end if count else ''}")
    if "removed" in found:
        console.say(f"removed {found['removed']['files']} latents, {in_words(found['removed']['bytes'])}")
