"""What each model wants and gives, declared: colour order and range do not show in a model's shape."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

from taggers.errors import TaggerError

Layout = Literal["NHWC", "NCHW"]
Channels = Literal["BGR", "RGB"]
Interpolation = Literal["bicubic", "bilinear", "lanczos"]
Activation = Literal["none", "sigmoid"]
LabelKind = Literal["csv", "lines"]

DEFAULT = "wd-swinv2-v3"
OVERRIDES = "model.toml"
USUAL = {"general": 0.35, "character": 0.85}
"""Thresholds for a model that publishes none: what most tools start with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One tagger. Pixels reach it as (x / 255 * scale - mean) / std in its channel order."""

    name: str
    repo: str = ""
    """Repository on the Hugging Face hub; "" where the files lie in `folder`."""
    revision: str = ""
    """Git commit or tag on the hub; "" is replaced by a hash of the files in `folder`."""
    folder: Path | None = None
    model: str = "model.onnx"
    labels: str = "selected_tags.csv"
    label_kind: LabelKind = "csv"
    layout: Layout = "NHWC"
    channels: Channels = "BGR"
    scale: float = 255.0
    """What a white pixel is before mean and std."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pad: tuple[int, int, int] | None = (255, 255, 255)
    """RGB colour around the picture that makes it square; None stretches it instead."""
    interpolation: Interpolation = "bicubic"
    side: int = 0
    """Input side in pixels, needed only where the model leaves it open."""
    output: str = ""
    """Name of the output; "" takes the one that is as wide as there are labels."""
    activation: Activation = "none"
    """What turns the output into probabilities."""
    declared: bool = True
    """False for a folder without model.toml: it is taken for a WD tagger only if its files look like one."""
    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(USUAL))
    """Category → probability from which a tag is said to hold, as published for this revision."""

    @property
    def preprocessing(self) -> str:
        """How pictures are prepared, as part of the identity of scores."""
        fit = "stretch" if self.pad is None else "pad-" + "".join(f"{part:02x}" for part in self.pad)
        return f"{fit}-{self.interpolation}-1"


def _wd(name: str, repo: str, revision: str, threshold: float) -> ModelSpec:
    """A tagger of the WD contract: NHWC, BGR, 0–255, sigmoid inside; `threshold` is where precision equals recall."""
    return ModelSpec(
        name=name, repo=f"SmilingWolf/{repo}", revision=revision, thresholds={"general": threshold, "character": 0.85}
    )


BUILT_IN = {
    spec.name: spec
    for spec in (
        _wd("wd-swinv2-v3", "wd-swinv2-tagger-v3", "627aef95638667ddcaa3ac8ae625e88ea5b02f51", 0.2653),
        _wd("wd-vit-v3", "wd-vit-tagger-v3", "7f6b584d0bd3f55c4531f14ba3d4761b2bccdc0f", 0.2614),
        _wd("wd-convnext-v3", "wd-convnext-tagger-v3", "d39e46de298d27340111b64965e20b8185c407e6", 0.2682),
        _wd("wd-vit-large-v3", "wd-vit-large-tagger-v3", "ae469aa2e4706a3af08d3673cf73a11d1add314c", 0.2606),
        _wd("wd-eva02-large-v3", "wd-eva02-large-tagger-v3", "fa2b83fd2d68b3d994e22fed5859d7cc99e1cdb0", 0.5296),
        _wd("wd-moat-v2", "wd-v1-4-moat-tagger-v2", "8452cddf280b952281b6e102411c50e981cb2908", 0.3771),
        _wd("wd-swinv2-v2", "wd-v1-4-swinv2-tagger-v2", "cdb0c7fdc70646f0af29c6f80f8df564344a69b6", 0.3771),
        _wd("wd-convnextv2-v2", "wd-v1-4-convnextv2-tagger-v2", "v2.0", 0.3710),
        _wd("wd-convnext-v2", "wd-v1-4-convnext-tagger-v2", "v2.0", 0.3685),
        _wd("wd-vit-v2", "wd-v1-4-vit-tagger-v2", "v2.0", 0.3537),
        ModelSpec(
            name="miniature", folder=Path(__file__).parent / "miniature", thresholds={"general": 0.5, "character": 0.5}
        ),
    )
}


