"""Every algorithm goes the whole way: planned, trained, killed and resumed, exported, attached again, continued from."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from full_size_models import weightless
from prepared_sets import prepared_set
from safetensors import safe_open
from tolerance import BFLOAT16, LOSS

from pipeline.core.errors import PrepError
from pipeline.store.values.repeats import Repeats
from train.adapters.adapter import Adapter, AdapterConfig, attach_adapter
from train.adapters.config import LayerConfig
from train.adapters.count.planned import planned_figures
from train.adapters.inject.base_layer import BaseLayer
from train.adapters.inject.targets import Target, targets_of
from train.adapters.metadata import write_adapter
from train.adapters.option_rules import TAKES, adapter_config
from train.evaluation.validation_history import read_evaluations
from train.models.load import load_base
from train.models.locate import find_folder
from train.models.shapes import BaseShapes
from train.options.recipe import Recipe, make_recipe, with_values
from train.plan.base_shapes import base_shapes
from train.run.resume_state import load_state
from train.session import new_adapter, train_adapter

CASES = {
    "lora": {"algorithm": "lora", "train_text_encoder": True},
    "lora dora": {"algorithm": "lora", "dora": True, "blocks": {"OUT": 0.5, "M00": 0.0}},
    "lora rank-stabilized": {"algorithm": "lora", "rank_stabilized": True, "block_ranks": {"MID": 2}},
    "locon tucker": {"algorithm": "locon", "tucker": True, "train_norm": True},
    "locon dropouts": {"algorithm": "locon", "rank_dropout": 0.2, "module_dropout": 0.1, "network_dropout": 0.1},
    "loha": {"algorithm": "loha", "rank_dropout": 0.2},
    "loha tucker dora": {"algorithm": "loha", "tucker": True, "dora": True, "blocks": {"OUT": 0.0}},
    "lokr": {"algorithm": "lokr", "factor": 4, "decompose_both": True, "network_dropout": 0.1},
    "lokr tucker": {"algorithm": "lokr", "factor": 4, "tucker": True},
    "lokr whole": {"algorithm": "lokr", "full_matrix": True, "dora": True, "unet_lr": 2e-3},
    "glora": {"algorithm": "glora", "rank_dropout": 0.2, "unet_lr": 2e-3},
    "full": {"algorithm": "full", "train_norm": True, "unet_lr": 2e-4},
    "norm": {"algorithm": "norm"},
    "oft": {"algorithm": "oft", "rank": 8, "unet_lr": 2e-3},
    "boft": {"algorithm": "boft", "rank": 8, "unet_lr": 2e-3, "convolutions": "no", "blocks": {"IN": 0.0}},
    "ia3": {"algorithm": "ia3", "train_text_encoder": True, "unet_lr": 3e-2},
    "dylora": {"algorithm": "dylora", "rank_unit": 2},
}
REWRITTEN = ("lokr tucker", "glora", "oft", "boft", "ia3")
"""Cases whose files hold something else than what was trained, as not every program could show it."""
SMALL = {"rank": 4, "alpha": 4.0, "conv_rank": 4, "conv_alpha": 4.0}
STEPS = 5


class Killed(BaseException):
    """Stands for Ctrl-C or a crash in the middle of a step."""


def recipe_for(case: str, **more) -> Recipe:
    chosen = CASES[case]
    small = {key: value for key, value in SMALL.items() if chosen["algorithm"] in TAKES[key]}
    options = {"unet_lr": 1e-2, "scheduler": "constant", "batch_size": 2, "steps": STEPS, "save_state_every": 2}
    options |= {"validation": "training", "validation_images": 2, "validation_times": 2, "device": "cpu"}
    options |= {"base": "miniature", "save_precision": "fp32", "name": case.replace(" ", "-")}
    return make_recipe(**options | small | chosen | more)


def without_validation(case: str, name: str) -> Recipe:
    """The same run with nothing measured, which changes nothing of what it learns."""
    return with_values(recipe_for(case, name=name), validation="none", validation_images=16, validation_times=4)


def die_at_three(what: str, done: int, total: int) -> None:
    if what.startswith("training") and done == 3:
        raise Killed


def quiet(what: str, done: int, total: int) -> None:
    pass


def weights(file: Path) -> dict[str, torch.Tensor]:
    with safe_open(file, framework="pt") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118


@pytest.fixture(scope="module")
def base():
    return load_base("miniature", None, "cpu")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Two images of one size."""
    opened = prepared_set(tmp_path_factory.mktemp("sets") / "set", [(48, 48)] * 2, Repeats(1.0, 1))
    yield opened
    opened.close()


