"""Which package may import which, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TRAIN_MAY_READ = {
    "manifest",
    "records",
    "settings",
    "errors",
    "images",
    "files",
    "decided",
    "groups",
    "crops",
    "twins",
    "names",
}
LIGHT_PARTS_OF_TRAIN = {"train.recipe"}
"""What pipeline may import of train when it is loaded: plain settings, no torch."""


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether it is imported as soon as the file is) for every import of a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    ifs = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    typing_only = {id(node) for block in ifs if "TYPE_CHECKING" in ast.dump(block.test) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module or "", id(node) not in inner
            yield from ((f"{node.module}.{alias.name}", id(node) not in inner) for alias in node.names)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def starts(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("file", files("pipeline"), ids=name)
def test_pipeline_has_no_torch_and_reaches_train_only_inside_functions(file):
    for module, at_once in imports(file):
        assert not starts(module, "torch", "diffusers", "transformers", "lycoris"), module
        if at_once and starts(module, "train"):
            assert starts(module, *LIGHT_PARTS_OF_TRAIN), f"{module} belongs into the function that needs it"
        if at_once:
            assert not starts(module, "cv2", "onnxruntime"), f"{module} belongs into the function that needs it"


@pytest.mark.parametrize("file", files("taggers"), ids=name)
def test_taggers_import_nothing_of_ours(file):
    assert not [module for module, _ in imports(file) if starts(module, "pipeline", "train")]


@pytest.mark.parametrize("file", files("train"), ids=name)
def test_train_reads_only_the_contracts_of_pipeline(file):
    for module, _ in imports(file):
        assert file.parent.name == "miniature" or not starts(module, "taggers"), module
        if starts(module, "pipeline"):
            assert module == "pipeline" or module.split(".")[1] in TRAIN_MAY_READ, module


def test_stages_do_not_import_the_command_line():
    for file in files("pipeline/stages"):
        above = ("pipeline.cli", "pipeline.commands", "click")
        assert not [module for module, _ in imports(file) if starts(module, *above)], file


def test_the_record_and_the_stages_contract_know_no_stage():
    for part in ("errors", "records", "manifest", "files", "captions", "journal", "undo", "lock", "stage"):
        assert not [module for module, _ in imports(ROOT / f"pipeline/{part}.py") if starts(module, "pipeline.stages")]
