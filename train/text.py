"""Captions to the states that the UNet attends to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from train.base import BaseModel
from train.conditioning import Conditioning
from train.tokens import CHUNK, COMMA, Special, chunks, framed, seen

Row = tuple[int, ...]
"""The ids of one chunk as the encoder takes it: start, tokens, end, padding."""
TOGETHER = 8
"""Rows that a frozen encoder reads at once, always as many, so that a caption's states do not depend on its company."""


def special_tokens(base: BaseModel) -> Special:
    tokenizer = base.tokenizer
    return Special(
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        tokenizer.convert_tokens_to_ids(COMMA),
    )


def token_rows(base: BaseModel, captions: Sequence[str], max_tokens: int = CHUNK) -> list[list[Row]]:
    """Each caption's rows: as many as its tokens need, at most max_tokens / 75; what is beyond is not read.

    Within a batch all have as many as the longest, as the clients pad them: an empty row holds only start and end.
    """
    special, size = special_tokens(base), base.text_encoder.config.max_position_embeddings - 2
    rows = []
    for caption in captions:
        parts = chunks(_ids(base, caption), special.comma, size)[: max_tokens // CHUNK]
        rows.append([framed(part, special, size) for part in parts])
    empty = framed((), special, size)
    longest = max(map(len, rows), default=0)
    return [[*own, *[empty] * (longest - len(own))] for own in rows]


def row_states(base: BaseModel, rows: Sequence[Row], clip_skip: int = 1) -> Tensor:
    """(N, 77, C) states of the last text layer, or of the one `clip_skip - 1` before it, under the final layer norm."""
    ids = torch.tensor(rows, device=base.device)
    if clip_skip == 1:
        return base.text_encoder(ids).last_hidden_state
    hidden = base.text_encoder(ids, output_hidden_states=True).hidden_states[-clip_skip]
    encoder = getattr(base.text_encoder, "text_model", base.text_encoder)
    return encoder.final_layer_norm(hidden)


def text_conditioning(
    base: BaseModel, captions: Sequence[str], clip_skip: int = 1, max_tokens: int = CHUNK
) -> Conditioning:
    """States (B, 77 · n, C) for B captions, those of the n rows that the longest of them needs one after the other."""
    rows = token_rows(base, captions, max_tokens)
    states = row_states(base, [row for own in rows for row in own], clip_skip)
    return Conditioning(states.reshape(len(captions), -1, states.shape[-1]))


class TextStates:
    """States of a frozen text encoder: each distinct row is read once, and those used last are kept, up to `most_bytes`.

    Captions that are shuffled come seldom twice; they pass through and leave what is kept bounded.
    """

    def __init__(
        self, base: BaseModel, clip_skip: int = 1, max_tokens: int = CHUNK, most_bytes: int = 256 * 2**20
    ) -> None:
        self._base, self._clip_skip, self._max_tokens, self._most = base, clip_skip, max_tokens, most_bytes
        self._known: OrderedDict[Row, Tensor] = OrderedDict()

    @torch.no_grad()
    def __call__(self, captions: Sequence[str]) -> Conditioning:
        """As `text_conditioning`."""
        rows = token_rows(self._base, captions, self._max_tokens)
        wanted = list(dict.fromkeys(row for own in rows for row in own))
        states = {row: self._known[row] for row in wanted if row in self._known}
        missing = [row for row in wanted if row not in states]
        for start in range(0, len(missing), TOGETHER):
            group = missing[start : start + TOGETHER]
            filled = [*group, *[group[0]] * (TOGETHER - len(group))]
            states |= zip(group, row_states(self._base, filled, self._clip_skip), strict=False)
        self._keep(states)
        return Conditioning(torch.stack([torch.cat([states[row] for row in own]) for own in rows]))

    def _keep(self, states: dict[Row, Tensor]) -> None:
        """Remember these as the ones used last, and forget the ones used longest ago."""
        for row, state in states.items():
            if row not in self._known:
                self._known[row] = state.clone()  # a copy, or it would hold on to all it was read with
            self._known.move_to_end(row)
        size = next(iter(states.values())).nbytes if states else 1
        while len(self._known) * size > self._most:
            self._known.popitem(last=False)


def cut_tokens(base: BaseModel, caption: str, max_tokens: int = CHUNK) -> int:
    """How many tokens of a caption lie beyond the limit and are not read at all."""
    tokens, size = _ids(base, caption), base.text_encoder.config.max_position_embeddings - 2
    return len(tokens) - seen(tokens, special_tokens(base).comma, max_tokens, size)


def _ids(base: BaseModel, caption: str) -> list[int]:
    """A caption's token ids, however many, without those of start and end."""
    return base.tokenizer(caption, add_special_tokens=False, truncation=False, verbose=False).input_ids
