"""A single file's tokenizer: given, beside it, in the hub's cache, or fetched by its revision."""

import pytest
from single_files import full_vocabulary, load
from tiny_models import VOCABULARY, write_single

from pipeline.core.errors import PrepError
from train.models.loading.vocabulary import PINNED, vocabulary_folder
from train.models.locate import find_vae


def test_a_missing_tokenizer_is_said_so_with_the_option_to_give(tensors, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    file = write_single(tmp_path / "model.safetensors", tensors["sd1"])
    with pytest.raises(PrepError, match="holds no tokenizer") as caught:
        load(file, tokenizer=None)
    assert "tokenizer = FOLDER" in caught.value.hint
    with pytest.raises(PrepError, match="holds no tokenizer"):
        vocabulary_folder(file, None, download=False)
    with pytest.raises(PrepError, match=r"holds no vocab\.json and merges\.txt"):
        load(file, tokenizer=tmp_path)


def test_what_is_fetched_is_pinned_and_found_again_without_the_hub(tmp_path, monkeypatch):
    snapshot = tmp_path / "hub" / "models--openai--clip-vit-large-patch14" / "snapshots" / PINNED
    asked = []

    def fetched(repository: str, name: str, revision: str | None) -> str:
        asked.append((repository, name, revision))
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes((VOCABULARY / name).read_bytes())
        return str(snapshot / name)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetched)
    file = tmp_path / "model.safetensors"
    assert vocabulary_folder(file) == vocabulary_folder(file, download=False) == snapshot
    assert asked == [("openai/clip-vit-large-patch14", name, PINNED) for name in ("vocab.json", "merges.txt")]


def test_a_vae_of_the_hub_can_be_pinned(tmp_path, monkeypatch):
    asked = []
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, revision, **_: asked.append((name, revision)) or str(tmp_path),
    )
    assert find_vae("madebyollin/sdxl-vae-fp16-fix@207b116") == find_vae("stabilityai/sd-vae-ft-mse") == tmp_path
    assert asked == [("madebyollin/sdxl-vae-fp16-fix", "207b116"), ("stabilityai/sd-vae-ft-mse", None)]


def test_a_tokenizer_beside_the_file_or_in_the_hubs_cache_is_found(tmp_path, monkeypatch):
    file, beside = tmp_path / "model.safetensors", tmp_path / "tokenizer"
    snapshot = tmp_path / "hub" / "models--openai--clip-vit-large-patch14" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc", encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("vocab.json", "merges.txt"):
        (snapshot / name).write_bytes((VOCABULARY / name).read_bytes())
    assert vocabulary_folder(file, None, download=False) == snapshot
    beside.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (beside / name).write_bytes((VOCABULARY / name).read_bytes())
    assert vocabulary_folder(file, None, download=False) == beside
    assert vocabulary_folder(file, tmp_path) == beside, "a model's folder is as good as its tokenizer's"


def test_a_tokenizer_of_another_vocabulary_is_refused(tensors, tiny, tmp_path):
    file = write_single(tmp_path / "model.safetensors", tensors["sd1"])
    with pytest.raises(PrepError, match="49408 tokens, the text encoder knows 732"):
        load(file, tokenizer=full_vocabulary(tmp_path))
