"""Which taggers are meant, which regularization images are used, which tags the text encoder does not see."""

from __future__ import annotations

from pipeline.store.reasons.reason import Data, Reason, Table, Words


class TaggerReason(Reason):
    """Data: `checksums`, [tagger, SHA-256 of its model file] of each where it is known."""

    USED_LAST = "used_last"


class RegularizationReason(Reason):
    """Data of generated ones: `seeds`, `steps`, `guidance`; of what is preserved `prompt`; of user-supplied ones `images`,
    `mean_loss`, `worst_loss`."""

    SAME_CAPTION = "same_caption"
    WITHOUT_TRIGGERS = "without_triggers"
    CLASS_WORD = "class_word"
    CLASS_PROMPTS = "class_prompts"
    PRESERVED = "preserved"
    USER_SUPPLIED = "user_supplied"


class UserImageReason(Reason):
    """Why a file that a person supplied is no regularization image. Data: `of`, the file that it repeats."""

    TRAINED_ON = "trained_on"
    NO_CONCEPT = "no_concept"
    SUPPLIED_TWICE = "supplied_twice"


class TrainReason(Reason):
    """Data: `limit` and `over`, in tokens."""

    TRUNCATED = "truncated_tags"


NAMED = 8
"""Seeds that are named one by one."""


def _checksums(data: Data) -> str:
    return "; ".join(f"{name}: sha256 {checksum}" for name, checksum in data.get("checksums", ()))


def _generated(data: Data) -> str:
    seeds = data["seeds"]
    named = ", ".join(map(str, seeds)) if len(seeds) <= NAMED else f"{seeds[0]} to {seeds[-1]}"
    said = f"seed {named}" if len(seeds) == 1 else f"seeds {named}"
    return f"{said}, {data['steps']} DDIM steps, guidance {data['guidance']:g}"


_SUPPLIED = "{images} in turn, cropped by {mean_loss:.1%} on average, {worst_loss:.1%} at most"
WORDS: Table = {
    TaggerReason.USED_LAST: Words("used last", _checksums),
    RegularizationReason.SAME_CAPTION: Words("same caption", _generated),
    RegularizationReason.WITHOUT_TRIGGERS: Words("caption without trigger words", _generated),
    RegularizationReason.CLASS_WORD: Words("caption with a class word for the trigger words", _generated),
    RegularizationReason.CLASS_PROMPTS: Words("images of the class from tags of the set", _generated),
    RegularizationReason.PRESERVED: Words("base model's own prediction", "asked for {prompt}"),
    RegularizationReason.USER_SUPPLIED: Words("user-supplied images", _SUPPLIED),
    UserImageReason.TRAINED_ON: Words("to be trained on itself", "as {of}"),
    UserImageReason.NO_CONCEPT: Words("in a folder that is named like no concept"),
    UserImageReason.SUPPLIED_TWICE: Words("given twice", "as {of}"),
    TrainReason.TRUNCATED: Words("tags beyond {limit} tokens", "{over} tokens more than are read", "truncated tags"),
}
