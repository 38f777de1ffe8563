import inspect
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
from tolerance import rounding

from pipeline.core.errors import PrepError
from train.adapters.algebra.norms import product_norm
from train.adapters.options import AdapterOptions
from train.adapters.registry import ALGORITHMS
from train.optimization import optimizers
from train.optimization.optimizers import (
    KINDS,
    OptimizerKind,
    described,
    effective_rates,
    load_class,
    make_optimizer,
    no_rate,
    read_arguments,
    read_value,
    refuse_missing,
    suited_rate,
)
from train.options.recipe import make_recipe

ROUKIN_PRODIGY = {
    "decouple": "True",
    "weight_decay": "0.01",
    "d_coef": "0.5",
    "use_bias_correction": "True",
    "betas": "(0.9, 0.99)",
    "slice_p": "10",
    "safeguard_warmup": "True",
    "growth_rate": "1.01",
}


def test_arguments_are_taken_as_the_type_of_their_default():
    pytest.importorskip("prodigyopt")
    arguments = read_arguments("Prodigy", ROUKIN_PRODIGY)
    assert arguments == {
        "decouple": True,
        "weight_decay": 0.01,
        "d_coef": 0.5,
        "use_bias_correction": True,
        "betas": (0.9, 0.99),
        "slice_p": 10,
        "safeguard_warmup": True,
        "growth_rate": 1.01,
    }
    optimizer = make_optimizer("Prodigy", [{"params": [torch.nn.Parameter(torch.ones(3))], "lr": 1.0}], arguments)
    assert (optimizer.param_groups[0]["d_coef"], optimizer.param_groups[0]["slice_p"]) == (0.5, 10)


def test_what_a_library_prints_stays_out_of_the_results(capsys):
    pytest.importorskip("prodigyopt")
    groups = [{"params": [torch.nn.Parameter(torch.ones(3))], "lr": 1.0}]
    make_optimizer("Prodigy", groups, read_arguments("Prodigy", {}))
    assert capsys.readouterr().out == ""


def test_texts_are_read_as_values_by_hand():
    assert read_value("FALSE", True) is False
    assert read_value("0.9, 0.99", (0.8, 0.9)) == (0.9, 0.99)
    assert read_value("5", 1) == 5
    assert read_value("0.5", None) == 0.5
    assert read_value("true", None) is True


@pytest.mark.parametrize(
    ("name", "text", "words", "hint"),
    [
        ("weight_dekay", "0.1", "AdamW has no such argument", "did you mean weight_decay"),
        ("weight_decay", "much", "expected a number", "its default in AdamW is 0.01"),
        ("amsgrad", "1", "expected true or false", "its default in AdamW is False"),
        ("betas", "0.9", "expected 2 numbers with commas between", "(0.9, 0.999)"),
        ("lr", "0.1", "it is set by unet_lr", "leave out lr"),
        ("maximize", "true", "make the loss grow", "leave out maximize"),
        ("fused", "true", "AdamW has no such argument", "known:"),
    ],
)
def test_an_argument_that_is_unknown_or_of_another_type_is_refused(name, text, words, hint):
    with pytest.raises(PrepError, match=words) as caught:
        read_arguments("AdamW", {name: text})
    assert f"{name} = {text!r}" in caught.value.message
    assert hint in caught.value.hint


def test_a_library_that_swallows_unknown_arguments_gets_none():
    pytest.importorskip("pytorch_optimizer")
    with pytest.raises(PrepError, match="DAdaptAdam has no such argument") as caught:
        read_arguments("DAdaptAdam", {"decouple": "true"})
    assert "did you mean weight_decouple" in caught.value.hint


def test_adafactors_own_step_size_is_refused_with_the_reason():
    with pytest.raises(PrepError, match="leave unet_lr and scheduler without effect"):
        read_arguments("AdaFactor", {"relative_step": "true"})


