"""The taggers that are known by name, each with what its authors publish: contract, revision, checksums, thresholds.

The contracts follow the reference code of each model: SmilingWolf/wd-tagger (Hugging Face space), fpgaminer/joytag,
cella110n/cl_tagger, Camais03/camie-tagger-v2, deepghs/imgutils for PixAI, animetimm and DeepDanbooru.
"""

from __future__ import annotations

import re
from pathlib import Path

from taggers.spec import ModelSpec

DEFAULT = "wd-swinv2-v3"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
WD_V3_LABELS = "298633d94d0031d2081c0893f29c82eab7f0df00b08483ba8f29d1e979441217"
WD_V2_LABELS = "8c8750600db36233a1b274ac88bd46289e588b338218c2e4c62bbc9f2b516368"
_ANIMETIMM = re.compile(r"animetimm/([a-z0-9_]+\.dbv4-full(?:-witha)?)")


def _wd(name: str, repo: str, revision: str, threshold: float, model: str, labels: str) -> ModelSpec:
    """A tagger of the WD contract: NHWC, BGR, 0–255, sigmoid inside; `threshold` is where precision equals recall."""
    return ModelSpec(
        name=name,
        repo=f"SmilingWolf/{repo}",
        revision=revision,
        checksums={"model.onnx": model, "selected_tags.csv": labels},
        thresholds={"general": threshold, "character": 0.85},
    )


def _animetimm(repo: str, revision: str = "", model: str = "", labels: str = "") -> ModelSpec:
    """A tagger of the dbv4-full family: its own files say the preprocessing and a threshold for every tag.

    The thresholds by category are for tags without one of their own, as deepghs/imgutils takes them.
    """
    backbone = repo.partition("/")[2]
    return ModelSpec(
        name=f"animetimm-{backbone.replace('.', '-')}",
        repo=repo,
        revision=revision,
        preprocess="preprocess.json",
        checksums={"model.onnx": model, "selected_tags.csv": labels} if model else {},
        layout="NCHW",
        channels="RGB",
        scale=1.0,
        output="prediction",
        thresholds={"general": 0.4, "character": 0.4, "artist": 0.4},
    )


_WD = (
    _wd(
        "wd-swinv2-v3",
        "wd-swinv2-tagger-v3",
        "627aef95638667ddcaa3ac8ae625e88ea5b02f51",
        0.2653,
        "e6774bff34d43bd49f75a47db4ef217dce701c9847b546523eb85ff6dbba1db1",
        WD_V3_LABELS,
    ),
    _wd(
        "wd-vit-v3",
        "wd-vit-tagger-v3",
        "7f6b584d0bd3f55c4531f14ba3d4761b2bccdc0f",
        0.2614,
        "35f23693620b668f4d53fd3c62bf65e40af739bc52c7eb0fbc49258b58d065b6",
        WD_V3_LABELS,
    ),
    _wd(
        "wd-convnext-v3",
        "wd-convnext-tagger-v3",
        "d39e46de298d27340111b64965e20b8185c407e6",
        0.2682,
        "1b8a7abf13d9b8368267df47501d523789c4aeae66b2296ad98483239dfa32eb",
        WD_V3_LABELS,
    ),
    _wd(
        "wd-vit-large-v3",
        "wd-vit-large-tagger-v3",
        "ae469aa2e4706a3af08d3673cf73a11d1add314c",
        0.2606,
        "e4c8001b000a6c98f2db10794f7c406daa79873d071d6ca924330fa053fa1845",
        WD_V3_LABELS,
    ),
    _wd(
        "wd-eva02-large-v3",
        "wd-eva02-large-tagger-v3",
        "b25b82a03f7282e41aa2f257a52c7583b710bd1c",
        0.5296,
        "9e768793060c7939b277ccb382783e8670e8a042d29d77aa736be0c8cc898bfc",
        WD_V3_LABELS,
    ),
    _wd(
        "wd-moat-v2",
        "wd-v1-4-moat-tagger-v2",
        "8452cddf280b952281b6e102411c50e981cb2908",
        0.3771,
        "b8cef913be4c9e8d93f9f903e74271416502ce0b4b04df0ff1e2f00df488aa03",
        WD_V2_LABELS,
    ),
    _wd(
        "wd-swinv2-v2",
        "wd-v1-4-swinv2-tagger-v2",
        "cdb0c7fdc70646f0af29c6f80f8df564344a69b6",
        0.3771,
        "04ec04fdf7db74b4fed7f4b52f52e04dec4dbad9e4d88d2d178f334079a29fde",
        WD_V2_LABELS,
    ),
    _wd(
        "wd-convnextv2-v2",
        "wd-v1-4-convnextv2-tagger-v2",
        "bf364499ea843a403cc2770072f31f5cfb2ffa58",
        0.3710,
        "e91daa19cd9e8725125b7d70702d1560855fb687f8d8c4218eddaa821f41834a",
        WD_V2_LABELS,
    ),
    _wd(
        "wd-convnext-v2",
        "wd-v1-4-convnext-tagger-v2",
        "4b34d1b07bdd8e95494072648960b8a6adcbc0ff",
        0.3685,
        "71f06ecb7b9df81d8f271da4d43997ea2ed363cdac29aa64fcb256c9631e656a",
        WD_V2_LABELS,
    ),
    _wd(
        "wd-vit-v2",
        "wd-v1-4-vit-tagger-v2",
        "1f3f3e8ae769634e31e1ef696df11ec37493e4f2",
        0.3537,
        "8a21cadd1f88a095094cafbffe3028c3cc3d97f4d58c54344c5994bcf48e24ac",
        WD_V2_LABELS,
    ),
)

