"""Why a person's decision about a single image stands."""

from __future__ import annotations

from pipeline.store.reasons.reason import Reason, Table, Words


class ChoiceReason(Reason):
    BY_PERSON = "by_person"


WORDS: Table = {ChoiceReason.BY_PERSON: Words("decided by you")}