@dataclass(frozen=True)
class Run:
    """What an undisturbed run left; `native` is a file of the adapter in its own form."""

    case: str
    file: Path
    native: Path
    looks: list[float]
    shown: torch.Tensor


@pytest.fixture(scope="module", params=CASES)
def run(request, manifest, base):
    recipe = recipe_for(request.param)
    file = train_adapter(manifest, recipe, quiet, base).file
    with safe_open(file.parent / "state.safetensors", framework="pt") as opened:
        state = load_state(file.parent / "state.safetensors", opened.metadata()["digest"])
    adapter = new_adapter(recipe, base)
    with torch.no_grad():
        for weight, stored in zip(adapter.parameters(), state.parts["adapter"], strict=True):
            weight.copy_(stored)
    native = file.with_name("native.safetensors")
    write_adapter(
        native, adapter.tensors(), {"ss_network_args": "dylora"} if recipe.adapter.algorithm == "dylora" else {}
    )
    adapter.attach()
    shown = predicted(base)
    adapter.detach()
    return Run(
        request.param, file, native, [look.loss for look in read_evaluations(file.parent / "validation.jsonl")], shown
    )


def predicted(base) -> torch.Tensor:
    """What the UNet makes of fixed inputs, and a text encoder of a caption."""
    generator = torch.Generator().manual_seed(3)
    noisy, states = torch.randn(1, 4, 12, 12, generator=generator), torch.randn(1, 77, 128, generator=generator)
    with torch.no_grad():
        found = base.unet(noisy, torch.tensor([500]), states).sample
        text = base.text_encoder(torch.arange(77)[None]).last_hidden_state
    return torch.cat([found.flatten(), text.flatten()])


def test_the_loss_on_fixed_noise_falls(run):
    assert len(run.looks) == 2 and run.looks[1] < run.looks[0]


def test_a_run_killed_in_the_middle_ends_with_the_same_bits(run, manifest, base):
    recipe = without_validation(run.case, "killed")
    with pytest.raises(Killed):
        train_adapter(manifest, recipe, die_at_three, base)
    again = train_adapter(manifest, recipe, quiet, base)
    assert again.resumed_from == 2
    one, other = weights(run.file), weights(again.file)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_the_exported_file_attached_again_gives_what_the_trained_adapter_gave(run, base):
    plain = predicted(base)
    adapter = attach_adapter(base, run.file)
    try:
        found = predicted(base)
    finally:
        adapter.detach()
    change = (run.shown - plain).norm()
    assert change > 1e-3 * plain.norm()
    assert (found - run.shown).norm() < 1e-3 * change, "rounding, next to nothing of the change"
    rewritten = weights(run.file).keys() != weights(run.native).keys()
    assert rewritten == (run.case in REWRITTEN)


def test_training_goes_on_from_the_file_where_it_had_ended(run, manifest, base):
    own = run.native if run.case in REWRITTEN else run.file
    on = train_adapter(manifest, recipe_for(run.case, name="on", network_weights=own, steps=1), quiet, base)
    first = next(read_evaluations(on.file.parent / "validation.jsonl")).loss
    assert first == pytest.approx(run.looks[1], rel=LOSS)
    assert (first - run.looks[0]) != pytest.approx(0.0, abs=1e-6)


def test_the_plan_counts_what_is_attached_and_run_json_says_it(run, base):
    recipe = recipe_for(run.case)
    adapter = new_adapter(recipe, base)
    figures = planned_figures(base_shapes(find_folder("miniature", None)), adapter_config(recipe.adapter))
    assert figures == adapter.describe()
    assert sum(part.parameters for part in figures) == sum(weight.numel() for weight in adapter.parameters())
    document = json.loads((run.file.parent / "run.json").read_text(encoding="utf-8"))
    assert document["adapter"] == [str(part) for part in figures]


def test_a_file_of_another_algorithm_than_was_trained_is_refused_with_what_to_train_instead(run, base):
    if run.case not in ("glora", "oft", "boft", "ia3"):
        pytest.skip("every program shows it, or a form of the same algorithm")
    with pytest.raises(PrepError) as caught:
        new_adapter(recipe_for(run.case, network_weights=run.file), base)
    assert 'export_for = "as-trained"' in caught.value.hint


