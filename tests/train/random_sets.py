"""Random sets as the sampler sees them, and the batches that a run over them goes through."""

from collections import Counter
from types import SimpleNamespace

from hypothesis import strategies as st

from train.data.batches import planned_batches
from train.data.sampler import SampledImage
from train.options.recipe import make_recipe

SIZES = [(64, 64), (56, 72), (48, 80), (80, 48)]
REPEATS = st.one_of(st.integers(1, 6).map(float), st.integers(1, 400).map(lambda hundredths: hundredths / 100))


@st.composite
def sets(draw) -> list[SampledImage]:
    rows = draw(st.lists(st.tuples(st.sampled_from(SIZES), REPEATS), min_size=1, max_size=24))
    return [SampledImage(f"image {index:02}", size, repeats) for index, (size, repeats) in enumerate(rows)]


def planned(entries: list[SampledImage], start: int = 0, **options) -> list[tuple[int, int, tuple[str, ...]]]:
    """(step, epoch, images) of every batch of a run from a step on."""
    examples = [SimpleNamespace(entry=entry) for entry in entries]
    recipe = make_recipe(**options)
    batches = planned_batches(recipe.batches, recipe.run.seed, examples, start)
    return [(batch.step, batch.epoch, tuple(each.entry.key for each in batch.examples)) for batch in batches]


def exposures_of(batches) -> Counter:
    return Counter(key for _, _, keys in batches for key in keys)
