"""Where an image's repeats come from."""

from __future__ import annotations

from pipeline.core.humanize import counted
from pipeline.store.reasons.placement import RepeatsSource, source_words
from pipeline.store.reasons.reason import Cause, Data, Reason, Table, Words


class BalanceReason(Reason):
    """Data: `target` share, `images` and `concept`; of user-set repeats `exact` and `source`, a [code, data]."""

    SHARE = "share_of_concept"
    CAPPED = "capped"
    USER_SET = "user_set"
    CHOSEN = "repeats_chosen"


def _share(data: Data) -> str:
    return f"target share {data['target']:.2%}, {counted(data['images'], 'image')} of {data['concept']}"


def _user_set(data: Data) -> str:
    exact = f"{data['exact']:.10g} an epoch"
    if "source" not in data:
        return exact
    code, source = data["source"]
    return f"{exact}, {source_words(Cause(RepeatsSource(code), source))}"


WORDS: Table = {
    BalanceReason.SHARE: Words("share of its concept", _share),
    BalanceReason.CAPPED: Words("capped at max_repeat", _share),
    BalanceReason.USER_SET: Words("set by its folder", _user_set),
    BalanceReason.CHOSEN: Words("set by you", _user_set),
}
