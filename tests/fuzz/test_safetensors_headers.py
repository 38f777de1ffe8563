"""Any bytes in a file of weights are read, or refused in words; nothing else is raised.

A file that once gave something else stands in `corpus/safetensors`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from train.adapters.detect import read_config
from train.adapters.files.checkpoints import open_checkpoint
from train.adapters.files.info import describe
from train.adapters.files.reader import open_adapter
from train.models.loading.safetensors_header import read_header
from train.models.loading.weights import open_weights

CORPUS = sorted((Path(__file__).parent / "corpus" / "safetensors").iterdir())
LAYER = "lora_unet_mid_block_attentions_0_proj_in"
NAMES = [
    "__metadata__", "", f"{LAYER}.lora_down.weight", f"{LAYER}.lora_up.weight", f"{LAYER}.alpha", f"{LAYER}.dora_scale",
    f"{LAYER}.scalar", "bundle_emb.x.clip_l", "unet.mid_block.attentions.0.proj_in.lora_A.weight",
    "model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.input_blocks.0.0.scale_weight",
    "cond_stage_model.transformer.text_model.final_layer_norm.weight", "model.diffusion_model.scaled_fp8",
]  # fmt: skip
LENGTHS = {"F32": 4, "F16": 2, "F8_E4M3": 1, "I8": 1, "I64": 8, "BOOL": 1}

whole = st.one_of(st.integers(-2, 9), st.integers())
anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), whole, st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
entry = st.one_of(
    anything,
    st.fixed_dictionaries(
        {
            "dtype": st.one_of(st.sampled_from([*LENGTHS, "F4", "X"]), anything),
            "shape": st.one_of(st.lists(whole, max_size=4), anything),
            "data_offsets": st.one_of(st.lists(whole, min_size=2, max_size=2), anything),
        }
    ),
)
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=12))
hostile = st.builds(
    lambda entries, payload, off: framed(entries, payload, off),
    st.dictionaries(names, entry, max_size=4),
    st.binary(max_size=40),
    st.sampled_from([0, 0, 0, 1, -1, 2**40]),
)


def framed(entries: Any, payload: bytes, off: int = 0) -> bytes:
    raw = json.dumps(entries).encode("utf-8", "surrogatepass")
    return max(0, len(raw) + off).to_bytes(8, "little") + raw + payload


@st.composite
def sound(draw: st.DrawFn) -> bytes:
    """Headers that fit their payload, of names and shapes that need not fit each other."""
    entries, at = {}, 0
    for name in draw(st.lists(names.filter(lambda name: name != "__metadata__"), max_size=5, unique=True)):
        dtype, shape = draw(st.sampled_from(list(LENGTHS))), draw(st.lists(st.integers(0, 4), max_size=4))
        length = LENGTHS[dtype]
        for side in shape:
            length *= side
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + length]}
        at += length
    return framed(entries, draw(st.binary(min_size=at, max_size=at)))


def read_or_refused(file: Path) -> None:
    """Every reader of weights gives something, or a message."""
    for read in (read_header, open_weights, open_checkpoint, read_config, lambda each: describe(open_adapter(each))):
        try:
            read(file)
        except PrepError as error:
            assert error.message and error.hint


def tried(content: bytes, folder: Path) -> None:
    for name in ("a.safetensors", "a.ckpt"):
        (folder / name).write_bytes(content)
        read_or_refused(folder / name)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_what_was_once_read_wrongly_is_read_or_refused(file, tmp_path):
    tried(file.read_bytes(), tmp_path)


SHORT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(SHORT, max_examples=5000)


@SHORT
@given(st.one_of(hostile, sound(), st.binary(max_size=80)))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    tried(content, tmp_path)


@pytest.mark.slow
@LONG
@given(st.one_of(hostile, sound(), st.binary(max_size=200)))
def test_any_bytes_are_read_or_refused_for_long(tmp_path, content):
    tried(content, tmp_path)
