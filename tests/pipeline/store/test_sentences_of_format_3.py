"""Sentences that format 3 stored become codes with data, which say the same in today's words."""

from __future__ import annotations

import json

import pytest

from pipeline.core.humanize import counted as counted_of
from pipeline.store.migrations.to_4.decisions import Columns, columns_now
from pipeline.store.migrations.to_4.names import FIELDS
from pipeline.store.migrations.to_4.sentences import check, others, sources
from pipeline.store.migrations.to_4.sentences.counts import count_name, counts_now
from pipeline.store.reasons.by_field import reason_of
from pipeline.store.reasons.reason import Recorded
from pipeline.store.records import Decision
from pipeline.store.tables.rows import decision
from pipeline.store.wording import counted, figures, phrase


def now(field: str, value: object, reason: str, evidence: str) -> Decision:
    """The decision as it is read today."""
    columns = columns_now(field, Columns(json.dumps(value), reason, evidence))
    return decision("p", FIELDS.get(field, field), *map(str, columns))


SIZED = "48×80, sharpness 7773, contrast 47"
BUCKET = {"size": [64, 64], "scaled": [70, 64], "crop": [6, 0, 70, 64], "loss": 0.086, "anchor": "right"}
TWIN = {"path": "r/a.png", "caption": "1girl", "size": [48, 80], "seed": 420}
SAME = (
    ("placed", "x", "placed", "", "imported", ""),
    ("placed", "x", "renamed, unsafe name", "a link to /a b", "renamed, unsafe name", "a link to /a b"),
    (
        "placed",
        None,
        "source vanished",
        "and the picture in the set too",
        "source vanished",
        "and the image in the set too",
    ),
    ("placed", None, "moved", "images/x/a.png", "moved", "images/x/a.png"),
    ("placed", "x", "caption taken in", "", "caption imported", ""),
    ("placed", None, "text without a picture", "", "text without an image", ""),
    (
        "placed",
        None,
        "caption is not UTF-8",
        "invalid start byte at byte 3",
        "caption is not UTF-8",
        "invalid start byte at byte 3",
    ),
    ("placed", None, "set aside for another caption file", "a.txt", "excluded for another caption file", "a.txt"),
    ("placed", None, "metadata taken in", "caption, multiplier", "metadata imported", "caption, repeats"),
    (
        "placed",
        None,
        "metadata names no picture",
        "0 of 3 entries name a picture; wrong: 1, such as line 2: not JSON",
        "metadata names no image",
        "0 of 3 entries name an image; wrong: 1, such as line 2: not JSON",
    ),
    (
        "placed",
        None,
        "multiply.txt holds no number above 0",
        "'zero\\n'",
        "multiply.txt holds no number above 0",
        "'zero\\n'",
    ),
    ("placed", None, "link loop", "back to /a", "link loop", "back to /a"),
    ("placed", None, "cannot be read", "Permission denied", "cannot be read", "Permission denied"),
    ("given", 3.0, "repeats in the folder's name", "3_Oriel", "repeats in the folder's name", "3_Oriel"),
    (
        "given",
        2.5,
        "multiplier in metadata",
        "meta.csv line 3, before multiply.txt 3, before 2_x of the folder's name",
        "repeats in metadata",
        "meta.csv line 3, before multiply.txt 3, before 2_x of the folder's name",
    ),
    ("human", "a", "written by a person", "came with the picture", "manual caption", "came with the image"),
    ("human", "a", "written by a person", "a new file", "manual caption", "a new file"),
    ("human", "a", "written by a person", "-smile, +hat", "manual caption", "-smile, +hat"),
    (
        "human",
        "a",
        "edited with prep tags",
        "+grin, boots → red boots",
        "edited with prep tags",
        "+grin, boots → red boots",
    ),
    ("human", None, "caption file is not UTF-8", "17 bytes", "caption file is not UTF-8", "17 bytes"),
    ("keep", True, "good", SIZED, "good", SIZED),
    (
        "keep",
        True,
        "good",
        f"{SIZED}, enlarged 1.03 times for 64²",
        "good",
        f"{SIZED}, upscaled 1.03 times for 64²",
    ),
    ("keep", False, "left out by you", "48×80", "excluded by you", "48×80"),
    (
        "keep",
        True,
        "kept by you",
        f"{SIZED}; also blurry (sharpness 1.0 < 5); turned by EXIF (orientation 6)",
        "kept by you",
        f"{SIZED}; also blurry (sharpness 1.0 < 5); EXIF-rotated (orientation 6)",
    ),
    (
        "keep",
        False,
        "too long",
        "600×90, aspect 6.67 > 4; also transparent, put on white",
        "too long",
        "600×90, aspect 6.67 > 4; also transparent, put on white",
    ),
    (
        "keep",
        True,
        "letterboxed",
        f"30 px above and 30 px below, {SIZED}",
        "letterboxed",
        f"30 px above and 30 px below, {SIZED}",
    ),
    (
        "keep",
        True,
        "colour profile, made sRGB",
        f"Adobe RGB, {SIZED}",
        "colour profile, made sRGB",
        f"Adobe RGB, {SIZED}",
    ),
    ("keep", True, "16 bits, scaled to 8", f"I;16, {SIZED}", "16 bits, scaled to 8", f"I;16, {SIZED}"),
    ("keep", True, "transparent, put on white", SIZED, "transparent, put on white", SIZED),
    (
        "keep",
        False,
        "truncated",
        "truncated: image file is truncated",
        "truncated",
        "truncated: image file is truncated",
    ),
    ("keep", False, "duplicate", "same content as images/a b.png", "duplicate", "same content as images/a b.png"),
    (
        "keep",
        False,
        "near-duplicate of a training picture",
        "0 of 256 bits from the 64×64 images/a.png",
        "near-duplicate of a training image",
        "0 of 256 bits from the 64×64 images/a.png",
    ),
    (
        "bucket",
        BUCKET,
        "enlarged and cropped, right kept",
        "32×30 at 2.13 to 64×64, 8.6% cut away, moved 3 px right",
        "upscaled and cropped, right kept",
        "32×30 at 2.13 to 64×64, 8.6% cropped, moved 3 px right",
    ),
    ("tagger", "m@1/x", "used last", "m: sha256 68a7", "used last", "m: sha256 68a7"),
    ("tags", [], "scores by a + b", "a@1/x + b@2/y", "scores by a + b", "a@1/x + b@2/y"),
    ("tags", [], "tags by a person", "", "tags of a manual caption", ""),
    ("overlay", [["remove", "hat"]], "edited with prep tags", "-hat", "edited with prep tags", "-hat"),
    ("caption", "a", "chosen", "14 tags, 1 more considered", "chosen", "14 tags, 1 more considered"),
    (
        "caption",
        "a",
        "written by a person, trigger words put in front",
        "a new file",
        "manual caption, trigger words put in front",
        "a new file",
    ),
    (
        "flags",
        ["watermark", "text"],
        "flagged: watermark, text",
        "watermark 0.92, logo 0.40; english text 0.60",
        "flagged: watermark, text",
        "watermark 0.92, logo 0.40; english text 0.60",
    ),
    (
        "cut",
        ["a"],
        "tags beyond 75 tokens",
        "6 tokens more than are read",
        "tags beyond 75 tokens",
        "6 tokens more than are read",
    ),
    (
        "multiplier",
        {"exact": 1.5, "repeat": 1},
        "share of its concept",
        "25.00% promised, 1 234 pictures of a/b",
        "share of its concept",
        f"target share 25.00%, {counted_of(1234, 'image')} of a/b",
    ),
    (
        "multiplier",
        {"exact": 3.0, "repeat": 3},
        "given by its folder",
        "3 an epoch, 3_Oriel",
        "set by its folder",
        "3 an epoch, 3_Oriel",
    ),
    (
        "twin",
        TWIN,
        "same caption",
        "seeds 420, 421, 4 DDIM steps, guidance 5",
        "same caption",
        "seeds 420, 421, 4 DDIM steps, guidance 5",
    ),
    (
        "twin",
        TWIN,
        "given pictures",
        "3 in turn, cropped by 1.5% on average, 4.0% at most",
        "user-supplied images",
        "3 in turn, cropped by 1.5% on average, 4.0% at most",
    ),
)


