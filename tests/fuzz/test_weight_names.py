"""Any names of weights are sorted into layers, clients and families, or refused in words; nothing else is raised.

A list of names that once gave something else stands in `corpus/keys`, one a line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PrepError
from train.adapters.names.client_keys import CLIENTS, used_keys
from train.adapters.names.key_styles import named
from train.adapters.names.kohya_names import kohya_name, layer_path_of
from train.models.families.key_map import STANDARD, unet_from_ldm, unet_to_ldm
from train.models.loading.detect import declared, family_of, one_prediction
from train.models.loading.quantized import check_quantized, scales_of

CORPUS = sorted((Path(__file__).parent / "corpus" / "keys").iterdir())
PIECES = [
    "unet",
    "lora_unet",
    "lora_te1",
    "lora_te2",
    "lycoris",
    "text_encoder",
    "text_encoder_2",
    "text_encoders",
    "clip_l",
    "clip_g",
    "transformer",
    "base_model",
    "model",
    "diffusion_model",
    "input_blocks",
    "output_blocks",
    "middle_block",
    "down_blocks",
    "up_blocks",
    "mid_block",
    "attentions",
    "resnets",
    "0",
    "1",
    "2",
    "11",
    "999",
    "transformer_blocks",
    "attn1",
    "attn2",
    "to_q",
    "to_out",
    "processor",
    "proj_in",
    "ff",
    "net",
    "proj",
    "text_model",
    "encoder",
    "layers",
    "self_attn",
    "q_proj",
    "out_proj",
    "mlp",
    "fc1",
    "lora_A",
    "lora_B",
    "lora",
    "default",
    "weight",
    "bias",
    "alpha",
    "down",
    "up",
    "lora_down",
    "lora_up",
    "dora_scale",
    "lora_magnitude_vector",
    "hada_w1_a",
    "lokr_w1",
    "oft_blocks",
    "scalar",
    "bundle_emb",
    "first_stage_model",
    "cond_stage_model",
    "conditioner",
    "embedders",
    "scale_weight",
    "SCB",
    "absmax",
    "edm_mean",
    "v_pred",
    "ztsnr",
    "model_ema",
    "op",
    "conv",
    "skip_connection",
    "out",
    "time_embed",
    "label_emb",
]
piece = st.one_of(st.sampled_from(PIECES), st.text(max_size=4))
key = st.one_of(
    st.lists(st.tuples(piece, st.sampled_from("._")), min_size=1, max_size=10).map(
        lambda parts: "".join(word + mark for word, mark in parts)[:-1]
    ),
    st.text(max_size=30),
)
shape = st.lists(st.integers(0, 2048), max_size=4).map(tuple)
FAMILIES = ("", "sd1", "sd2", "sdxl")


def sorted_or_refused(names: dict[str, tuple[int, ...]]) -> None:
    for name in names:
        found = named(name)
        place = layer_path_of(found.layer) if found else None
        if place is not None:
            for family in FAMILIES[1:]:
                again = layer_path_of(kohya_name(place, family))
                assert again is not None and (again.part, again.path) == (place.part, place.path)
    for client in CLIENTS:
        for family in FAMILIES:
            used = used_keys(client, names, family)
            assert {*used.read, *used.ignored} == set(names)
            assert not set(used.read) & used.ignored.keys()
            assert all(used.ignored.values())
    for check in (
        lambda: family_of(Path("x.safetensors"), names),
        lambda: one_prediction(Path("x"), declared(Path("x"), names, {})),
        lambda: check_quantized(Path("x"), dict.fromkeys(names, "I8")),
    ):
        try:
            check()
        except PrepError as error:
            assert error.message and error.hint
    assert set(scales_of(names).values()) <= names.keys()


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_names_that_were_once_sorted_wrongly_are_sorted_or_refused(file):
    sorted_or_refused(dict.fromkeys(file.read_text(encoding="utf-8").splitlines(), (4, 4)))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(key, shape, max_size=6))
def test_any_names_are_sorted_or_refused(names):
    sorted_or_refused(names)


@pytest.mark.slow
@settings(max_examples=20000, deadline=None)
@given(st.dictionaries(key, shape, max_size=20))
def test_any_names_are_sorted_or_refused_for_long(names):
    sorted_or_refused(names)


@settings(max_examples=300, deadline=None)
@given(key)
def test_a_layer_of_the_original_unet_is_where_its_way_back_leads(name):
    try:
        path = unet_from_ldm(name, STANDARD)
    except KeyError:
        return
    try:
        back = unet_to_ldm(path, STANDARD)
    except KeyError:
        return
    assert unet_from_ldm(back, STANDARD) == path
