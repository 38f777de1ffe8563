"""Every reason has words, no two reasons have one code, and a sentence says what its data say."""

import pytest

from pipeline.store import wording
from pipeline.store.reasons import balance, bucket, captions, check, choices, counts, placement, tagging, tags
from pipeline.store.reasons.by_field import reason_of
from pipeline.store.reasons.check import CheckReason
from pipeline.store.reasons.reason import Cause, Reason, Recorded
from pipeline.store.reasons.tags import TagReason

ROOMS = (balance, bucket, captions, check, choices, placement, tagging, tags)


def enums() -> list[type[Reason]]:
    return [enum for enum in Reason.__subclasses__() if enum.__module__.startswith("pipeline.store")]


def test_every_reason_has_words() -> None:
    reported = {reason for room in ROOMS for reason in room.WORDS}
    assert {reason for enum in enums() for reason in enum} - {*Recorded, TagReason.AS_RECORDED} == reported


def test_no_two_reasons_have_one_code_as_they_are_counted_by_it() -> None:
    codes = [reason.value for enum in enums() for reason in enum if reason.value != Recorded.AS_RECORDED.value]
    assert sorted(codes) == sorted(set(codes)) and not set(codes) & set(counts.WORDS)


def test_what_is_counted_is_reported_without_any_data() -> None:
    for reason in (reason for enum in enums() for reason in enum):
        assert "{" not in wording.counted(reason) and "<function" not in wording.counted(reason)
    assert wording.counted(CheckReason.DEEP_COLOUR) == "more than 8 bits, scaled to 8"
    assert wording.counted("scored_by:miniature on CPU") == "scored by miniature on CPU"
    assert wording.counted("images_made") == "images made"
    assert wording.counted("an older count: 3") == "an older count: 3", "as it was kept"


@pytest.mark.parametrize(
    ("reason", "data", "said"),
    [
        (CheckReason.BLURRY, {"sharpness": 9.0, "least": 40.0}, "blurry: sharpness 9.0 < 40"),
        (CheckReason.DUPLICATE, {"of": "images/a/b.png"}, "duplicate: same content as images/a/b.png"),
        (CheckReason.MISSING, {}, "missing: not in the set's folder, or not allowed to be read"),
        (TagReason.IMPLIED, {"by": "witch hat"}, "implied by witch hat"),
        (TagReason.BELOW_THRESHOLD, {"score": 0.35, "threshold": 0.35}, "below its threshold: 0.35 < 0.35"),
        (
            TagReason.JOINED,
            {"to": "red boots", "parts": ["boots", "red footwear"]},
            "to red boots: boots + red footwear",
        ),
        (Recorded.AS_RECORDED, {"reason": "{odd}", "evidence": "1 < 2"}, "{odd}: 1 < 2"),
    ],
)
def test_a_reason_is_reported_in_a_short_sentence(reason: Reason, data: dict, said: str) -> None:
    assert wording.sentence(Cause(reason, data)) == said


def test_a_code_that_a_field_does_not_have_is_refused() -> None:
    assert reason_of("keep", "blurry") is CheckReason.BLURRY
    with pytest.raises(ValueError, match="trigger_word"):
        reason_of("keep", "trigger_word")
