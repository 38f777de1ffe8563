"""Adapters that a prompt names, as A1111, Forge and sd-webui-lora-block-weight write them: `<lora:NAME:TEXT:UNET:lbw=OUTD>`.

The first number is the text encoders' strength, the second the UNet's, which is the first one's where it is not given;
`te=`, `unet=` and `lbw=` name theirs. `<lyco:…>` means the same. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.core.errors import PrepError
from train.adapters.names.block_weights import block_weights

NETWORK = re.compile(r"<(\w{1,32}):([^<>]{0,2000})>")
BLANKS = re.compile(r"[ \t]{2,}")
NAMED = {"te": "te", "unet": "unet", "lbw": "lbw", "w": "lbw", "lwb": "lbw"}
UNKNOWN = {
    "dyn": "a rank of its own is not set here; give a file of that rank: prep adapter resize",
    "start": "an adapter acts at all steps here",
    "stop": "an adapter acts at all steps here",
    "step": "an adapter acts at all steps here",
    "lbwe": "weights are those of blocks here, not of their elements",
}


@dataclass(frozen=True, slots=True)
class PromptAdapter:
    """An adapter named in a prompt, its strengths, and those of its blocks."""

    name: str
    text_encoder: float = 1.0
    unet: float = 1.0
    blocks: Mapping[str, float] = field(default_factory=dict)


def without_adapters(prompt: str) -> tuple[str, tuple[PromptAdapter, ...]]:
    """The prompt's text, and the adapters that it names.

    Raises:
        PrepError: it names another kind of network, or one in a way that is not understood.
    """
    found = tuple(_read(match) for match in NETWORK.finditer(prompt))
    if not found:
        return prompt, ()
    text = BLANKS.sub(" ", NETWORK.sub("", prompt)).strip()
    text = re.sub(r"(?:,\s*){2,}", ", ", text).strip().strip(",").strip()
    return text, found


def _read(match: re.Match[str]) -> PromptAdapter:
    written, kind = match[0], match[1].lower()
    if kind not in ("lora", "lyco"):
        raise PrepError(f"{written}: {kind} is no network that is read here", "known: <lora:NAME:STRENGTH>")
    name, *items = match[2].split(":")
    if not name.strip():
        raise PrepError(f"{written} names no adapter", "write <lora:NAME:STRENGTH>")
    values = dict(_items(items, written))
    text = _strength(values.get("te", "1"), written)
    unet = _strength(values["unet"], written) if "unet" in values else text
    return PromptAdapter(name.strip(), text, unet, block_weights(values["lbw"]) if "lbw" in values else {})


def _items(items: list[str], written: str) -> Iterator[tuple[str, str]]:
    """Named items, and those that go by their place: text encoders, UNet."""
    places, seen = iter(("te", "unet")), set[str]()
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            name, value = next(places, ""), item
        if equals and name in UNKNOWN:
            raise PrepError(f"{written}: {name}=: {UNKNOWN[name]}", "leave it out")
        name = NAMED.get(name, "")
        if not name:
            raise PrepError(f"{written}: {item!r} is not understood", "write <lora:NAME:TEXT:UNET:lbw=PRESET>")
        if name in seen:
            raise PrepError(f"{written}: {name} is given twice", "leave one out")
        seen.add(name)
        yield name, value


def _strength(value: str, written: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not -100 <= found <= 100:
        raise PrepError(f"{written}: {value!r} is no strength", "write <lora:NAME:0.8>, with a number from -100 to 100")
    return found