_OTHERS = (
    ModelSpec(
        name="joytag",
        repo="fancyfeast/joytag",
        revision="6b7f16331a6ccf0fdce37d5a9564715f6e772b22",
        labels="top_tags.txt",
        label_kind="lines",
        checksums={
            "model.onnx": "f85b7130e6e549b5b0822537007b7482e8c4c8e754c8d9a5bee08e27050e1097",
            "top_tags.txt": "32b1963a234af848643b2bbf47d8eff1f1c7889406810c57b980f41b2b9e01d0",
        },
        layout="NCHW",
        channels="RGB",
        scale=1.0,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        activation="sigmoid",
        thresholds={"general": 0.4},
        exclusive=(),
    ),
    ModelSpec(
        name="pixai-v0.9",
        repo="deepghs/pixai-tagger-v0.9-onnx",
        revision="d8cf666911a2c3d10d586d7823259192313c7eb7",
        checksums={
            "model.onnx": "a8d479098b5e23f253543c93df42391736abbb77c21c2efd3a513b9cda7b3657",
            "selected_tags.csv": "76b5dd39354a7a4d9baefb94d63b44a09a4934ee15303b7eb86c38f2128eb68a",
        },
        layout="NCHW",
        channels="RGB",
        scale=1.0,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        pad=None,
        interpolation="bilinear",
        output="prediction",
        thresholds={"general": 0.3, "character": 0.85},
        exclusive=(),
    ),
    ModelSpec(
        name="cl-tagger-1.02",
        repo="cella110n/cl_tagger",
        revision="0b6e9b4e145b1423bfd1715119074a24a301b471",
        model="cl_tagger_1_02/model.onnx",
        labels="cl_tagger_1_02/tag_mapping.json",
        label_kind="json",
        checksums={
            "cl_tagger_1_02/model.onnx": "1459e946ffc083159015e0eb26239016349ddd36c3daecfeb70bfa4ccf38b944",
            "cl_tagger_1_02/tag_mapping.json": "9611988482f1bf9a174622c0067d0baa88fda69c0a855cc500411426e77832ec",
        },
        layout="NCHW",
        channels="BGR",
        scale=1.0,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        side=448,
        activation="sigmoid",
        thresholds={"general": 0.5, "character": 0.7, "copyright": 0.7, "artist": 0.7, "meta": 0.5, "model": 0.5},
        exclusive=("rating", "quality"),
    ),
    ModelSpec(
        name="camie-v2",
        repo="Camais03/camie-tagger-v2",
        revision="7d40c1b85b86ab4f607b2caf26b1b50c99db743e",
        model="camie-tagger-v2.onnx",
        labels="camie-tagger-v2-metadata.json",
        label_kind="json",
        checksums={
            "camie-tagger-v2.onnx": "ab0aaf253e3d546090001bec9bebc776c354ab6800f442ab9167af87b4a953ac",
            "camie-tagger-v2-metadata.json": "de9f962eb0fd86b7e30d0af4e8c7990205200d70e955d8ecae60f87d14eae66b",
        },
        layout="NCHW",
        channels="RGB",
        scale=1.0,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        pad=(124, 116, 104),
        canvas=512,
        fit="lanczos",
        side=512,
        output="refined_predictions",
        activation="sigmoid",
        thresholds=dict.fromkeys(("general", "character", "copyright", "artist", "meta"), 0.492),
        exclusive=("rating", "year"),
    ),
    _animetimm(
        "animetimm/caformer_b36.dbv4-full",
        "aac0699c88553d50eb673b41a81d8222936b22b2",
        "3ba9566baed11d3cd3dd96e4cd87f0c93a92f1a4fd62b8c2a425e0d55f41c065",
        "d99cf8cc1293bb7c7671b425d25e5f3688f6937f191ab6957de93acfefdb0e55",
    ),
    _animetimm(
        "animetimm/eva02_large_patch14_448.dbv4-full",
        "7f11ec9fdb54dfbfd7cd7fad2ecc452a25b57acb",
        "a9c51fd22bca855c3e890048b18b8e47d7ad6fb419b0e948c38b3c2478f97f25",
        "56d941a9388c238f8e96961dca740c796908f4af4a85ef2270d01e135249cf82",
    ),
    _animetimm("animetimm/swinv2_base_window8_256.dbv4-full", "e09b265f59b8cec01101f01ec380a7a6dd4db733"),
    _animetimm("animetimm/mobilenetv3_large_150d.dbv4-full", "89c7ef44d18398714f61fbc2629740e51f012b89"),
    ModelSpec(
        name="deepdanbooru",
        repo="deepghs/imgutils-models",
        model="deepdanbooru/deepdanbooru.onnx",
        labels="deepdanbooru/deepdanbooru_tags.csv",
        channels="RGB",
        scale=1.0,
        pad=(0, 0, 0),
        canvas=512,
        side=512,
        thresholds={"general": 0.5, "character": 0.5},
    ),
    ModelSpec(
        name="miniature", folder=Path(__file__).parent / "miniature", thresholds={"general": 0.5, "character": 0.5}
    ),
)

BUILT_IN = {spec.name: spec for spec in (*_WD, *_OTHERS)}


def family_spec(repo: str) -> ModelSpec | None:
    """The spec of any other hub repository of a family whose repositories are all alike; None for a stranger."""
    return _animetimm(repo) if _ANIMETIMM.fullmatch(repo) else None
