"""What stands for a caption when a regularization image is asked for: trigger words kept, left out, or their class word."""

import pytest
from decided import scored, trigger

from pipeline.concepts.regularization.class_words import ClassWords
from pipeline.store.reasons.tagging import RegularizationReason
from pipeline.store.reasons.tags import TagReason
from pipeline.store.values.tags import TagAction, TagDecision
from pipeline.tags.statistics.core_tags import STYLES

MARK = TagDecision("|||", TagAction.ADDED, TagReason.KEEP_SEPARATOR)
LUMI = (trigger("Lumi"), scored("smile"))


def text(caption, words, concept="characters/Lumi", tags=LUMI):
    return words.prompt(caption, tags, concept).text


def test_a_class_word_takes_the_place_of_a_trigger_word():
    words = ClassWords(word="girl")
    assert words.prompt("Lumi, smile", LUMI, "Lumi") == ("girl, smile", RegularizationReason.CLASS_WORD)
    assert text("Lumi, |||, smile", words, tags=(*LUMI, MARK)) == "girl, smile"


def test_a_class_word_that_the_caption_says_too_is_said_once():
    assert text("Lumi, smile, 1girl", ClassWords(word="1girl")) == "1girl, smile"
    both = (trigger("Lumi"), trigger("Alder"))
    assert text("Lumi, Alder, smile", ClassWords(word="person"), tags=both) == "person, smile"


def test_a_trigger_word_has_its_own_class_word_before_that_of_its_concept_and_of_all():
    words = ClassWords(word="girl", words={"Alder": "1boy", "characters/*": "person"})
    both = (trigger("Lumi"), trigger("Alder"))
    assert text("Lumi, Alder, smile", words, "characters/Lumi+Alder", both) == "person, 1boy, smile"
    assert text("Lumi, Alder, smile", words, "pairs/x", both) == "girl, 1boy, smile"
    assert text("lumi, smile", ClassWords(words={"Lumi": "girl"}), tags=(trigger("lumi"),)) == "girl, smile"


def test_a_trigger_word_within_a_sentence_is_replaced_as_a_whole_word_only():
    assert text("Lumi, Lumi walks past Lumiere", ClassWords(word="a girl")) == "a girl, a girl walks past Lumiere"


def test_every_line_of_a_caption_gets_its_class_word():
    assert text("Lumi, smile\nLumi, hat", ClassWords(word="girl")) == "girl, smile\ngirl, hat"


def test_a_caption_of_trigger_words_alone_becomes_the_class_word_and_an_empty_one_too():
    assert text("Lumi", ClassWords(word="girl")) == "girl"
    assert text("", ClassWords(word="girl"), tags=()) == "girl"
    assert text("Lumi", ClassWords(trigger="remove")) == ""


def test_styles_have_no_class_word_unless_one_is_given_for_them():
    words = ClassWords(word="girl", styles=STYLES)
    alder = (trigger("alder"),)
    assert text("alder, forest", words, "artists/alder", alder) == "alder, forest"
    named = ClassWords(word="girl", words={"artists/*": "artwork"}, styles=STYLES)
    assert text("alder, forest", named, "x/artists/alder", alder) == "artwork, forest"


def test_trigger_words_without_a_class_word_are_kept_or_left_out_as_asked():
    both = (trigger("Lumi"), trigger("Alder"))
    words = ClassWords(words={"Lumi": "girl"}, trigger="remove")
    assert text("Lumi, Alder, smile", words, tags=both) == "girl, smile"


def test_without_class_words_a_caption_is_as_it_was():
    assert ClassWords().prompt("Lumi, a,b", LUMI, "Lumi") == ("Lumi, a,b", RegularizationReason.SAME_CAPTION)


@pytest.mark.parametrize(("key", "idle"), [("Lumi", []), ("LUMI", []), ("characters/*", []), ("Nobody", ["Nobody"])])
def test_a_class_word_for_nobody_is_found(key, idle):
    assert list(ClassWords(words={key: "girl"}).idle(["characters/Lumi"], ["Lumi"])) == idle
