"""What holds of balance for any sizes and rules."""

from concept_trees import counts
from hypothesis import given as cases
from hypothesis import strategies as st
from sized_sets import images_of

from pipeline.concepts.balance import BalanceRules
from pipeline.concepts.balance import balance as balanced

rules = st.builds(
    BalanceRules,
    weights=st.just({}),
    exponent=st.sampled_from([0.0, 0.4, 1.0]),
    min_repeat=st.sampled_from([0.5, 1.0, 2.0]),
    max_repeat=st.sampled_from([None, 2.0, 9.0]),
    rounding=st.sampled_from(["floor", "nearest", "largest-remainder"]),
)


@cases(counts, rules, st.data())
def test_given_is_kept_and_nothing_else_is_below_min_repeat_or_above_max_repeat(sizes, rules, data):
    images = images_of({concept: min(imgs, 20) for concept, imgs in sizes.items()})
    chosen = data.draw(st.sets(st.sampled_from([image.path for image in images])))
    given = {path: 3.25 if "a" in path else 70.0 for path in chosen}
    found = balanced(images, given, rules)
    assert found == balanced(images[::-1], given, rules)
    assert sum(group.images for group in found.groups) == len(images)
    for group in found.groups:
        assert group.repeat >= 1
        if group.user_set:
            assert group.exact in (3.25, 70.0)
        else:
            assert group.exact >= rules.min_repeat * (1 - 1e-9)
            assert rules.max_repeat is None or group.exact <= rules.max_repeat * (1 + 1e-9)
