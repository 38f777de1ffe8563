import pytest

from pipeline.errors import PrepError
from train.recipe import Recipe


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rank", 0, "at least 1"),
        ("learning_rate", 0.0, "above 0"),
        ("caption_dropout", 1.5, "from 0 to 1"),
        ("min_snr_gamma", -1.0, "above 0"),
        ("name", "../evil", "a plain file name"),
        ("name", "", "a plain file name"),
        ("steps", 0, "at least 1"),
        ("prior_loss_weight", -0.5, "0 or more"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_value_seen(field, value, words):
    with pytest.raises(PrepError, match=words) as caught:
        Recipe(**{field: value})
    assert f"{field} is {value!r}" in caught.value.message
    assert field in caught.value.hint


def test_a_warm_up_that_would_do_nothing_is_refused():
    with pytest.raises(PrepError, match="constant scheduler has no warm-up"):
        Recipe(scheduler="constant", warmup_steps=10)
    assert Recipe(scheduler="constant_with_warmup", warmup_steps=10).warmup_steps == 10
