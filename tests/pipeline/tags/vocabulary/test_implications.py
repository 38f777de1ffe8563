"""Which mined pairs a name confirms."""

import pytest

from pipeline.tags.vocabulary.head_nouns import says_otherwise


@pytest.mark.parametrize(
    ("child", "parent", "otherwise"),
    [
        ("hot dog", "dog", True),
        ("no shoes", "shoes", True),
        ("fake tail", "tail", True),
        ("holding sword", "sword", False),
    ],
)
def test_a_tag_that_is_known_to_be_something_else_confirms_nothing(child: str, parent: str, otherwise: bool) -> None:
    assert says_otherwise(child, parent) == otherwise
