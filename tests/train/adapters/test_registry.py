"""The algorithms as a whole: that they say all there is to know, without torch, and that nobody else says it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_models import moved, small_text, small_unet

from pipeline.core.errors import PrepError
from train.adapters.adapter import Adapter
from train.adapters.algorithms.options import OPTIONS
from train.adapters.config import AdapterConfig
from train.adapters.export import rendered
from train.adapters.inject.layer_tensors import LayerTensors
from train.adapters.names.client_keys import TARGETS
from train.adapters.registry import ALGORITHMS, KINDS

ROOT = Path(__file__).parents[3]
NAMES = (ALGORITHMS.keys() | {algorithm.lycoris_name for algorithm in ALGORITHMS.values()}) - {"lora", "full", "norm"}
"""Those that mean nothing else."""
OWN = ("train/adapters/algorithms/", "train/adapters/options.py")


@pytest.mark.parametrize(
    "module",
    ["train.adapters.registry", "train.adapters.option_rules", "train.adapters.count.planned", "train.plan.memory"],
)
def test_what_algorithms_take_and_count_is_known_without_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'lycoris' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_other_file_asks_for_an_algorithm_by_its_name():
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.value}"
        for package in ("train", "pipeline")
        for file in (ROOT / package).rglob("*.py")
        if not file.relative_to(ROOT).as_posix().startswith(OWN)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in NAMES
    ]
    assert not found


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: algorithm.name)
def test_an_option_is_taken_or_there_is_a_reason_and_never_both(algorithm):
    assert algorithm.takes <= set(OPTIONS) and algorithm.lacks.keys() <= set(OPTIONS)
    assert not algorithm.takes & algorithm.lacks.keys()
    unsaid = set(OPTIONS) - algorithm.takes - algorithm.lacks.keys()
    assert unsaid <= {"factor", "decompose_both", "full_matrix", "rank_unit"}, "another algorithm's own"


def test_no_key_of_one_kind_is_a_mark_of_another():
    for kind in KINDS.values():
        shapes = dict.fromkeys(kind.keys.all, (2,) * (kind.keys.dimensions or 2))
        assert [other.name for other in KINDS.values() if other.keys.recognized(shapes)] == [kind.name]


CONFIGS = [
    AdapterConfig(algorithm=name, rank=1 if more else 4, alpha=2.0, convolutions=algorithm.convolutions, **more)
    for name, algorithm in ALGORITHMS.items()
    for more in ({}, {"dora": True}, {"tucker": True})
    if more.keys() <= algorithm.takes
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda each: f"{each.algorithm} {each.dora} {each.tucker}")
def test_what_the_plan_says_is_rewritten_is_what_the_export_rewrites(config, target):
    tensors = moved(Adapter(config, small_unet(), small_text())).tensors()
    algorithm = ALGORITHMS[config.algorithm]
    planned = any(algorithm.rewritten_for(client, config) for client in TARGETS[target])
    assert planned is not rendered(tensors, target)


def test_tensors_are_found_where_they_have_been_moved_to():
    tensors = {"lora_up.weight": torch.ones(3, 1), "lora_down.weight": torch.ones(1, 2), "alpha": torch.tensor(2.0)}
    held = LayerTensors(ALGORITHMS["lora"], tensors)
    held.to(torch.float64)
    assert {held[key].dtype for key in tensors} == {torch.float64}
    assert [name for name, _ in held.named_parameters()] == ["lora_up.weight", "lora_down.weight"]
    assert "lora_mid.weight" not in held and held.get("lora_mid.weight") is None


def test_a_layer_that_lacks_a_factor_is_refused_by_its_name():
    unet, text = small_unet(), small_text()
    config = AdapterConfig(algorithm="lora", rank=2, alpha=1.0)
    tensors = Adapter(config, unet, text).tensors()
    key = next(key for key in tensors if key.endswith("lora_down.weight"))
    with pytest.raises(PrepError, match=r"lora_unet_.*: lora_down.weight is missing"):
        Adapter.of_tensors({name: each for name, each in tensors.items() if name != key}, config, unet, text)