def test_a_value_that_the_library_refuses_is_named():
    with pytest.raises(PrepError, match=r"optimizer AdamW\(weight_decay=-1.0\) refuses its arguments"):
        make_optimizer("AdamW", [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": 1.0}], {"weight_decay": -1.0})


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    kinds = {**KINDS, "Lion": OptimizerKind(module="no_such_library", name="Lion", package="pytorch-optimizer")}
    monkeypatch.setattr(optimizers, "KINDS", kinds)
    with pytest.raises(PrepError, match="optimizer Lion needs pytorch-optimizer") as caught:
        read_arguments("Lion", {})
    assert 'pip install "lora-prep[optimizers]"' in caught.value.hint
    assert "pip install -U pytorch-optimizer" in caught.value.hint


def test_the_default_arguments_of_every_optimizer_are_ones_it_has():
    for name, kind in KINDS.items():
        try:
            signature = optimizers.inspect.signature(optimizers.load_class(name)).parameters
        except PrepError:
            continue
        assert set(kind.arguments) <= set(signature), name


def test_adamw_is_fused_and_described_as_it_was_built():
    arguments = read_arguments("AdamW", {"betas": "0.9,0.99"})
    optimizer = make_optimizer("AdamW", [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": 1e-3}], arguments)
    assert optimizer.defaults["fused"] is True
    assert described("AdamW", arguments) == "torch.optim.AdamW(weight_decay=0.01,betas=(0.9, 0.99))"


def test_the_rate_of_an_adaptive_optimizer_is_its_estimate_times_the_one_given():
    pytest.importorskip("prodigyopt")
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = make_optimizer("Prodigy", [{"params": [weight], "lr": 0.5}], read_arguments("Prodigy", {}))
    assert effective_rates(optimizer) == pytest.approx([0.5e-6])
    optimizer.param_groups[0]["d"] = 2e-3
    assert effective_rates(optimizer) == pytest.approx([1e-3])


def test_the_norm_of_a_product_by_hand_and_of_a_convolution():
    assert product_norm(torch.tensor([[3.0], [0.0]]), torch.tensor([[0.0, 4.0]])).item() == pytest.approx(12.0)
    up, down = torch.randn(5, 2, 1, 1), torch.randn(2, 3, 3, 3)
    whole = torch.einsum("orxy,rikl->oikl", up, down)
    assert product_norm(up, down).item() == pytest.approx(whole.norm().item(), rel=rounding(5 * 3 * 9))


@pytest.mark.parametrize(
    ("optimizer", "algorithm", "rate"),
    [
        ("AdamW", "lora", 5e-4),
        ("AdamW", "loha", 2e-4),
        ("AdamW8bit", "ia3", 5e-3),
        ("AdamW", "full", 2.5e-6),
        ("AdamW", "oft", 3e-5),
        ("Lion", "lora", 1e-4),
        ("Prodigy", "norm", 1.0),
    ],
)
def test_each_algorithm_has_the_rate_that_is_published_for_it(optimizer, algorithm, rate):
    assert suited_rate(optimizer, ALGORITHMS[algorithm].learning_rate) == pytest.approx(rate)
    assert no_rate(optimizer, algorithm, ALGORITHMS[algorithm].learning_rate) is None
    assert make_recipe(optimizer=optimizer, algorithm=algorithm).lrs[0] == pytest.approx(rate)


@pytest.mark.parametrize(
    ("optimizer", "algorithm", "words"),
    [
        ("AdamW", "glora", "algorithm glora has no learning rate with AdamW"),
        ("Lion", "norm", "algorithm norm has no learning rate with Lion"),
        ("SGDNesterov", "lora", "optimizer SGDNesterov has no learning rate that suits in general"),
    ],
)
def test_where_none_is_published_a_rate_has_to_be_given(optimizer, algorithm, words):
    assert suited_rate(optimizer, ALGORITHMS[algorithm].learning_rate) is None
    message, hint = no_rate(optimizer, algorithm, ALGORITHMS[algorithm].learning_rate)
    assert words in message and hint.startswith("give unet_lr")
    with pytest.raises(PrepError, match="has no learning rate"):
        make_recipe(optimizer=optimizer, algorithm=algorithm)
    assert make_recipe(optimizer=optimizer, algorithm=algorithm, unet_lr=1e-3).lrs[0] == 1e-3


def test_rates_are_kept_for_no_algorithm_that_there_is_not():
    assert set(ALGORITHMS) == set(get_args(get_type_hints(AdapterOptions)["algorithm"]))
    assert any(algorithm.learning_rate is None for algorithm in ALGORITHMS.values())


def test_a_library_that_is_not_installed_is_named_without_loading_it(monkeypatch):
    refuse_missing("AdamW")
    absent = OptimizerKind(module="no_such_library_at_all.inside", name="AdamW", package="no-such-library")
    monkeypatch.setattr(optimizers, "KINDS", {"AdamW": absent})
    with pytest.raises(PrepError, match="AdamW needs no-such-library, which is not installed") as caught:
        refuse_missing("AdamW")
    assert "pip install" in caught.value.hint


BROKEN = 'raise RuntimeError("CUDA Setup failed despite GPU being available")'


def run_beside_broken_bitsandbytes(folder, code):
    """What a new interpreter prints where bitsandbytes is installed and fails at its import."""
    (folder / "bitsandbytes").mkdir()
    (folder / "bitsandbytes/__init__.py").write_text(BROKEN, encoding="utf-8")
    (folder / "bitsandbytes-0.45.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: bitsandbytes\nVersion: 0.45.0\n"
    (folder / "bitsandbytes-0.45.0.dist-info/METADATA").write_text(metadata, encoding="utf-8")
    path = os.pathsep.join([str(folder), str(Path(optimizers.__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bitsandbytes_that_cannot_be_imported_is_only_minded_when_asked_for(tmp_path):
    said = run_beside_broken_bitsandbytes(
        tmp_path,
        "import train.models.load\n"
        "from pipeline.core.errors import PrepError\n"
        "from train.optimization.optimizers import load_class, refuse_missing\n"
        "print(load_class('AdamW').__name__)\n"
        "for ask in (refuse_missing, load_class):\n"
        "    try: ask('AdamW8bit')\n"
        "    except PrepError as error: print(error.message, error.hint, sep='|')\n",
    ).splitlines()
    words = (
        "optimizer AdamW8bit needs bitsandbytes, which is installed but cannot be imported: RuntimeError: CUDA Setup failed "
        'despite GPU being available|mend it with: pip install -U bitsandbytes, or use optimizer = "AdamW"'
    )
    assert said == ["AdamW", words, words]


def test_lions_have_the_betas_of_their_paper():
    pytest.importorskip("pytorch_optimizer")
    for name in ("Lion", "DAdaptLion"):
        groups = [{"params": [torch.nn.Parameter(torch.ones(3))], "lr": 1.0}]
        optimizer = make_optimizer(name, groups, read_arguments(name, {}))
        assert optimizer.param_groups[0]["betas"] == (0.9, 0.99)


def documented():
    """(optimizer, argument) → (the library's default, ours), as the page for those who come from kohya has them."""
    page = Path(optimizers.__file__).parents[2] / "docs" / "coming-from-kohya.md"
    rows = [
        line.strip("|").split("|") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")
    ]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 6]
    return {(name, argument): (library, ours) for name, argument, library, ours, *_ in cells if name in KINDS}


BITSANDBYTES = {
    "AdamW8bit": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "amsgrad": False},
    "Lion8bit": {"betas": (0.9, 0.99), "weight_decay": 0},
}
"""Defaults of bitsandbytes 0.50.2 (bitsandbytes/optim/adamw.py, lion.py), for where it is not installed."""


def own_defaults(name):
    if name in BITSANDBYTES and find_spec("bitsandbytes") is None:
        return BITSANDBYTES[name]
    pytest.importorskip(KINDS[name].module.partition(".")[0])
    own = {argument: each.default for argument, each in inspect.signature(load_class(name)).parameters.items()}
    assert all(own[argument] == value for argument, value in BITSANDBYTES.get(name, {}).items())
    return own


@pytest.mark.parametrize("name", KINDS)
def test_every_argument_that_differs_from_the_library_is_documented(name):
    own = own_defaults(name)
    differing = {
        (name, argument): (str(own[argument]), str(value))
        for argument, value in KINDS[name].arguments.items()
        if own[argument] != value
    }
    assert differing == {key: value for key, value in documented().items() if key[0] == name}
