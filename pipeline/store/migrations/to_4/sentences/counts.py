"""What runs counted, by the keys of version 4."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from pipeline.store.migrations.to_4.sentences import check, others, sources

_REASONS = {
    **{phrase: sentence.code for table in (check.SENTENCES, sources.SENTENCES) for phrase, sentence in table.items()},
    **others.EVENTS,
    **others.PHRASES,
    "good": "good",
    "kept by you": "kept_by_user",
    "letterboxed": "letterboxed",
    "letterboxed, left out": "letterboxed_excluded",
    "source vanished": "source_vanished",
    "metadata taken in": "metadata_imported",
    "repeats in the folder's name": "folder_name",
    "multiply.txt": "multiply_file",
    "multiplier in metadata": "metadata",
    "share of its concept": "share_of_concept",
    "held at max_repeat": "capped",
    "given by its folder": "user_set",
}
_OTHERS = {
    "pictures": "images",
    "pictures held out": "images_held_out",
    "regularization twins": "regularization_images",
    "showings an epoch": "exposures_an_epoch",
    "showings in the run": "exposures_in_the_run",
    "showings in the planned training, about": "training_exposures",
    "effective sample size": "effective_sample_size",
    "full batches": "full_batches",
    "short batches": "partial_batches",
    "steps taken up from an earlier run": "resumed_steps",
    "pictures made": "images_made",
    "pictures already there": "images_already_there",
    "pictures painted": "images_generated",
    "given pictures in use": "user_supplied_images",
    "contact sheets": "contact_sheets",
    "crops drawn": "crops_drawn",
    "pictures that could not be drawn": "images_not_drawn",
    "scored before": "scored_before",
    "could not be read": "unreadable_images",
    "new or changed": "new_or_changed",
    "as they should be": "unchanged",
    "no longer wanted, taken away": "removed",
    "changed by a person, left alone": "edited_by_a_person",
    "not written, others in their place": "in_the_way",
    "not of prep, left alone": "strangers",
    "caption changed": "caption_changed",
    "caption by a person changed": "manual_caption_changed",
    "nothing to change now, holds for later captions": "for_later",
    "as it was": "as_it_was",
    "no caption yet, holds when there is one": "no_caption_yet",
    "caption files": "caption_files",
    "other files": "other_files",
}
_PATTERNS = (
    (r"as (text|shard|cropped PNG)", r"written_as:\1"),
    (r"as (\w+)", r"linked:\1"),
    (r"flag: (.+)", r"flag:\1"),
    (r"to score with (.+)", r"to_score:\1"),
    (r"scored before by (.+)", r"scored_before_by:\1"),
    (r"scored by (.+ on .+)", r"scored_by:\1"),
    (r"scored on (.+)", r"scored_on:\1"),
    (r"tags that came or went by fast decoding, in (\d+) pictures", r"changed_by_fast_decoding:\1"),
    (r"\d+ bits, scaled to 8", "deep_colour"),
    (r"size as it is and cropped.*", "unscaled_cropped"),
    (r"reduced and cropped.*", "downscaled_cropped"),
    (r"enlarged and cropped.*", "upscaled_cropped"),
    (r"scores by .+", "scored_tags"),
    (r"flagged: .+", "flagged"),
    (r"at odds: .+", "conflicting"),
    (r"mended: .+", "fixed_conflicts"),
    (r"tags beyond \d+ tokens", "truncated_tags"),
)


def count_name(name: str) -> str:
    """What a run counted, by its key now; what version 3 did not count stays as it is."""
    known = _REASONS.get(name) or _OTHERS.get(name)
    if known is not None:
        return known
    found = ((re.fullmatch(pattern, name), key) for pattern, key in _PATTERNS)
    return next((match.expand(key) for match, key in found if match is not None), name)


def counts_now(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of a run; what one key stands for now is counted together."""
    found: Counter[str] = Counter()
    for name, count in counts.items():
        found[count_name(name)] += count
    return dict(found)
