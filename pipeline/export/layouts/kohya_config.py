"""dataset.toml, the file that kohya-ss/sd-scripts takes with --dataset_config.

Its schema is strict: sizes belong to [[datasets]], folders to [[datasets.subsets]], and an unknown key ends the run
(docs/config_README of kohya-ss/sd-scripts).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.export.naming import CAPTION
from pipeline.images.buckets.buckets import sides


@dataclass(frozen=True, slots=True)
class Subset:
    """A folder of images, `folder` below the export. `class_tokens` stands in for captions that are not there."""

    folder: str
    repeat: int
    keep_tokens: int
    class_tokens: str | None
    is_regularization: bool = False


def dataset_toml(folder: Path, bucket: Mapping[str, Any] | None, shuffle: bool, subsets: Iterable[Subset]) -> str:
    """The text of dataset.toml for an export in `folder`; `bucket` holds the options of `prep bucket`, if it ran."""
    lines = [
        "# For kohya-ss/sd-scripts: accelerate launch train_network.py --dataset_config dataset.toml ...",
        "# sd-scripts needs whole paths. After moving this folder, export again or mend image_dir.",
        "",
        "[general]",
        f"caption_extension = {quoted(CAPTION)}",
        f"shuffle_caption = {_bool(shuffle)}",
        "",
        "[[datasets]]",
        *(_sizes(bucket) if bucket else ["# no sizes: prep bucket has not run"]),
    ]
    for subset in subsets:
        lines += ["", "[[datasets.subsets]]", *_subset(folder, subset, shuffle)]
    return "\n".join(lines) + "\n"


def _sizes(bucket: Mapping[str, Any]) -> list[str]:
    resolution, step = bucket["resolution"], bucket["bucket_reso_steps"]
    shortest, longest = sides(resolution, step, bucket["min_bucket_reso"], bucket["max_bucket_reso"])
    return [
        f"resolution = {resolution}",
        f"batch_size = {bucket['batch_size']}",
        "enable_bucket = true",
        f"min_bucket_reso = {shortest}",
        f"max_bucket_reso = {longest}",
        f"bucket_reso_steps = {step}",
        f"bucket_no_upscale = {_bool(not bucket['upscale'])}",
    ]


def _subset(folder: Path, subset: Subset, shuffle: bool) -> list[str]:
    lines = [
        f"image_dir = {quoted((folder / subset.folder).as_posix())}",
        f"num_repeats = {subset.repeat}",
        f"caption_extension = {quoted(CAPTION)}",
        f"shuffle_caption = {_bool(shuffle)}",
        f"keep_tokens = {subset.keep_tokens}",
    ]
    if subset.class_tokens is not None:
        lines.append(f"class_tokens = {quoted(subset.class_tokens)}")
    if subset.is_regularization:
        lines.append("is_reg = true")
    return lines


def quoted(text: str) -> str:
    """A text as a TOML basic string: JSON's escapes are TOML's too, and DEL needs one of its own."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _bool(value: bool) -> str:
    return "true" if value else "false"
