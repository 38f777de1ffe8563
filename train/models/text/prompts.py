"""Prompts to sample, as people write them for kohya-ss/sd-scripts: a text, then `--n negative --w width --h height
--d seed --s steps --l guidance`; line by line, or in its TOML and JSON files. No torch here."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError
from pipeline.core.files import read_limited
from pipeline.core.prompt_schedules import schedules
from pipeline.core.seeded import key_seed
from train.models.sampling.samplers import sampler_of

STEPS, GUIDANCE, MULTIPLE = 30, 7.5, 8
"""What sd-scripts takes where nothing is said, and what it cuts sides down to a multiple of."""
SEEDS = 2**63
OPTIONS = {"n": "negative", "w": "width", "h": "height", "d": "seed", "s": "steps", "l": "guidance", "ss": "sampler"}
KEYS = {
    "prompt": "text",
    "negative_prompt": "negative",
    "width": "width",
    "height": "height",
    "seed": "seed",
    "sample_steps": "steps",
    "scale": "guidance",
    "sample_sampler": "sampler",
}
TEXTS = ("text", "negative", "sampler")
LIMITS = {"width": (8, 8192), "height": (8, 8192), "seed": (0, SEEDS - 1), "steps": (1, 1000), "guidance": (0, 100)}
ELSEWHERE = {
    "am": "the adapter is sampled at full strength, and without it",
    "cn": "there is no ControlNet here",
    "ctr": "it is for Lumina models",
    "f": "it is for video models",
    "fs": "it is for flow models",
    "g": "it is for distilled models; --l is the guidance here",
    "rcfg": "it is for Lumina models",
}
"""Options that sd-scripts has, and why there is nothing they could do here."""
HINT = "known: --n negative, --w width, --h height, --d seed, --s steps, --l guidance, --ss sampler"
_NETWORK = re.compile(r"<(?:lora|lyco|hypernet):[^<>\n]{1,400}>")
LARGEST_BYTES = 2**24
"""Of a file of prompts."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as written; None is what it leaves open. `width` and `height` are in pixels."""

    text: str
    negative: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One image to make; `size` is (width, height) in pixels. `steps`, `guidance` and `sampler` are those of all that are made
    with it where it has none of its own."""

    prompt: str
    seed: int
    size: tuple[int, int]
    negative: str = ""
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    weighted: bool = False
    """Whether parentheses are weights, as in prompts that people write; in captions they are letters."""


def parse_prompt(line: str, where: str, networks: bool = False) -> Prompt:
    """Read one line; `where` names it in messages. Options may be upper case, as sd-scripts takes them. `networks` says that
    calls such as <lora:NAME:1> are read from the text later.

    Raises:
        PrepError: it has no text, or an option that is unknown, given twice, or whose value cannot be; all at once.
    """
    text, *options = re.split(r"(?:^|\s+)--", line.strip())
    values, problems = dict[str, Any](), [] if text else ["it has no text before its options"]
    problems += [*_single_dashes(line), *_not_read(text, networks)]
    for option in options:
        name, value = re.fullmatch(r"(\S*)\s*(.*)", option, re.DOTALL).groups()  # type: ignore[union-attr]
        name, value = name.lower(), value.strip()
        field = OPTIONS.get(name)
        if field is None:
            problems += _foreign(name, value)
        elif field in values:
            problems.append(f"--{name} is given twice")
        else:
            values[field] = value if field in TEXTS else _number(value, field)
            problems += _not_read(value, False) if field == "negative" else []
            problems += _wrong(f"--{name}", field, values[field], value)
            if field == "sampler" and not problems:
                values[field] = sampler_of(value).name
    if problems:
        raise PrepError("\n".join(f"{where}: {problem}" for problem in problems), HINT)
    return Prompt(text, **values)


def _single_dashes(line: str) -> list[str]:
    """What is wrong with options of one dash, which would become words of the prompt: ` -w 640`, and ` -x 3` too."""
    found = []
    for name, value in re.findall(r"(?:^|\s)-([A-Za-z]{1,3})\s+([^\s-]\S*)", line):
        known = name.lower() in OPTIONS or name.lower() in ELSEWHERE
        if known or _number(value.rstrip(","), "guidance") is not None:
            meant = f"write --{name.lower()}" if known else "an option has two dashes, and this one is unknown"
            found.append(f"-{name} {value} would be words of the prompt: {meant}")
    return found


def _not_read(text: str, networks: bool) -> list[str]:
    """What web UIs would do with a text and sampling does not: as words of the prompt it would mean something else."""
    found = [
        f"{group} changes while the image is made, which is not done here; write a prompt for each, or \\[ for a bracket"
        for group in schedules(text)
    ]
    found += [
        f"{call} is no words of the prompt: the adapter of the run is used, at the strength of the stage"
        for call in ([] if networks else _NETWORK.findall(text))
    ]
    if re.search(r"\bAND\b", text):
        found.append("AND joins prompts in A1111, which is not done here; write and")
    return found


def _foreign(name: str, value: str) -> list[str]:
    """What is wrong with an option that is none of ours."""
    if not name:
        return [f"behind a space, -- begins an option, and {value!r} is none"]
    return [f"--{name}: {ELSEWHERE[name]}" if name in ELSEWHERE else f"--{name} is unknown"]


def _number(text: str, field: str) -> int | float | None:
    """The number that a text spells, None if it spells none of this field's kind."""
    whole = field != "guidance"
    if not re.fullmatch(r"-?[0-9]+" if whole else r"-?([0-9]+\.?[0-9]*|\.[0-9]+)", text):
        return None
    try:
        return int(text) if whole else float(text)
    except ValueError:  # more digits than Python reads
        return None


