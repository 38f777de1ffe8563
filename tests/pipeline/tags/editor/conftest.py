"""A curated set, and `prep tags` run on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from edited_sets import IMAGES, WRITTEN, put_set, text_file
from painted_sets import quiet

from pipeline.cli.commands.tags.group import command
from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.store.running.runner import run_stage


@pytest.fixture
def curated(tmp_path: Path) -> Manifest:
    """A curated set of two characters; one caption of five was written by a person."""
    manifest = put_set(tmp_path / "set", IMAGES)
    text_file(manifest, "people/Quill/written").write_bytes(WRITTEN.encode())
    run_stage(manifest, curate.STAGE, curate.Options(prune="none", general=0.5), quiet)
    return manifest


@pytest.fixture
def ask(curated: Manifest) -> Callable[..., Result]:
    """Run `prep tags SUBCOMMAND SET …`; a failure that a person can mend is raised."""

    def invoke(name: str, *arguments: Any) -> Result:
        result = CliRunner().invoke(command, [name, str(curated.root), *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def answer(ask: Callable[..., Result]) -> Callable[..., Any]:
    """The JSON document that an answer is."""

    def invoke(name: str, *arguments: Any) -> Any:
        result = ask(name, *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return invoke
