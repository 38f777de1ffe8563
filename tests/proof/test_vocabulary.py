"""A vocabulary as large as a real one, with the names that break programs, goes through curation and `prep tags` whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.cli.commands.tags.group import command
from pipeline.stages import curate
from pipeline.store.caption_files import captions
from pipeline.store.manifest import Manifest
from pipeline.store.records import Image, Tagger
from pipeline.store.running.runner import run_stage

LABELS = 10_861
HOSTILE = (
    "<o>_<o>",
    "<|>_<|>",
    "(o)_(o)",
    "|_|",
    ">:)",
    ";)",
    ":3",
    ":d",
    "@_@",
    "^_^",
    "=_=",
    "+_+",
    "0_0",
    "x_x",
    "\\m/",
    "\\||/",
    ":\\",
    'don\'t say "lazy"',
    "'",
    '"',
    "k-on!",
    "re:zero",
    "fate/stay night",
    "../../etc/passwd",
    "C:\\Windows",
    "<script>alert(1)</script>",
    "</script>",
    "[bold red]x[/bold red]",
    "[/]",
    "{0}",
    "%s",
    "$(id)",
    "`id`",
    "; drop table images; --",
    "' or '1'='1",
    "*",
    "?",
    "!?",
    "...",
    "--all",
    "-_-",
    "#tag",
    "名前",
    "été",
    "🙂",
    "a" * 200,
)
"""Names of tags that quoting, markup, patterns, paths or flags may trip over."""
Ask = Callable[..., Any]


def image_of(number: int) -> Image:
    content = hashlib.sha256(str(number).encode()).hexdigest()
    return Image(f"images/people~Lumi/{number:03}.png", "people/Lumi", f"/src/{number}", content, 1, "copy")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curated set of one image for every hostile name, each with some ordinary tags; one caption is a person's."""
    root = tmp_path_factory.mktemp("hostile") / "set"
    names = [*HOSTILE, "1girl", "solo"]
    names += [f"thing {number}" for number in range(LABELS - len(names))]
    tagger = Tagger("large", "1", "p", "CPU", dict.fromkeys(names, "general"))
    images = [image_of(number) for number in range(len(HOSTILE))]
    with Manifest.open(root, create=True) as manifest:
        with manifest.transaction():
            manifest.put_images(images)
            manifest.put_tagger(tagger)
            manifest.put_scores(
                tagger.id,
                {
                    image.content: {"1girl": 0.99, "solo": 0.98, name: 0.9, f"thing {number}": 0.4, "thing 7": 0.2}
                    for number, (image, name) in enumerate(zip(images, HOSTILE, strict=True))
                },
            )
        (root / images[0].path).parent.mkdir(parents=True, exist_ok=True)
        run_stage(manifest, curate.STAGE, curate.Options(general=0.35), lambda *_: None)
    return root


@pytest.fixture
def ask(root: Path) -> Ask:
    """Run `prep tags SUBCOMMAND SET`, and read its answer."""

    def invoke(name: str, *arguments: str, options: tuple[str, ...] = ()) -> Any:
        result = CliRunner().invoke(command, [name, str(root), *options, "--limit", "0", "--json", "--", *arguments])
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.stdout)

    return invoke


def test_every_name_comes_through_curation_as_it_is(root: Path) -> None:
    with Manifest.open(root) as manifest:
        (tagger,) = manifest.taggers().values()
        assert len(tagger.categories) == LABELS
        held = captions(manifest)
        for number, name in enumerate(HOSTILE):
            path = image_of(number).path
            assert held[path].split(", ")[:4] == ["Lumi", "1girl", "solo", name]
            assert (root / path).with_suffix(".txt").read_text(encoding="utf-8") == held[path] + "\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_is_found_and_explained(ask: Ask, name: str) -> None:
    path = image_of(HOSTILE.index(name)).path
    assert ask("find", name)["rows"] == [{"image": path, "concept": "people/Lumi", "scores": {name: 0.9}}]
    reported = ask("why", path, name)
    assert (reported["tag"], reported["in_caption"], reported["because"]) == (name, True, "kept: 0.90 ≥ 0.35")


@pytest.mark.parametrize("name", HOSTILE[::4])
def test_names_are_counted_beside_others_and_edited(ask: Ask, name: str) -> None:
    path = image_of(HOSTILE.index(name)).path
    assert {row["beside"] for row in ask("pairs", name)["rows"]} >= {"Lumi", "solo", "1girl"}
    assert ask("remove", name, options=("--all",))["rows"][0]["image"] == path
    assert ask("find", name)["rows"] == []
    assert ask("add", name, options=("--image", path))["counts"] == {"caption_changed": 1}
    assert [row["image"] for row in ask("find", name)["rows"]] == [path]


def test_tables_hold_every_name_and_print_it_as_text(ask: Ask, root: Path) -> None:
    assert {row["tag"] for row in ask("list")["rows"]} >= set(HOSTILE)
    assert {row["tag"] for row in ask("coverage", options=("--few", "1"))["rows"]} >= set(HOSTILE)
    assert ask("spelling")["rows"] == [] and ask("contradictions")["rows"] == []
    assert {row["rule"] for row in ask("rules")["rows"]} >= {"reached its threshold", "trigger word"}
    printed = CliRunner().invoke(command, ["list", str(root), "--limit", "0"])
    assert printed.exit_code == 0 and all(name in printed.stdout for name in HOSTILE)


def test_a_name_that_steers_the_terminal_is_printed_harmlessly(root: Path) -> None:
    (root / image_of(0).path).with_suffix(".txt").write_text("Lumi, \x1b[31mred\u202e\n", encoding="utf-8")
    printed = CliRunner().invoke(command, ["list", str(root), "--image", image_of(0).path], color=True)
    assert printed.exit_code == 0 and "\x1b[31m" not in printed.stdout and "\\x1b[31mred\\u202e" in printed.stdout