def _wrong(name: str, field: str, value: Any, seen: object) -> list[str]:
    """What is wrong with a field's value, and what it may be; `seen` is how it is written."""
    if field in TEXTS:
        texts = [] if isinstance(value, str) and value.strip() else [f"{name} is {seen!r}, it must be a text"]
        return texts or (_no_sampler(name, value) if field == "sampler" else [])
    minimum, most = LIMITS[field]
    whole = field != "guidance"
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if fits and minimum <= value <= most:
        return []
    hint = "; leave it out for the prompt's own, the same each time" if field == "seed" else ""
    return [f"{name} is {seen!r}, it must be a {'whole ' * whole}number from {minimum} to {most}{hint}"]


def _no_sampler(name: str, value: str) -> list[str]:
    try:
        sampler_of(value)
    except PrepError as error:
        return [f"{name}: {error.message}"]
    return []


def asked_prompts(lines: Sequence[str], file: Path | None, option: str, networks: bool = False) -> tuple[Prompt, ...]:
    """Prompts given one by one with an option, then those of a file; () if nothing was asked for.

    A text file has one a line; empty lines are passed over, and those that begin with #. A .toml file has [prompt], with what
    all have in common, and [[prompt.subset]]; a .json file a list of objects or lines. Keys are those of sd-scripts.
    Raises:
        PrepError: as `parse_prompt`, or the file cannot be read or holds no prompt; what is wrong with any of them is reported
        together, by line or number.
    """
    given = [partial(parse_prompt, line, f"{option}, {number}", networks) for number, line in enumerate(lines, 1)]
    return _together([*given, *(_readers(file, networks) if file else ())])


def _together(readers: Iterable[Callable[[], Prompt]]) -> tuple[Prompt, ...]:
    found, problems = list[Prompt](), list[str]()
    for read in readers:
        try:
            found.append(read())
        except PrepError as error:
            problems.append(error.message)
    if problems:
        raise PrepError("\n".join(problems), HINT)
    return tuple(found)