@pytest.mark.parametrize(("field", "value", "reason", "evidence", "said", "behind"), SAME)
def test_a_decision_says_the_same_in_today_s_words(field, value, reason, evidence, said, behind) -> None:
    found = now(field, value, reason, evidence)
    assert (phrase(found), figures(found)) == (said, behind)
    assert found.reason != Recorded.AS_RECORDED


TAGS = (
    ("added", "trigger word", "trigger word"),
    ("kept", "1.00 ≥ 0.60", "1.00 ≥ 0.60"),
    ("dropped", "below its threshold: 0.56 < 0.60", "below its threshold: 0.56 < 0.60"),
    ("kept", "a 0.40 ≥ 0.30, b 0.40 < 0.50", "a 0.40 ≥ 0.30, b 0.40 < 0.50"),
    ("kept", "mean 0.61 ≥ 0.40 of a 0.40 ≥ 0.30, b 0.82 ≥ 0.50", "mean 0.61 ≥ 0.40 of a 0.40 ≥ 0.30, b 0.82 ≥ 0.50"),
    ("dropped", "core of Lumi: in 6 of 6 pictures, 0 of 5 others", "core of Lumi: in 6 of 6 images, 0 of 5 others"),
    (
        "dropped",
        "core of two pictures: in 6 of 7 pictures, no other pictures to compare",
        "core of two pictures: in 6 of 7 images, no other images to compare",
    ),
    ("dropped", "core of Lumi: as asked", "core of Lumi: as asked"),
    (
        "kept",
        "core of Lumi, kept as asked: in 8 of 10 pictures, 0 of 20 others",
        "core of Lumi, kept as asked: in 8 of 10 images, 0 of 20 others",
    ),
    ("kept", "core of Lumi, but there are 2 persons", "core of Lumi, but there are 2 persons"),
    ("dropped", "blue kimono says more", "implied by blue kimono"),
    ("renamed", "to red boots: boots + red footwear", "to red boots: boots + red footwear"),
    ("added", "from boots: boots + red footwear", "from boots: boots + red footwear"),
    ("renamed", "to wink: rename", "to wink: rename"),
    ("renamed", "to :d: another name of it", "to :d: another name of it"),
    ("renamed", "to red boots: replaced by you", "to red boots: replaced by you"),
    ("dropped", "removed by you", "removed by you"),
    ("kept", "put back by you", "restored by you"),
    ("kept", "written by a person", "manual caption"),
    ("added", "the most probable rating", "the most probable rating"),
    ("dropped", "quality flag: watermark", "quality flag: watermark"),
    ("dropped", "blacklist: *background*", "blacklist: *background*"),
    ("dropped", "copyright tags are left out", "copyright tags are excluded"),
    ("dropped", "beyond the limit of 3 tags", "beyond the limit of 3 tags"),
    (
        "renamed",
        "to blonde hair: mended hair colour: brown hair 0.60; blonde hair in 11 of 12 pictures of Lumi, here 0.30",
        "to blonde hair: fixed hair colour: brown hair 0.60; blonde hair in 11 of 12 images of Lumi, here 0.30",
    ),
    (
        "dropped",
        "mended hair colour: brown hair 0.80 beside blonde hair 0.50",
        "fixed hair colour: brown hair 0.80 beside blonde hair 0.50",
    ),
    (
        "added",
        "mended eye colour: blue eyes in 9 of 10 pictures of Lumi, here 0.20",
        "fixed eye colour: blue eyes in 9 of 10 images of Lumi, here 0.20",
    ),
)


