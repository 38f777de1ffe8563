"""What a more exact tag makes needless, why, and which of the two is kept."""

import pytest

from pipeline.core.errors import PrepError
from pipeline.store.reasons.tags import TagCause, TagReason
from pipeline.store.wording import figures, phrase, sentence
from pipeline.tags.danbooru import tables
from pipeline.tags.vocabulary.head_nouns import says_otherwise
from pipeline.tags.vocabulary.implications import Implications, danbooru


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


def test_what_follows_at_several_removes_names_every_step() -> None:
    cause = danbooru().cause("swimsuit", "sports bikini")
    assert phrase(cause) == "implied by sports bikini"
    assert figures(cause) == "sports bikini → bikini → swimsuit (its last words, Danbooru)"
    assert figures(danbooru().cause("hat", "witch hat")) == "witch hat → hat (Danbooru)"
    assert figures(danbooru().cause("outdoors", "beach")) == "beach → outdoors (prep's own table)"


def test_a_persons_rules_and_the_sets_scores_are_named_as_such() -> None:
    known = Implications({}, asked=[("maid", "apron")], mined={"holding crystal": ("crystal",)})
    assert figures(known.cause("apron", "maid")) == "maid → apron (your rules)"
    assert figures(known.cause("crystal", "holding crystal")) == "holding crystal → crystal (this set's scores)"


def test_an_older_row_without_steps_is_worded_as_before() -> None:
    assert sentence(TagCause(TagReason.IMPLIED, {"by": "witch hat"})) == "implied by witch hat"


@pytest.mark.parametrize(("exact", "general"), [("4koma", "comic"), ("cloudy sky", "sky"), ("greyscale", "monochrome")])
def test_what_holds_of_the_whole_image_acts_with_two_people(exact: str, general: str) -> None:
    assert danbooru().needless([exact, general], one_person=False) == {general: exact}


def test_with_two_people_only_a_persons_own_rules_speak_of_one_of_them() -> None:
    tags = ["witch hat", "hat", "blue dress", "dress", "holding crystal", "crystal", "maid", "apron"]
    known = Implications(tables.implications(), asked=[("maid", "apron")], mined={"holding crystal": ("crystal",)})
    assert known.needless(tags, one_person=False) == {"apron": "maid"}
    assert set(known.needless(tags, one_person=True)) == {"hat", "dress", "crystal", "apron"}


def test_rules_that_go_in_a_circle_leave_one_tag() -> None:
    known = Implications({"a thing": ("b thing",)}, asked=[("b thing", "a thing")])
    assert known.needless(["a thing", "b thing"], one_person=True) == {"b thing": "a thing"}


def test_a_class_keeps_its_exact_tags_both_or_the_general_one() -> None:
    tags = ["witch hat", "hat", "katana", "sword", "weapon"]
    known = Implications(tables.implications(), levels={"hat": "both", "weapon": "general"})
    assert known.needless(tags, one_person=True) == {"sword": "katana", "weapon": "katana"}
    assert [known.general(tag) for tag in tags] == ["witch hat", "hat", "weapon", "weapon", "weapon"]
    everything = Implications(tables.implications(), levels={"*": "both", "sword": "specific"})
    assert everything.needless(tags, one_person=True) == {"sword": "katana"}


def test_the_most_exact_class_rules() -> None:
    known = Implications(tables.implications(), levels={"weapon": "general", "sword": "specific"})
    assert known.general("katana") == "katana" and known.general("rifle") == "weapon"


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"hat": "most"}, "levels: hat = 'most'"),
        ({"hta": "both"}, "levels: no tag implies 'hta'; near it are .*hat"),
        ({"*": "general"}, r"levels: \* = general would leave no tag"),
    ],
)
def test_a_class_or_level_that_is_none_is_refused(levels: dict[str, str], message: str) -> None:
    with pytest.raises(PrepError, match=message):
        Implications(tables.implications(), levels=levels)
