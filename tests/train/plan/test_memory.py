"""What a run takes of a device's memory: by hand, against what was published, and against what prep's own code takes on
tensors that are counted."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest
import torch

from tests.benchmarks.memory import FP8, Case, peaks
from train.models.families import write_shapes
from train.models.families.known_shapes import family_by_name, known_shapes
from train.models.families.registry import FAMILIES
from train.models.options import ModelOptions, PrecisionOptions
from train.models.shapes import BaseShapes
from train.models.storage import Keeping, Numbers
from train.plan.base_shapes import of_family
from train.plan.base_shapes import shapes_of as plan_shapes
from train.plan.fit import fitted, load_of
from train.plan.machine import GIB, Machine
from train.plan.memory import Load, kept_bytes, memory_of, restored_bytes

BASE = BaseShapes(
    {"a.weight": (100, 10), "a.bias": (100,), "norm.weight": (5,)},
    {"t.weight": (7, 2)},
    {"v.weight": (3,)},
    channels=320,
    factor=8,
    latent_channels=4,
    text_width=768,
)
BF16 = Numbers(torch.bfloat16)


def options(**given) -> PrecisionOptions:
    kept = {
        "mixed_precision": "bf16",
        "weights_precision": "full",
        "gradient_checkpointing": True,
        "offload": "parts",
    }
    return PrecisionOptions(**{**kept, **given})


def test_kept_weights_by_hand():
    assert kept_bytes(BASE.unet, "full", half=False) == 4 * 1105
    assert kept_bytes(BASE.unet, "full", half=True) == 2 * 1100 + 4 * 5, "the norm stays in float32"
    assert kept_bytes(BASE.unet, "half", half=False) == 2 * 1000 + 4 * 105
    assert kept_bytes(BASE.unet, "fp8", half=True) == 1000 + 2 * 100 + 2 * 100 + 4 * 5, (
        "a scale and a bias for each output"
    )
    assert kept_bytes({"token_embedding.weight": (10, 4)}, "fp8", half=True) == 160


def test_what_is_restored_at_once_is_a_block_or_without_checkpointing_a_layer():
    unet = {
        "down.resnets.0.a.weight": (10, 10),
        "down.resnets.0.b.weight": (5, 10),
        "down.resnets.1.a.weight": (10, 10),
    }
    assert restored_bytes(unet, "fp8", half=True, checkpointing=True) == 2 * 150
    assert restored_bytes(unet, "fp8", half=True, checkpointing=False) == 2 * 100
    assert restored_bytes(unet, "half", half=False, checkpointing=True) == 4 * 150
    assert restored_bytes(unet, "half", half=True, checkpointing=True) == restored_bytes(unet, "full", True, True) == 0


def test_a_run_by_hand():
    load = Load(trained=50, images=2, size=(512, 512))
    whole = memory_of(BASE, options(offload="none"), load)
    step = 2 * 64 * 64 * 75_700
    assert dict(whole.phases)["training"] == (2220 + 2 * 14 + 12) + 4 * 50 + 8 * 50 + step
    assert dict(memory_of(BASE, options(), load).phases)["training"] == 2220 + 4 * 50 + 8 * 50 + step
    many = replace(load, trained=10**9)
    assert dict(memory_of(BASE, options(), many).phases)["training"] == 2220 + 16 * 10**9, "all gradients are more"


def test_sdxl_takes_about_the_memory_that_is_published_for_it():
    """SimpleTuner's documentation gives 13.0 and 6.5 GiB for SDXL at 1024 pixels in bf16."""
    shapes = replace(BASE, unet={"w.weight": (2_567_463_684, 1)}, family="sdxl")
    load = Load(trained=0, images=1, size=(1024, 1024))
    found = [memory_of(shapes, options(gradient_checkpointing=each), load).peak / GIB for each in (False, True)]
    assert found == pytest.approx([13.0, 6.5], abs=0.7)


def shapes_of(family: str) -> BaseShapes:
    return of_family(FAMILIES[family])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shapes_in_the_package_are_those_of_empty_models(family):
    assert known_shapes(family) == write_shapes.shapes_of(family)
    assert shapes_of(family).text_width == {"sd1": 768, "sd2": 1024, "sdxl": 1280}[family]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "sd1"),
        ("runwayml/stable-diffusion-v1-5", "sd1"),
        ("stabilityai/stable-diffusion-2-1", "sd2"),
        ("stabilityai/stable-diffusion-xl-base-1.0", "sdxl"),
        ("OnomaAIResearch/Illustrious-XL-v2.0", "sdxl"),
        ("Laxhar/noobai-vpred", "sdxl"),
        ("someone/anything-v2.5", "sd1"),
        ("someone/sd21-anime", "sd2"),
    ],
)
def test_the_family_that_a_name_tells_of(name, family):
    assert family_by_name(name) == family