def find_spec(model: str) -> ModelSpec:
    """The spec of a built-in name, its hub repository, or a folder with model.onnx and selected_tags.csv.

    Raises:
        TaggerError: it is none of these, or the folder's model.toml cannot be understood.
    """
    for spec in BUILT_IN.values():
        if model in (spec.name, spec.repo):
            return spec
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _folder_spec(folder)
    near = difflib.get_close_matches(PurePath(model).name.replace("-tagger", "").replace("-v1-4", ""), BUILT_IN, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise TaggerError(
        f"no tagger called {model!r}, and no folder of that name",
        f"{meant}known: {', '.join(BUILT_IN)}; or give a folder with model.onnx and selected_tags.csv",
    )


def published_thresholds(name: str) -> Mapping[str, float] | None:
    """Category → threshold of a built-in model by its name; None for any other."""
    spec = BUILT_IN.get(name)
    return spec.thresholds if spec else None


def _folder_spec(folder: Path) -> ModelSpec:
    name, file = folder.resolve().name, folder / OVERRIDES
    if not file.exists():
        return ModelSpec(name=name, folder=folder, declared=False)
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TaggerError(
            f"{file} cannot be read: {error}", 'write it as UTF-8 TOML, such as: layout = "NCHW"'
        ) from error
    problems: list[str] = []
    values = {key: _value(key, value, problems) for key, value in given.items()}
    if problems:
        raise TaggerError(
            "\n".join(f"{file}: {problem}" for problem in problems), f"mend {file} and run the same again"
        )
    return ModelSpec(name=name, folder=folder, **values)


_CHOICES = {
    "label_kind": get_args(LabelKind),
    "layout": get_args(Layout),
    "channels": get_args(Channels),
    "interpolation": get_args(Interpolation),
    "activation": get_args(Activation),
}
_OTHERS = ("model", "labels", "scale", "mean", "std", "pad", "side", "output")
assert {*_CHOICES, *_OTHERS} <= {each.name for each in fields(ModelSpec)}


def _value(key: str, value: Any, problems: list[str]) -> Any:
    """A value of model.toml as the spec holds it; what is wrong goes to `problems`."""
    expected = ""
    if key in _CHOICES:
        expected = "" if value in _CHOICES[key] else "one of " + ", ".join(_CHOICES[key])
    elif key not in _OTHERS:
        expected = "one of these keys: " + ", ".join((*_CHOICES, *_OTHERS))
    elif key in ("model", "labels"):
        expected = (
            ""
            if isinstance(value, str)
            and value not in ("", "..")
            and PurePath(value).name == value
            and "\\" not in value
            else "the name of a file in the same folder"
        )
    elif key in ("mean", "std"):
        good = _numbers(value) and len(value) == 3 and (key == "mean" or all(part > 0 for part in value))
        expected = "" if good else "three numbers, in RGB order" + (", above 0" if key == "std" else "")
    elif key == "pad":
        good = _numbers(value) and len(value) == 3 and all(part in range(256) for part in value)
        expected = "" if good or value is False else "three whole numbers 0 to 255 in RGB order, or false to stretch"
    elif key == "scale":
        expected = "" if _numbers([value]) and value > 0 else "a number above 0, such as 255 or 1"
    elif key == "side":
        expected = "" if type(value) is int and 16 <= value <= 4096 else "pixels, 16 to 4096"
    elif key == "output":
        expected = "" if isinstance(value, str) else "a text in quotes"
    if expected:
        problems.append(f"{key} = {value!r}: expected {expected}")
    if expected or not isinstance(value, list):
        return None if key == "pad" else value
    return tuple(int(part) if key == "pad" else float(part) for part in value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, int | float) and not isinstance(part, bool) and abs(part) < 1e9 for part in value
    )
