from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from taggers.download import fetch, pinned, published_sha256, revision_of
from taggers.errors import TaggerError
from taggers.registry import BUILT_IN, find_spec

Make = Callable[..., Path]
BYTES = hashlib.sha256(b"bytes").hexdigest()
SPEC = replace(BUILT_IN["wd-vit-v3"], checksums={"model.onnx": BYTES, "selected_tags.csv": BYTES})
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Stands in for the hub: gives files of `there`, knows those of `here` already, and warnings what it was asked."""

    def __init__(
        self, folder: Path, here: tuple[str, ...] = (), there: tuple[str, ...] = (), failure: Exception | None = None
    ) -> None:
        self.folder, self.here, self.there, self.failure = folder, here, there, failure
        self.asked: list[tuple[str, str, str, bool]] = []

    def __call__(self, repo: str, name: str, *, revision: str, local_files_only: bool = False) -> str:
        self.asked.append((repo, name, revision, local_files_only))
        if name in self.here or (name in self.there and not local_files_only):
            (self.folder / name).write_bytes(b"bytes")
            return str(self.folder / name)
        raise errors.LocalEntryNotFoundError("not here") if local_files_only or self.failure is None else self.failure


def test_only_two_files_are_fetched_at_the_pinned_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path, there=("model.onnx", "selected_tags.csv"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    files = fetch(SPEC)
    assert (files.model, files.labels) == (tmp_path / "model.onnx", tmp_path / "selected_tags.csv")
    assert {(repo, revision) for repo, _, revision, _ in hub.asked} == {(SPEC.repo, SPEC.revision)}
    assert [(name, local) for _, name, _, local in hub.asked] == [
        ("model.onnx", True),
        ("model.onnx", False),
        ("selected_tags.csv", True),
        ("selected_tags.csv", False),
    ]


def test_what_is_here_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path, here=("model.onnx", "selected_tags.csv"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    fetch(SPEC)
    assert all(local for *_, local in hub.asked)


def test_offline_the_message_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", Hub(tmp_path))
    with pytest.raises(TaggerError) as caught:
        fetch(SPEC)
    assert caught.value.message == "model.onnx of wd-vit-v3 is not on this machine and the hub cannot be reached"
    assert "go online once and run the same again" in caught.value.hint
    assert f"https://huggingface.co/{SPEC.repo}/tree/{SPEC.revision}" in caught.value.hint


def test_offline_mode_of_the_hub_itself_ends_in_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TaggerError, match=r"is not on this machine and the hub cannot be reached"):
        fetch(SPEC)


def test_a_download_that_breaks_off_says_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        Hub(tmp_path, here=("model.onnx",), failure=ConnectionError("peer closed\nmore")),
    )
    with pytest.raises(TaggerError) as caught:
        fetch(SPEC)
    assert caught.value.message == "selected_tags.csv of wd-vit-v3 could not be fetched: peer closed"
    assert caught.value.hint.startswith("run the same again, it goes on where it stopped")


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaggerError, match=r"has no model.onnx and no selected_tags.csv"):
        fetch(find_spec(str(tmp_path)))
    (tmp_path / "selected_tags.csv").write_text("x", encoding="utf-8")
    (tmp_path / "model.onnx").touch()
    with pytest.raises(TaggerError, match=r"model.onnx in .* is empty") as caught:
        fetch(find_spec(str(tmp_path)))
    assert "broke off" in caught.value.hint


def test_the_revision_of_a_folder_changes_with_its_model_labels_and_settings(tiny: Make) -> None:
    folder = tiny()
    seen = {revision_of(find_spec(str(folder)))}
    for name in ("model.onnx", "selected_tags.csv", "model.toml"):
        with (folder / name).open("ab") as stream:
            stream.write(b"\n")
        seen.add(revision_of(find_spec(str(folder))))
    assert len(seen) == 4 and all(len(each) == 12 for each in seen)
    assert revision_of(SPEC) == "7f6b584d0bd3"
    assert published_sha256(SPEC) == BYTES and len(published_sha256(find_spec(str(folder)))) == 64


def test_a_file_that_is_not_the_published_one_is_refused_with_both_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", Hub(tmp_path, here=("model.onnx", "selected_tags.csv")))
    with pytest.raises(TaggerError) as caught:
        fetch(replace(SPEC, checksums={"model.onnx": "0" * 64}))
    assert caught.value.message.endswith(
        f"model.onnx is not the file that was published: its SHA-256 is {BYTES}, not {'0' * 64}"
    )
    assert caught.value.hint.startswith(f"delete {(tmp_path / 'model.onnx').resolve()} and run the same again")
    assert fetch(SPEC).sha256 == BYTES


def test_a_tagger_with_its_own_preprocessing_file_gets_that_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(tmp_path, here=("model.onnx", "selected_tags.csv", "preprocess.json"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    spec = find_spec("animetimm/resnet34.dbv4-full@" + COMMIT)
    assert fetch(spec).preprocess == tmp_path / "preprocess.json"
    assert revision_of(spec) == COMMIT, "a commit that is not built in stands in full, so that it can be fetched again"


def test_a_branch_is_resolved_once_and_then_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def model_info(self: object, repo: str, revision: str) -> SimpleNamespace:
        asked.append((repo, revision))
        return SimpleNamespace(sha=COMMIT)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    spec = find_spec("deepdanbooru")
    assert pinned(spec).revision == COMMIT and asked == [("deepghs/imgutils-models", "main")]
    assert pinned(spec, known=COMMIT).revision == COMMIT and len(asked) == 1
    assert pinned(SPEC) is SPEC and pinned(BUILT_IN["miniature"]).revision == "" and len(asked) == 1


def test_offline_a_branch_is_what_it_was_when_last_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_net(self: object, repo: str, revision: str) -> SimpleNamespace:
        raise ConnectionError("no net")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", no_net)
    snapshot = tmp_path / "snapshots" / COMMIT / "deepdanbooru"
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *given, **options: str(snapshot / "tags.csv"))
    assert pinned(find_spec("deepdanbooru")).revision == COMMIT
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", Hub(tmp_path))
    with pytest.raises(TaggerError, match=r"deepdanbooru_tags.csv of deepdanbooru could not be fetched: no net"):
        pinned(find_spec("deepdanbooru"))


def test_a_gated_repository_says_where_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    response = SimpleNamespace(headers={}, request=None, status_code=403)
    gated = errors.GatedRepoError.__new__(errors.GatedRepoError)
    Exception.__init__(gated, "gated")
    gated.response = response  # type: ignore[assignment]
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", Hub(tmp_path, failure=gated))
    with pytest.raises(TaggerError, match=r"wants a login before it gives model.onnx") as caught:
        fetch(BUILT_IN["animetimm-caformer_b36-dbv4-full"])
    assert "ask for access at https://huggingface.co/animetimm/caformer_b36.dbv4-full" in caught.value.hint
    assert 'with a model.toml that says like = "animetimm-caformer_b36-dbv4-full"' in caught.value.hint