def _readers(file: Path, networks: bool) -> list[Callable[[], Prompt]]:
    """One function a prompt of the file, which reads it or says what is wrong with it."""
    try:
        text = read_limited(file, LARGEST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise PrepError(
            f"{file} cannot be read: {error.strerror or error}", "check the name of the prompt file"
        ) from error
    except UnicodeDecodeError as error:
        raise PrepError(f"{file} is not UTF-8: {error}", "save it as UTF-8") from error
    found: list[Callable[[], Prompt]] = []
    if file.suffix.lower() in (".toml", ".json"):
        rows = _toml_rows(file, text) if file.suffix.lower() == ".toml" else _json_rows(file, text)
        for number, row in enumerate(rows, 1):
            found.append(partial(_from_row, row, f"{file}, prompt {number}", networks))
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                found.append(partial(parse_prompt, line, f"{file}, line {number}", networks))
    if not found:
        raise PrepError(f"{file} holds no prompt", "write one a line, such as: 1girl, TRIGGER --w 512 --h 768")
    return found


def _toml_rows(file: Path, text: str) -> list[Any]:
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PrepError(f"{file} is not TOML: {error}", "texts need quotes") from error
    common = table.get("prompt")
    subsets = common.get("subset") if isinstance(common, dict) else None
    extra = sorted(set(table) - {"prompt"})
    if common is None or not isinstance(subsets, list) or not all(isinstance(row, dict) for row in subsets) or extra:
        seen = f"[{extra[0]}]" if extra else "no list of subsets"
        raise PrepError(
            f"{file} has {seen}, where [prompt] and [[prompt.subset]] belong",
            "write [[prompt.subset]] before each prompt",
        )
    shared = {key: value for key, value in common.items() if key != "subset"}
    return [{**shared, **row} for row in subsets]


def _json_rows(file: Path, text: str) -> list[Any]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PrepError(f"{file} is not JSON: {error}", "texts need double quotes") from error
    if not isinstance(rows, list):
        raise PrepError(f"{file} holds no list of prompts", 'write [{"prompt": "…"}, …]')
    return rows


def _from_row(row: Any, where: str, networks: bool) -> Prompt:
    """A prompt from what stands in a TOML or JSON file: a table, or in JSON a line too."""
    if isinstance(row, str):
        return parse_prompt(row, where, networks)
    if not isinstance(row, Mapping):
        raise PrepError(f"{where}: {row!r} is no prompt", HINT)
    values, problems = dict[str, Any](), [] if "prompt" in row else ["it has no prompt"]
    for key, value in row.items():
        if key not in KEYS:
            problems.append(f"{key} = {value!r}: known are {', '.join(KEYS)}")
        elif not (key == "negative_prompt" and value == ""):
            values[KEYS[key]] = value
            problems += _wrong(key, KEYS[key], value, value)
            problems += _not_read(value, networks) if isinstance(value, str) else []
            if KEYS[key] == "sampler" and not problems:
                values["sampler"] = sampler_of(value).name
    if problems:
        raise PrepError("\n".join(f"{where}: {problem}" for problem in problems), HINT)
    return Prompt(**values)


def filled_in(
    prompts: Sequence[Prompt],
    size: tuple[int, int],
    multiple: int = MULTIPLE,
    negative: str = "",
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    sampler: str | None = None,
) -> tuple[tuple[Request, ...], tuple[str, ...]]:
    """What to generate for each prompt, and warnings about what was changed.

    A side that is not given is that of `size`, (width, height); sides are cut down to multiples. A seed that is not
    given is drawn from the prompt's number, so that it is the same at every step and in every run.
    """
    requests, warnings = [], []
    for number, prompt in enumerate(prompts, 1):
        wanted = prompt.width or size[0], prompt.height or size[1]
        width, height = (max(multiple, side - side % multiple) for side in wanted)
        if (width, height) != wanted:
            warnings.append(
                f"prompt {number} is generated at {width}×{height} instead of {wanted[0]}×{wanted[1]}: "
                f"sides are multiples of {multiple}"
            )
        requests.append(
            Request(
                prompt.text,
                key_seed("sample prompt", number) % 2**32 if prompt.seed is None else prompt.seed,
                (width, height),
                negative if prompt.negative is None else prompt.negative,
                steps if prompt.steps is None else prompt.steps,
                guidance if prompt.guidance is None else prompt.guidance,
                prompt.sampler or sampler,
                weighted=True,
            )
        )
    return tuple(requests), tuple(warnings)
