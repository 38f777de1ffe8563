"""The layers hold, and nothing that is slow to import logging
import is loaded before it is needed."""

from __future__ import annotations

import json
import logging
import pkgutil
import subprocess
import sys
from pathlib import Path

from importlinter.cli import lint_imports

import pipeline

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "cv2", "onnxruntime", "diffusers", "transformers", "lycoris")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline.")
    if module.name != "pipeline.__main__"
]


def fresh(script: str, *arguments: str) -> str:
    """What a script prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_module_imports_from_a_layer_above_its_own() -> None:
    before = {
        name: each.disabled for name, each in logging.root.manager.loggerDict.items() if hasattr(each, "disabled")
    }
    try:
        assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True) == 0
    finally:  # it configures logging anew, which silences every logger that there is, for the tests after this one too
        for name, disabled in before.items():
            logging.getLogger(name).disabled = disabled


def test_no_module_of_pipeline_imports_what_is_slow_to_load() -> None:
    script = (
        "import importlib, json, sys\n"
        "modules, heavy = json.loads(sys.argv[1])\n"
        "for module in modules:\n"
        "    importlib.import_module(module)\n"
        "    loaded = [name for name in heavy if name in sys.modules]\n"
        "    assert not loaded, f'{module} imports {loaded}'\n"
        "print(len(modules))"
    )
    assert int(fresh(script, json.dumps([MODULES, HEAVY]))) > 100


def test_the_list_of_commands_is_shown_without_loading_any_of_them() -> None:
    script = (
        "import json, sys\n"
        "from pipeline.cli.main import prep\n"
        "prep.main(['--help'], standalone_mode=False)\n"
        "ours = [name for name in sys.modules if name.split('.')[0] in ('pipeline', 'taggers', 'train')]\n"
        "print(json.dumps(sorted(ours)))"
    )
    loaded = json.loads(fresh(script).splitlines()[-1])
    allowed = ("pipeline.cli", "pipeline.config.registry", "pipeline.core", "pipeline.store.failures")
    packages = ("pipeline", "pipeline.config", "pipeline.store")
    assert not [name for name in loaded if name not in packages and not name.startswith(allowed)]
    assert not [name for name in loaded if name.startswith("pipeline.cli.commands.")]