@pytest.mark.parametrize(("action", "reason", "said"), TAGS)
def test_what_became_of_a_tag_says_the_same_in_today_s_words(action, reason, said) -> None:
    (row,) = now("tags", [["picture frame", action, reason]], "no scores", "m@1/x").value
    assert (row.tag, row.action, phrase(row)) == ("picture frame", action, said)


def test_contradictions_know_how_many_images_say_otherwise() -> None:
    old = {"slot": "hair colour", "dominant": "blonde hair", "rival": "brown hair", "score": 0.6, "dominant_score": 0.3}
    old |= {"share": 0.9167, "fix": "replace", "mended": False}
    eyes = {**old, "slot": "eye colour", "dominant": "blue eyes", "rival": "", "score": None, "dominant_score": None}
    eyes |= {"fix": "look", "mended": True}
    text = (
        "brown hair 0.60; blonde hair in 11 of 12 pictures of Lumi, here 0.30; "
        "blue eyes in 9 of 10 pictures of Lumi, not seen here"
    )
    found = now("contradictions", [old, eyes], "at odds: hair colour; mended: eye colour", text)
    assert phrase(found) == "conflicting: hair colour; fixed: eye colour"
    assert figures(found) == text.replace("pictures", "images")
    assert [(each.attribute, each.images, each.total, each.fixed) for each in found.value] == [
        ("hair colour", 11, 12, False),
        ("eye colour", 9, 10, True),
    ]


@pytest.mark.parametrize("field", ["placed", "keep", "caption", "bucket", "multiplier", "twin", "cut"])
def test_a_sentence_that_nothing_stands_for_is_kept_as_it_is(field: str) -> None:
    value = {"bucket": BUCKET, "multiplier": {"exact": 1.0, "repeat": 1}, "twin": TWIN}.get(field)
    found = now(field, value, "as I like it", "12 of 13")
    assert (phrase(found), figures(found)) == ("as I like it", "12 of 13") and found.reason == Recorded.AS_RECORDED
    (row,) = now("tags", [["hat", "kept", "as I like it"]], "no scores", "").value
    assert phrase(row) == "as I like it"


def test_every_code_is_one_of_today() -> None:
    for sentence in check.SENTENCES.values():
        assert reason_of("keep", sentence.code) != Recorded.AS_RECORDED
    for sentence in sources.SENTENCES.values():
        assert reason_of("imported", sentence.code) != Recorded.AS_RECORDED
    known = [count_name(name) for name in (*check.SENTENCES, *sources.SENTENCES, *others.PHRASES, *others.EVENTS)]
    assert all(counted(key) != key or " " not in key for key in known)


def test_counts_have_today_s_keys_and_what_one_key_stands_for_is_counted_together() -> None:
    assert counts_now({"at odds: hair colour": 2, "at odds: eye colour": 1, "as copy": 5, "flag: text": 1}) == {
        "conflicting": 3,
        "linked:copy": 5,
        "flag:text": 1,
    }
    assert count_name("tags that came or went by fast decoding, in 3 pictures") == "changed_by_fast_decoding:3"
    assert count_name("good") == "good" and count_name("something else: 3") == "something else: 3"
