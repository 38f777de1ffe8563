from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.declared import declared, help_texts
from pipeline.config.settings import Settings, load_settings, options_for, toml_text
from pipeline.config.values import convert
from pipeline.core.errors import PrepError
from pipeline.stages import check


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    sources: tuple[Path, ...] = field(default=(), metadata={"section": "set"})
    """Folders."""
    rate: float = 0.5
    """How fast it goes,
    over two lines."""
    limit: int | None = None
    """At most this many."""
    mode: Literal["slow", "fast"] = "slow"
    """How."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights."""


def write(tmp_path, text):
    file = tmp_path / "prep.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(tmp_path, text):
    with pytest.raises(PrepError) as caught:
        load_settings(write(tmp_path, text))
    return caught.value.message


def test_one_declaration_gives_name_type_default_and_help():
    rate = next(each for each in declared(Options) if each.name == "rate")
    assert (rate.flag, rate.kind, rate.default, rate.optional) == ("--rate", float, 0.5, False)
    assert help_texts(Options)["rate"] == "How fast it goes, over two lines."
    assert next(each for each in declared(Options) if each.name == "limit").optional


def test_a_flag_goes_before_prep_toml_and_prep_toml_before_the_default():
    given = Settings(sources=(Path("/a"),), stages={"x": {"rate": 2.0, "limit": 3}})
    options = options_for("x", Options, given, {"rate": 4.0})
    assert (options.rate, options.limit, options.mode, options.sources) == (4.0, 3, "slow", (Path("/a"),))


def test_an_unknown_key_names_the_file_the_value_the_likely_key_and_all_keys(tmp_path):
    message = problems(tmp_path, "[check]\nmin_shapness = 3\n")
    assert str(tmp_path / "prep.toml") in message and "[check] min_shapness = 3: unknown key" in message
    assert "did you mean min_sharpness or min_side?" in message and "known: min_side, max_aspect" in message


def test_an_unknown_section_is_reported_with_the_known_ones(tmp_path):
    assert "unknown section [chek]; did you mean check? known: set, flatten, check" in problems(tmp_path, "[chek]\n")


def test_everything_wrong_is_reported_together(tmp_path):
    message = problems(
        tmp_path, '[set]\npaths = "x"\n[check]\nmin_side = true\nmax_aspect = "4"\n[bucket]\nbucket_reso_steps = 7\n'
    )
    for part in (
        "[set] paths",
        "did you mean path?",
        "min_side = true: expected a whole number",
        'max_aspect = "4": expected a number',
        "[bucket] bucket_reso_steps is 7",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_side", "true"),
        ("min_side", "1.5"),
        ("min_sharpness", "true"),
        ("min_sharpness", "nan"),
        ("keep", '"x"'),
        ("keep", "[1]"),
        ("duplicates_within", '"everywhere"'),
        ("min_side", "2026-01-01"),
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path, key, value):
    assert f"[check] {key} = " in problems(tmp_path, f"[check]\n{key} = {value}\n")


def test_a_range_is_checked_by_the_options_themselves(tmp_path):
    assert "[check] max_aspect is 0.5 (longer over shorter side is never below 1)" in problems(
        tmp_path, "[check]\nmax_aspect = 0.5\n"
    )


def test_broken_toml_and_other_encodings_are_reported_calmly(tmp_path):
    assert "is not TOML" in problems(tmp_path, "[check\n")
    (tmp_path / "prep.toml").write_bytes(b"\xff\xfe[")
    with pytest.raises(PrepError, match="not UTF-8"):
        load_settings(tmp_path / "prep.toml")


def test_whole_numbers_pass_for_numbers_and_paths_are_meant_from_the_file(tmp_path):
    settings = load_settings(write(tmp_path, '[set]\npath = "s"\nsources = ["../a", "/b"]\n[check]\nmax_aspect = 4\n'))
    assert settings.stages["check"] == {"max_aspect": 4.0} and settings.path == tmp_path / "s"
    assert settings.sources == (str(tmp_path.parent / "a"), "/b")
    assert options_for("check", check.Options, settings, {}).max_aspect == 4.0


def test_a_true_is_no_choice_among_numbers():
    with pytest.raises(ValueError, match="expected one of 1, 2"):
        convert(True, Literal[1, 2])


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_what_is_written_reads_back_equal(text):
    import tomllib

    values = {"keep": (text, "x"), "weights": {text: 1e-7}, "flag": True}
    read = tomllib.loads(toml_text(Settings(sources=(Path("/a"),), stages={"check": values})))
    assert read["check"] == {"keep": [text, "x"], "weights": {text: 1e-7}, "flag": True}
