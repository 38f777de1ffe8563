from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.options import given_flags, options_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    bright: bool = True
    """Whether it is bright."""
    mode: Literal["slow", "fast"] = "slow"
    """How."""
    level: Literal[1, 2] = 1
    """Level."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names."""
    tags: tuple[str, ...] = ()
    """Tags."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Betas."""
    limit: int | None = None
    """At most."""
    rate: float = 1.0
    """Rate."""
    base: Path | None = None
    """Base."""


def run(*arguments):
    seen = {}

    @click.pass_context
    def callback(context, /, **_):
        seen.update(given_flags(context, Options))

    result = CliRunner().invoke(click.Command("x", params=options_from(Options), callback=callback), list(arguments))
    return result, seen


def test_only_what_stands_on_the_command_line_is_given():
    assert run()[1] == {}
    assert run("--no-bright")[1] == {"bright": False}


def test_every_type_of_option_becomes_its_flag():
    seen = run(
        "--mode",
        "fast",
        "--level",
        "2",
        "--weights",
        "a/b=c=2",
        "--weights",
        "d=0.5",
        "--names",
        ">_==x",
        "--tags",
        "1girl",
        "--tags",
        "[x]",
        "--betas",
        "0.8",
        "0.9",
        "--limit",
        "3",
        "--rate",
        "1e-4",
        "--base",
        "m",
    )[1]
    assert seen == {
        "mode": "fast",
        "level": 2,
        "weights": {"a/b=c": 2.0, "d": 0.5},
        "names": {">_": "=x"},
        "tags": ("1girl", "[x]"),
        "betas": (0.8, 0.9),
        "limit": 3,
        "rate": 1e-4,
        "base": Path("m"),
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "nan"), "not a finite number"),
        (("--rate", "x"), "not a number"),
        (("--weights", "a"), "KEY=VALUE"),
        (("--weights", "a=b"), "not a number"),
        (("--mode", "quick"), "'slow', 'fast'"),
        (("--limit", "1.5"), "integer"),
    ],
)
def test_a_wrong_value_is_a_usage_error(arguments, words):
    result, _ = run(*arguments)
    assert result.exit_code == 2 and words in result.output


def test_help_shows_the_docstring_and_the_default():
    output = run("--help")[0].output
    assert "Whether it is bright. [default: bright]" in output and "[default: 0.9, 0.99]" in output
    assert "KEY=VALUE" in output and "[slow|fast]" in output