# --- counted without weights


@pytest.mark.parametrize("model", ["sd1", "sd2", "sdxl"])
def test_the_plan_counts_full_size_models_as_their_layers_are(model):
    """Against the layers that an adapter would be attached to, each counted from the module itself."""
    unet, encoders = weightless(model)
    text = dict(zip(("text_encoder", "text_encoder_2"), encoders, strict=False))
    base = BaseShapes(
        unet={name: tuple(weight.shape) for name, weight in unet.named_parameters()},
        text={
            f"{part}.{name}": tuple(weight.shape)
            for part, encoder in text.items()
            for name, weight in encoder.named_parameters()
        },
        vae={},
        channels=320,
        factor=8,
        latent_channels=4,
        text_width=768,
    )
    for algorithm in ("lora", "locon", "lokr", "oft", "full", "ia3", "norm"):
        config = AdapterConfig(
            algorithm=algorithm,
            rank=8,
            alpha=4.0,
            convolutions=algorithm not in ("lora", "ia3"),
            conv_rank=4,
            factor=4,
            text_encoder=algorithm != "norm",
            blocks={"IN": 0.0},
        )
        wanted = [each for each in targets_of(config, unet, tuple(encoders)) if not each.block.startswith("IN")]
        figures = planned_figures(base, config)
        assert sum(part.modules for part in figures) == len(wanted), algorithm
        assert sum(part.parameters for part in figures) == sum(map(counted, wanted)), algorithm


def counted(target: Target) -> int:
    weight, bias = tuple(target.layer.weight.shape), getattr(target.layer, "bias", None)
    if target.algorithm.name in ("full", "norm"):
        return math.prod(weight) + (0 if bias is None else bias.numel())
    if target.algorithm.name == "ia3":
        return weight[1] if target.path.endswith((".ff.net.2", ".mlp.fc2")) else weight[0]
    return target.algorithm.trained.parameters(weight, False, LayerConfig(rank=4 if target.large else 8, factor=4))


def test_the_plan_says_what_the_adapter_acts_with(base):
    shapes = base_shapes(find_folder("miniature", None))
    config = AdapterConfig(algorithm="locon", rank=16, alpha=8.0, convolutions=True, conv_rank=4, conv_alpha=1.0)
    assert [str(part) for part in planned_figures(shapes, config)] == [
        "unet: 115 modules, 542,464 parameters, scale 8/16 = 0.5 (97 linear layers), 1/4 = 0.25 (18 convolutions)"
    ]
    stabilized = planned_figures(shapes, replace(config, rank_stabilized=True))
    assert stabilized[0].linear == ((32.0, 16, 97),), "8 / √16 = 2 = 32 / 16"
    assert stabilized[0].large == ((2.0, 4, 18),)


@pytest.mark.parametrize("blocks", [{"IN": 0.0, "MID": 0.0, "OUT": 0.0}])
def test_an_adapter_that_would_train_nothing_is_refused_before_the_run_and_in_it(blocks, base):
    config = AdapterConfig(algorithm="lora", rank=4, alpha=4.0, blocks=blocks)
    for attempt in (
        lambda: planned_figures(base_shapes(find_folder("miniature", None)), config),
        lambda: Adapter(config, base.unet),
    ):
        with pytest.raises(PrepError, match="there is nothing to train"):
            attempt()


# --- half precision


@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_layer_in_half_precision_lets_small_changes_act_at_full_strength(bias):
    """A change of a thousandth of the output: half of it is lost when it is added to the rounded output, none on the
    average when the product adds it before it rounds."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(256, 256, bias=bias).to(torch.bfloat16).requires_grad_(False)
    x = torch.randn(512, 256).bfloat16()
    own = layer(x).detach()
    change = (1e-3 * own.float().std() * torch.randn(512, 256)).bfloat16()

    def acting(y: torch.Tensor) -> float:
        seen, wanted = y.float() - own.float(), change.float()
        return float((seen * wanted).sum() / wanted.square().sum())

    # the output is rounded by 2^-9 / sqrt(3), a change of 1e-3 is seen with 1.1 times its own as noise, in 2^17 places
    assert acting(BaseLayer.of(layer).plus(x, change)) == pytest.approx(1.0, abs=0.05)
    assert acting(own + change) < 0.65
    assert acting(BaseLayer.of(layer).plus(x, 100 * change)) == pytest.approx(100.0, rel=2 * BFLOAT16)
