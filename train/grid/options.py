"""What a grid is asked for, as a person writes it; what may vary is a list of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PrepError
from train.adapters.names.block_weights import block_weights
from train.grid.axes import Axis, axis, numbers, replacements
from train.models.sampling.samplers import sampler_of
from train.models.text.prompts import Prompt

STRENGTHS = (-100.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Texts of every axis; an empty list is one value, the default.

    `adapters` are files with their names, None the base model alone; `prompts` with options of their own.
    """

    bases: Sequence[str]
    adapters: Sequence[tuple[str, Path | None]]
    prompts: Sequence[Prompt]
    strength: Sequence[str] = ()
    unet: Sequence[str] = ()
    text: Sequence[str] = ()
    blocks: Sequence[str] = ()
    replace: str = ""
    negative: Sequence[str] = ()
    seed: Sequence[str] = ()
    sampler: Sequence[str] = ()
    steps: Sequence[str] = ()
    guidance: Sequence[str] = ()
    clip_skip: Sequence[str] = ()


OF_PROMPTS = {"negative": "n", "seed": "d", "steps": "s", "guidance": "l", "sampler": "ss"}
"""Axis → the option by which a prompt says the same for itself."""


def axes_of(asked: Asked) -> list[Axis]:
    """Every axis, in the order in which they change.

    Raises:
        PrepError: a value is wrong, stands twice, or is set by a prompt too.
    """
    found = list(_axes(asked))
    for each in (each for each in found if each.varies and each.name in OF_PROMPTS):
        own = [prompt for prompt in asked.prompts if getattr(prompt, each.name) is not None]
        if own:
            raise PrepError(
                f"{each.name} varies, and the prompt {own[0].text!r} sets it by itself",
                f"leave --{OF_PROMPTS[each.name]} out of the prompt, or give one {each.name}",
            )
    return found


def _axes(asked: Asked) -> Iterator[Axis]:
    yield axis("base", asked.bases, _short(asked.bases))
    yield axis("adapter", [file for _, file in asked.adapters], [name for name, _ in asked.adapters])
    blocks = [text for text in asked.blocks if text] or [""]
    yield axis("blocks", [block_weights(text) if text else {} for text in blocks], [text or "all" for text in blocks])
    for name in ("strength", "unet", "text"):
        yield _numbers(name, getattr(asked, name) or ("1",), *STRENGTHS)
    yield axis("prompt", asked.prompts, [prompt.text for prompt in asked.prompts])
    pairs = replacements(asked.replace) if asked.replace else [("", "")]
    yield axis("replace", pairs, [new for _, new in pairs])
    yield axis("negative", list(asked.negative) or [""], [text or "(none)" for text in asked.negative or [""]])
    yield _numbers("seed", asked.seed or ("1000",), 0, 2**63 - 1, whole=True)
    samplers = [sampler_of(text) for text in asked.sampler or ("ddim",)]
    yield axis("sampler", [each.name for each in samplers], [" ".join(each.facts.values()) for each in samplers])
    yield _numbers("steps", asked.steps or ("25",), 1, 1000, whole=True)
    yield _numbers("guidance", asked.guidance or ("7",), 0, 100)
    yield _numbers("clip_skip", asked.clip_skip or ("1",), 1, 12, whole=True)


def _numbers(name: str, written: Sequence[str], low: float, high: float, whole: bool = False) -> Axis:
    values = numbers(name, written, low, high, whole)
    return axis(name, values, [f"{value:.12g}" if not whole else str(value) for value in values])


def _short(bases: Sequence[str]) -> list[str]:
    """Base models by the last part of their names, with the part before it where two are called the same; never by their
    whole path, as pages and sheets are shown to others."""
    parts = [
        base.removesuffix(".safetensors").removesuffix(".ckpt").replace("\\", "/").strip("/").split("/")
        for base in bases
    ]
    short = [part[-1] for part in parts]
    return [name if short.count(name) == 1 else "/".join(part[-2:]) for name, part in zip(short, parts, strict=True)]
