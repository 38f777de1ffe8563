"""Teach the miniature's CLIP text model to read before it meets images: at the last token of a tag it must know which
tag that was (`green` + `hair`, not `green` + `eyes`), and at the end of the text which tags there were.

A large CLIP learns this from pairs of images and texts; here the painter's own captions are enough, and the UNet,
which follows, finds every tag in one place instead of having to teach the text model to bind words.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from train.miniature.examples import LETTERS, caption, scenes
from train.miniature.scenes import Scene, vocabulary

log = logging.getLogger(__name__)
IGNORED = -100


def marked(tokenizer: CLIPTokenizer, texts: list[str], length: int = 77) -> tuple[Tensor, Tensor]:
    """(B, L) token ids, and (B, L) the number of the tag that ends at each token, IGNORED elsewhere."""
    names = {name: index for index, (name, _) in enumerate(vocabulary())}

    @cache
    def pieces(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
        return ids

    ids = torch.full((len(texts), length), tokenizer.eos_token_id)
    ends = torch.full((len(texts), length), IGNORED)
    for row, text in enumerate(texts):
        place = 1
        ids[row, 0] = tokenizer.bos_token_id
        tags = text.split(", ") if text else []
        for number, tag in enumerate(tags):
            comma = number + 1 < len(tags)
            new = pieces(f"{tag}," if comma else tag)
            if place + len(new) >= length:
                break
            ids[row, place : place + len(new)] = torch.tensor(new)
            place += len(new)
            ends[row, place - 1 - comma] = names.get(tag, IGNORED)
    return ids, ends


def learn_text(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, images: int, steps: int, seed: int, batch: int = 64
) -> None:
    """Train `model` in place on captions of random scenes."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([9, seed])
    known: list[Scene] = scenes(images, seed=3)
    tags = len(vocabulary())
    heads = nn.ModuleList([nn.Linear(model.config.hidden_size, tags), nn.Linear(model.config.hidden_size, tags)])
    optimizer = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    model.train()
    for step in range(steps):
        texts = [caption(known[index], rng) for index in rng.integers(0, len(known), batch)]
        ids, ends = marked(tokenizer, texts)
        states = model(ids).last_hidden_state
        there = torch.zeros(batch, tags)
        rows, places = (ends != IGNORED).nonzero(as_tuple=True)
        there[rows, ends[rows, places]] = 1
        summary = states[torch.arange(batch), (ids == tokenizer.eos_token_id).int().argmax(1)]
        named = functional.cross_entropy(heads[0](states).flatten(0, 1), ends.flatten(), ignore_index=IGNORED)
        loss = named + functional.binary_cross_entropy_with_logits(heads[1](summary), there)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            log.info("text %d/%d naming loss %.4f, all %.4f", step, steps, named.item(), loss.item())


LETTERS_READ = 8


def learn_spelling(model: CLIPTextModel, tokenizer: CLIPTokenizer, images: int, steps: int, seed: int) -> None:
    """Teach `model`, in place, to tell unknown words apart, and leave everything else it says as it was.

    At the last token of a word that is no tag it must know the word's letters; all other states are held to those
    of the model as given. A trigger word is then a place of its own from the start, as rare words are for a large CLIP.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([13, seed])
    known, before = scenes(images, seed=3), deepcopy(model).eval().requires_grad_(False)
    head = nn.Linear(model.config.hidden_size, LETTERS_READ * (len(LETTERS) + 1))
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    model.train()
    for step in range(steps):
        texts, words, starts = [], [], []
        for index in rng.integers(0, len(known), 48):
            tags = caption(known[index], rng, unknown=0.0).split(", ")
            words.append("".join(rng.choice(list(LETTERS), int(rng.integers(3, 9)))))
            place = int(rng.integers(0, 2))
            starts.append(
                len(tokenizer(", ".join(tags[:place]), add_special_tokens=False).input_ids) + (place and 1) + 1
            )
            texts.append(", ".join(tag for tag in [*tags[:place], words[-1], *tags[place:]] if tag))
        ids = tokenizer(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        lengths = [len(tokenizer(word, add_special_tokens=False).input_ids) for word in words]
        ends = torch.tensor([start + length - 1 for start, length in zip(starts, lengths, strict=True)])
        states = model(ids).last_hidden_state
        with torch.no_grad():
            wanted = before(ids).last_hidden_state
        held = torch.ones(ids.shape)
        for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            held[row, start : start + length] = 0
        drift = ((states - wanted).pow(2).mean(2) * held).sum() / held.sum()
        letters = torch.tensor(
            [[LETTERS.index(letter) + 1 for letter in word] + [0] * (LETTERS_READ - len(word)) for word in words]
        )
        read = head(states[torch.arange(len(texts)), ends]).view(-1, LETTERS_READ, len(LETTERS) + 1)
        spelled = functional.cross_entropy(read.flatten(0, 1), letters.flatten())
        loss = spelled + 10 * drift
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            log.info("spelling %d/%d letters %.4f, drift %.5f", step, steps, spelled.item(), drift.item())
