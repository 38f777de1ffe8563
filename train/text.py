"""Captions to the states that the UNet attends to."""

from __future__ import annotations

import torch
from torch import Tensor

from train.base import BaseModel


def token_ids(base: BaseModel, captions: list[str]) -> Tensor:
    """(B, L) token ids on the device, padded and cut to the text encoder's length (77 for SD 1.x)."""
    length = base.text_encoder.config.max_position_embeddings
    encoded = base.tokenizer(captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return encoded.input_ids.to(base.device)


def text_states(base: BaseModel, captions: list[str], clip_skip: int = 1) -> Tensor:
    """(B, L, C) states of the last text layer, or of the one `clip_skip - 1` before it, under the final layer norm."""
    ids = token_ids(base, captions)
    if clip_skip == 1:
        return base.text_encoder(ids).last_hidden_state
    hidden = base.text_encoder(ids, output_hidden_states=True).hidden_states[-clip_skip]
    encoder = getattr(base.text_encoder, "text_model", base.text_encoder)
    return encoder.final_layer_norm(hidden)


def cut_tokens(base: BaseModel, caption: str) -> int:
    """How many tokens of a caption lie beyond the encoder's length and are not seen at all."""
    length = base.text_encoder.config.max_position_embeddings - 2
    return max(0, len(base.tokenizer.tokenize(caption)) - length)


class TextStates:
    """States of a frozen text encoder, each distinct caption encoded once."""

    def __init__(self, base: BaseModel, clip_skip: int = 1, most: int = 4096) -> None:
        self._base, self._clip_skip, self._most = base, clip_skip, most
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, captions: list[str]) -> Tensor:
        """(B, L, C) for B captions."""
        missing = list(dict.fromkeys(caption for caption in captions if caption not in self._known))
        if missing and len(self._known) + len(missing) > self._most:
            self._known.clear()
            missing = list(dict.fromkeys(captions))
        if missing:
            self._known |= dict(zip(missing, text_states(self._base, missing, self._clip_skip), strict=True))
        return torch.stack([self._known[caption] for caption in captions])
