"""Captions to the states that the UNet attends to."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from pipeline.core.errors import PrepError
from train.models.text.conditioning import Conditioning, joined
from train.models.text.emphasis import weighted_parts
from train.models.text.tokens import CHUNK, COMMA, Special, chunks, framed

if TYPE_CHECKING:
    from train.models.base import BaseModel

Row = tuple[int, ...]
"""The ids of one chunk of a caption, without start, end and padding: the same for all text encoders of a model."""
CHUNK_STATES = CHUNK + 2
"""Tokens that a row's states are of."""
DEVICE_BYTES, HOST_BYTES = 256 * 2**20, 2**30
"""What is kept of frozen encoders' states at the most: on the device, or on the host where parts leave the device."""
TOGETHER = 8
"""Rows that a frozen encoder reads at once, always as many, so that a caption's states do not depend on its company."""


def special_tokens(tokenizer: CLIPTokenizer) -> Special:
    comma = tokenizer.convert_tokens_to_ids(COMMA)
    assert isinstance(comma, int), "one token has one id"
    return Special(
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        comma,
    )


def token_rows(base: BaseModel, captions: Sequence[str], max_tokens: int = CHUNK) -> list[list[Row]]:
    """Each caption's rows: as many as its tokens need, at most max_tokens / 75; what is beyond is not read.

    Within a batch all have as many as the longest, as the clients pad them: an empty row holds only start and end.
    """
    special, size = special_tokens(base.tokenizer), _chunk_size(base)
    rows: list[list[Row]] = [
        [tuple(part) for part in chunks(_ids(base, caption), special.comma, size)[: max_tokens // CHUNK]]
        for caption in captions
    ]
    longest = max(map(len, rows), default=0)
    return [[*own, *[()] * (longest - len(own))] for own in rows]


def row_states(base: BaseModel, rows: Sequence[Row], clip_skip: int = 1) -> Conditioning:
    """States (N, 77, C) of N rows, those of all text encoders beside each other, and what is pooled of the last one.

    SD 1.x and 2.x are read at the last layer, or `clip_skip - 1` before it, under the final layer norm (of SD 2.x, whose
    last layer is left away, that is the penultimate); SDXL at the penultimate of both as it is, as diffusers'
    StableDiffusionXLPipeline does.

    Raises:
        PrepError: the model is not read at that layer.
    """
    check_clip_skip(base, clip_skip)
    states, pooled = [], None
    with base.using("text"), base.arithmetic("text"):
        for encoder, tokenizer in zip(base.text_encoders, base.tokenizers, strict=True):
            read = _read(base, encoder, tokenizer, rows, clip_skip)
            states.append(_layer(base, encoder, read, clip_skip))
            pooled = read.text_embeds if base.kind.text[-1].pooled and encoder is base.text_encoders[-1] else pooled
    return Conditioning(torch.cat(states, -1), pooled)


def _read(base: BaseModel, encoder: Any, tokenizer: CLIPTokenizer, rows: Sequence[Row], clip_skip: int) -> Any:
    special, size = special_tokens(tokenizer), _chunk_size(base)
    ids = torch.tensor([framed(row, special, size) for row in rows]).to(base.device)
    return encoder(ids, output_hidden_states=base.kind.penultimate or clip_skip > 1)


def _layer(base: BaseModel, encoder: Any, read: Any, clip_skip: int) -> Tensor:
    states: Tensor
    if base.kind.penultimate:
        states = read.hidden_states[-2]
    elif clip_skip == 1:
        states = read.last_hidden_state
    else:
        states = getattr(encoder, "text_model", encoder).final_layer_norm(read.hidden_states[-clip_skip])
    return states


def check_clip_skip(base: BaseModel, clip_skip: int) -> None:
    """Refuse a layer that the model has not, or that SDXL is never read at.

    Raises:
        PrepError: it is such a one.
    """
    if base.kind.penultimate:
        if clip_skip > 2:
            raise PrepError(
                f"clip_skip is {clip_skip}, but {base.kind.title} is read at the penultimate layer of its text encoders",
                "leave clip_skip out; 2, as clients call that layer, is the same",
            )
        return
    layers = base.text_encoder.config.num_hidden_layers
    if clip_skip > layers:
        raise PrepError(
            f"clip_skip is {clip_skip}, but the text encoder of {base.name} has {layers} layers",
            f"give clip_skip = 1 to {layers}",
        )


def text_conditioning(
    base: BaseModel, captions: Sequence[str], clip_skip: int = 1, max_tokens: int = CHUNK
) -> Conditioning:
    """States (B, 77 · n, C) for B captions, those of the n rows that the longest of them needs one after the other, and,
    where the family uses it, what is pooled of each caption's first row."""
    rows = token_rows(base, captions, max_tokens)
    count = len(rows[0])
    read = row_states(base, [row for own in rows for row in own], clip_skip)
    states = read.states.reshape(len(captions), -1, read.states.shape[-1])
    return Conditioning(states, None if read.pooled is None else read.pooled[::count])


def prompt_conditioning(base: BaseModel, prompts: Sequence[str], clip_skip: int = 1) -> Conditioning:
    """As `text_conditioning`, for prompts whose weights act as in A1111 and Forge (`weighted_parts`, `emphasized`), and which
    are read to their end, as there."""
    rows, weights = [], []
    for prompt in prompts:
        own, of_own = _weighted_rows(base, prompt)
        rows.append(own)
        weights.append(of_own)
    count = max(map(len, rows))
    filled = [row for own in rows for row in (*own, *[()] * (count - len(own)))]
    factors = [factor for own in weights for factor in (*own, *[()] * (count - len(own)))]
    read = row_states(base, filled, clip_skip)
    widths = [int(encoder.config.hidden_size) for encoder in base.text_encoders]
    states = emphasized(read.states, factors, widths).reshape(len(prompts), -1, read.states.shape[-1])
    return Conditioning(states, None if read.pooled is None else read.pooled[::count])


def _weighted_rows(base: BaseModel, prompt: str) -> tuple[list[Row], list[tuple[float, ...]]]:
    """The rows of a prompt, and the weight of each of their tokens."""
    special, size = special_tokens(base.tokenizer), _chunk_size(base)
    runs: list[tuple[list[int], list[float]]] = [([], [])]
    for part in weighted_parts(prompt):
        if part.new_chunk:
            runs.append(([], []))
        ids = _ids(base, part.text)
        runs[-1][0].extend(ids)
        runs[-1][1].extend([part.weight] * len(ids))
    rows, weights = list[Row](), list[tuple[float, ...]]()
    for ids, of_ids in runs:
        start = 0
        for chunk in chunks(ids, special.comma, size):
            rows.append(tuple(chunk))
            weights.append(tuple(of_ids[start : start + len(chunk)]))
            start += len(chunk)
    return rows, weights


def emphasized(states: Tensor, weights: Sequence[Sequence[float]], widths: Sequence[int]) -> Tensor:
    """States times the weights of their tokens, each encoder's brought back to the mean that it had.

    z' = z · w · mean(z) / mean(z · w) over each row of each encoder, as A1111 and Forge do by default ("Original").

    Args:
        states: (N, 77, C), the encoders' beside each other.
        weights: of the tokens of each row; start, end and padding have 1.
        widths: C of each encoder.
    """
    if all(weight == 1 for row in weights for weight in row):
        return states
    factors = torch.ones(states.shape[:2], dtype=states.dtype, device=states.device)
    for row, own in zip(factors, weights, strict=True):
        row[1 : 1 + len(own)] = torch.tensor(own, dtype=states.dtype, device=states.device)
    found = []
    for part in states.split(list(widths), dim=-1):
        scaled = part * factors[..., None]
        before, after = part.mean(dim=(1, 2), keepdim=True), scaled.mean(dim=(1, 2), keepdim=True)
        found.append(torch.where((factors == 1).all(dim=1)[:, None, None], part, scaled * (before / after)))
    return torch.cat(found, dim=-1)


class TextStates:
    """States of frozen text encoders: each distinct row is read once, and those used last are kept, up to `most_bytes`.

    Captions that are shuffled come seldom twice; they pass through and leave what is kept bounded.
    """

    def __init__(
        self, base: BaseModel, clip_skip: int = 1, max_tokens: int = CHUNK, most_bytes: int | None = None
    ) -> None:
        check_clip_skip(base, clip_skip)
        self._base, self._clip_skip, self._max_tokens = base, clip_skip, max_tokens
        self._most = most_bytes or (DEVICE_BYTES if base.residency is None else HOST_BYTES)
        self._known: OrderedDict[Row, Conditioning] = OrderedDict()

    @torch.no_grad()
    def __call__(self, captions: Sequence[str]) -> Conditioning:
        """As `text_conditioning`."""
        rows = token_rows(self._base, captions, self._max_tokens)
        states = self._read(list(dict.fromkeys(row for own in rows for row in own)))
        return joined(
            [Conditioning(torch.cat([states[row].states for row in own], 1), states[own[0]].pooled) for own in rows]
        ).to(self._base.device)

    @torch.no_grad()
    def read_ahead(self, batches: Iterable[Sequence[str]]) -> int:
        """Read the captions of the batches to come while the text encoders are there, as many batches as can be kept;
        returns how many that were. Where the encoders stay on the device nothing is gained by it, and none are read."""
        if self._base.residency is None:
            return 0
        wanted, count = dict[Row, None](), 0
        for captions in batches:
            more = {row: None for own in token_rows(self._base, captions, self._max_tokens) for row in own}
            if count and len(wanted | more) * self._row_bytes() > self._most:
                break
            wanted |= more
            count += 1
        self._read(list(wanted))
        return count

    def _read(self, wanted: list[Row]) -> dict[Row, Conditioning]:
        """The states of rows, known ones or read now."""
        states = {row: self._known[row] for row in wanted if row in self._known}
        missing = [row for row in wanted if row not in states]
        with self._base.using("text") if missing else contextlib.nullcontext():
            for start in range(0, len(missing), TOGETHER):
                group = missing[start : start + TOGETHER]
                filled = [*group, *[group[0]] * (TOGETHER - len(group))]
                read = row_states(self._base, filled, self._clip_skip)
                states |= {row: self._kept(read[index : index + 1]) for index, row in enumerate(group)}
        self._keep(states)
        return states

    def _row_bytes(self) -> int:
        """What the states of one row take at the most."""
        return CHUNK_STATES * sum(int(encoder.config.hidden_size) for encoder in self._base.text_encoders) * 4

    def _kept(self, row: Conditioning) -> Conditioning:
        """A copy, or it would hold on to all it was read with; on the host where parts leave the device."""
        return row.copied(self._base.device if self._base.residency is None else torch.device("cpu"))

    def _keep(self, states: dict[Row, Conditioning]) -> None:
        """Remember these as the ones used last, and forget the ones used longest ago."""
        for row, state in states.items():
            self._known[row] = state
            self._known.move_to_end(row)
        size = next(iter(states.values())).states.nbytes if states else 1
        while len(self._known) * size > self._most:
            self._known.popitem(last=False)


def _chunk_size(base: BaseModel) -> int:
    size: int = base.text_encoder.config.max_position_embeddings - 2
    return size


def _ids(base: BaseModel, caption: str) -> list[int]:
    """A caption's token ids, however many, without those of start and end."""
    ids: list[int] = base.tokenizer(caption, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return ids