def test_a_model_that_is_not_downloaded_is_planned_by_its_family_and_that_is_told():
    shapes, told = plan_shapes(ModelOptions(base="stabilityai/stable-diffusion-xl-base-1.0"))
    assert shapes.family == "sdxl" and "taken to be SDXL, by its name" in told
    assert plan_shapes(ModelOptions(base="there/is/no.safetensors"))[0] is None


def keeping_of(chosen: PrecisionOptions) -> Keeping:
    numbers = FP8 if chosen.weights_precision == "fp8" else BF16
    streamed = replace(numbers, streamed=chosen.offload == "blocks")
    return Keeping(streamed, numbers, lean=chosen.offload != "none")


def counted_and_planned(case: Case, chosen: PrecisionOptions) -> tuple[dict[str, float], dict[str, float]]:
    """Peaks of the phases in GiB: counted on a device that computes nothing, and as the plan has them."""
    case = replace(
        case,
        keeping=keeping_of(chosen),
        options={**case.options, "gradient_checkpointing": chosen.gradient_checkpointing},
    )
    # autograd asks once, at the first way back, how many devices there are: a process of its own has this one from the start
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        found = alone.submit(peaks, case, ("cache", "train")).result()
    load = load_of(case.recipe, shapes_of(case.family), [case.size], case.regularized)
    planned = dict(memory_of(shapes_of(case.family), chosen, load).phases)
    return (
        {"cache": found["cache"]["device"] / GIB, "train": found["train"]["device"] / GIB},
        {"cache": planned["caching latents"] / GIB, "train": planned["training"] / GIB},
    )


SD1 = Case(
    family="sd1", size=(512, 512), batch_size=4, regularized=True, options={"rank": 32}, keeping=Keeping(BF16, BF16)
)
SDXL = Case(family="sdxl", size=(1024, 1024), options={"rank": 32}, keeping=Keeping(BF16, BF16))


@pytest.mark.long
@pytest.mark.parametrize(
    ("case", "given"),
    [
        pytest.param(SD1, {}, id="sd1"),
        pytest.param(SD1, {"offload": "none", "gradient_checkpointing": False}, id="sd1-all", marks=pytest.mark.slow),
        pytest.param(SDXL, {}, id="sdxl", marks=pytest.mark.slow),
        pytest.param(SDXL, {"weights_precision": "fp8"}, id="sdxl-fp8", marks=pytest.mark.slow),
        pytest.param(SD1, {"offload": "blocks"}, id="sd1-blocks", marks=pytest.mark.slow),
        pytest.param(SDXL, {"offload": "blocks"}, id="sdxl-blocks", marks=pytest.mark.slow),
        pytest.param(
            replace(SDXL, options={"rank": 32, "train_text_encoder": True}), {}, id="sdxl-text", marks=pytest.mark.slow
        ),
    ],
)
def test_the_plan_says_what_preps_own_code_takes(case, given):
    """And no step waits for the device: fake tensors have no numbers, and one that was asked for its own would raise."""
    counted, planned = counted_and_planned(case, options(**given))
    assert planned == pytest.approx(counted, rel=0.1)


CARD = Machine("a card", ("bf16",), True, True, round((8 - 0.55) * 0.97 * GIB), "vram = 8")


@pytest.mark.parametrize(
    "case",
    [pytest.param(SD1, id="sd1", marks=pytest.mark.slow), pytest.param(SDXL, id="sdxl", marks=pytest.mark.slow)],
)
def test_a_run_for_8_gib_never_exceeds_them(case):
    load, shapes = load_of(case.recipe, shapes_of(case.family), [case.size], case.regularized), shapes_of(case.family)
    fit = fitted(PrecisionOptions(vram=8.0), CARD, lambda chosen: memory_of(shapes, chosen, load).peak)
    assert fit.fits
    counted, _ = counted_and_planned(case, fit.options)
    assert max(counted.values()) < 8 - 0.55


def test_the_device_that_counts_tells_host_and_device_apart_and_computes_in_half_precision():
    said = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.split() == ["4096", "4096", "torch.bfloat16", "1000", "0"], said.stderr


COUNTED = """
import torch
from tests.benchmarks.fake_device import NAME, counting, fake_device
device = fake_device()
with counting() as counter:
    host = torch.empty(1000)
    there = torch.empty(1000, device=device, requires_grad=True)
    print(counter.live["cpu"], counter.live[NAME])
    with torch.autocast(NAME, torch.bfloat16):
        product = torch.nn.functional.linear(there, torch.empty(10, 1000, device=device))
    print(product.dtype)
    product.float().sum().backward()
    print(len(there.grad))
    del host
    print(counter.live["cpu"])
"""
