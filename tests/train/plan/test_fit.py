"""What is chosen for a device's memory, and that what a person has given stays."""

from dataclasses import replace

import pytest

from pipeline.core.errors import PrepError
from train.models.options import ModelOptions, PrecisionOptions
from train.options.recipe import make_recipe
from train.plan.fit import decide, fitted, too_large, words
from train.plan.fit_generation import decide_generation
from train.plan.machine import GIB, Machine, machine_of

CARD = Machine("a card", ("bf16", "fp16"), True, True, 8 * GIB, "vram = 8")
CPU = Machine("the CPU", (), True, False, 8 * GIB, "8.0 GiB, half of what is free")


def needs(options: PrecisionOptions) -> int:
    """A run of 12 GiB, of which each way to save takes its part."""
    saved = {"parts": 1, "blocks": 2}.get(options.offload, 0) + (4 if options.gradient_checkpointing else 0)
    saved += {"half": 2, "fp8": 3}.get(options.weights_precision, 0)
    return (12 - saved) * GIB


def chosen(machine: Machine, room: int, **given) -> tuple:
    fit = fitted(PrecisionOptions(**given), replace(machine, room=room * GIB), needs)
    options = fit.options
    return (
        options.mixed_precision,
        options.weights_precision,
        options.gradient_checkpointing,
        options.offload,
        fit.fits,
    )


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (12, ("bf16", "full", False, "none", True)),
        (11, ("bf16", "full", False, "parts", True)),
        (8, ("bf16", "full", True, "none", True)),
        (7, ("bf16", "full", True, "parts", True)),
        (4, ("bf16", "fp8", True, "parts", True)),
        (3, ("bf16", "fp8", True, "blocks", True)),
        (2, ("bf16", "fp8", True, "blocks", False)),
    ],
)
def test_only_as_much_is_saved_as_it_takes_the_cheapest_first(room, expected):
    assert chosen(CARD, room) == expected


def test_on_the_cpu_nothing_leaves_it_and_halves_are_restored_to_float32():
    assert chosen(CPU, 12) == ("no", "full", False, "none", True)
    assert chosen(CPU, 8) == ("no", "full", True, "none", True)
    assert chosen(CPU, 6) == ("no", "half", True, "none", True)
    assert chosen(CPU, 5) == ("no", "fp8", True, "none", True)


def test_what_a_person_has_given_stays():
    assert chosen(CARD, 4, mixed_precision="fp16", weights_precision="full") == ("fp16", "full", True, "blocks", False)
    assert chosen(CARD, 4, gradient_checkpointing=False) == ("bf16", "fp8", False, "blocks", False)
    assert chosen(CARD, 12, gradient_checkpointing=True, offload="parts") == ("bf16", "full", True, "parts", True)
    assert chosen(CARD, 4, offload="none") == ("bf16", "fp8", True, "none", False)


def test_what_was_chosen_is_told_with_where_its_room_is_from():
    fit = fitted(PrecisionOptions(mixed_precision="fp16"), replace(CARD, room=7 * GIB), needs)
    assert list(words(fit, CARD)) == [
        "chosen for a card (vram = 8): weights_precision = full, offload = parts, gradient_checkpointing = true"
    ]
    given = PrecisionOptions(
        mixed_precision="bf16", weights_precision="full", gradient_checkpointing=True, offload="none"
    )
    assert list(words(fitted(given, CARD, needs), CARD)) == []


def test_a_run_that_does_not_fit_is_told_with_what_helps():
    small = replace(CARD, room=2 * GIB)
    fit = fitted(PrecisionOptions(gradient_checkpointing=False), small, needs)
    (said,) = too_large(fit, small)
    assert (
        "needs about 7.0 GiB and there is room for 2.0 GiB" in said
        and "gradient_checkpointing = true" in said
        and "batch_size" in said
    )
    assert list(too_large(fitted(PrecisionOptions(), CARD, needs), CARD)) == []


def test_a_card_of_8_gib_has_less_room_and_free_memory_is_taken_as_it_is():
    assert machine_of("cpu", 8.0).room == round(8 * 0.97 * GIB)
    free = machine_of("cpu", None)
    assert free.half == () and not free.separate and "half of what is free" in free.told


def test_a_recipe_for_the_miniature_on_the_cpu_leaves_nothing_open():
    recipe = make_recipe(base="miniature", device="cpu")
    found = decide(recipe, None, [], False).recipe.precision
    assert found == PrecisionOptions(
        mixed_precision="no", weights_precision="full", gradient_checkpointing=False, offload="none"
    )


def test_weights_in_16_bits_beside_half_precision_are_refused_as_they_do_nothing():
    with pytest.raises(PrepError, match="does nothing beside mixed_precision"):
        make_recipe(base="miniature", weights_precision="half", mixed_precision="bf16")


def test_as_many_images_are_generated_at_once_as_fit():
    model = ModelOptions(base="miniature")
    much = decide_generation(PrecisionOptions(), model, "cpu", (64, 64))
    assert (much.batch_size, much.options.mixed_precision, much.told) == (8, "no", "")
    asked = decide_generation(PrecisionOptions(), model, "cpu", (64, 64), 3)
    assert asked.batch_size == 3
    little = decide_generation(PrecisionOptions(vram=0.025), model, "cpu", (64, 64))
    assert little.batch_size < 8 and "at once" in little.told
