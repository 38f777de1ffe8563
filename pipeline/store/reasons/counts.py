"""What runs count beside reasons: keys whose words are not the key itself without its underscores.

Behind a colon a key may say what it is about, as in `linked:copy`; it stands for {} in the words.
"""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "unreadable_images": "could not be read",
    "linked": "as {}",
    "written_as": "as {}",
    "flag": "flag: {}",
    "to_score": "to score with {}",
    "scored_before_by": "scored before by {}",
    "scored_on": "scored on {}",
    "scored_by": "scored by {}",
    "changed_by_fast_decoding": "tags that came or went by fast decoding, in {} images",
    "training_exposures": "exposures in the planned training, about",
    "removed": "no longer wanted, removed",
    "edited_by_a_person": "changed by a person, left alone",
    "in_the_way": "not written, others in their place",
    "strangers": "not of prep, left alone",
    "manual_caption_changed": "manual caption changed",
    "for_later": "nothing to change now, holds for later captions",
    "no_caption_yet": "no caption yet, holds when there is one",
}
