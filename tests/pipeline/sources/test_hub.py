"""Repositories of the hub, served by a small server on this machine that answers as the hub does."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants
import huggingface_hub.hf_api
import pytest
from archive_files import png, zipped
from painted_sets import painted, run_flatten, save

from pipeline.config.settings import Settings
from pipeline.core.errors import PrepError
from pipeline.sources import hub
from pipeline.sources.source_list import with_sources
from pipeline.store.manifest import Manifest
from pipeline.store.wording import phrase

SHA = "0123456789abcdef0123456789abcdef01234567"


class Answers(BaseHTTPRequestHandler):
    """One dataset, o/n, at one commit; `server.files` is path → bytes, `server.gated` what it refuses with."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        files = self.server.files
        if self.server.gated:
            return self.send(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        if path.startswith("/api/datasets/") and not path.startswith("/api/datasets/o/n"):
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        if path in ("/api/datasets/o/n", "/api/datasets/o/n/revision/main", f"/api/datasets/o/n/revision/{SHA}"):
            siblings = [{"rfilename": name} for name in files]
            return self.send(200, json.dumps({"id": "o/n", "sha": SHA, "siblings": siblings}).encode())
        if path.startswith("/api/datasets/o/n/tree/"):
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            return self.send(200, json.dumps(rows).encode())
        if path.startswith("/api/datasets/o/n/revision/"):
            return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        name = path.removeprefix(f"/datasets/o/n/resolve/{SHA}/")
        if name not in files:
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
        etag = f'"{hashlib.sha1(files[name]).hexdigest()}"'
        return self.send(200, files[name], {"ETag": etag, "X-Repo-Commit": SHA})

    def send(self, code, body, headers=None):
        self.send_response(code)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.files = {
        "train/characters/Lumi/a.PNG": png(1),
        "train/characters/Lumi/a.txt": b"lumi\n",
        "train/metadata.jsonl": b'{"file_name": "b.png", "text": "quill", "concept": "characters/Quill", "repeats": 2}\n',
        "train/b.png": png(2),
        "train/more.zip": zipped(tmp_path / "more.zip", [("c.png", png(3))]).read_bytes(),
        "train/weights.bin": b"not wanted",
        "other/d.png": png(4),
        "README.md": b"# n",
    }
    server.gated, server.asked = False, []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    for name, value in (
        ("ENDPOINT", endpoint),
        ("HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"),
        ("HF_HUB_CACHE", str(tmp_path / "hub")),
    ):
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", endpoint)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    yield server
    server.shutdown()
    server.server_close()


def offline(server, monkeypatch):
    server.asked.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True, raising=False)


@pytest.mark.parametrize(
    ("text", "repo", "revision", "folder"),
    [
        ("hf://datasets/o/n", "o/n", "", ""),
        ("hf://datasets/o/n@main/a//b/", "o/n", "main", "a/b"),
        ("hf://datasets/o-1/n.x_y@refs%2Fpr%2F1", "o-1/n.x_y", "refs/pr/1", ""),
    ],
)
def test_an_address_is_read_and_written_alike(text, repo, revision, folder):
    address = hub.address(text)
    assert (address.repo, address.revision, address.folder) == (repo, revision, folder)
    assert hub.address(str(address)) == address


@pytest.mark.parametrize("text", ["hf://o/n", "hf://datasets/n", "hf://models/o/n", "hf://datasets/o/n/../x"])
def test_any_other_address_is_an_error_that_shows_the_form(text):
    with pytest.raises(PrepError, match="is no address of a dataset repository") as caught:
        hub.address(text)
    assert "hf://datasets/OWNER/NAME" in caught.value.hint


def test_a_folder_of_a_repository_becomes_a_set_at_a_pinned_commit(served, tmp_path):
    (source,) = with_sources(Settings(), ("hf://datasets/o/n/train",)).sources
    assert source == f"hf://datasets/o/n@{SHA}/train"
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    assert {image.source: image.concept for image in manifest.images()} == {
        f"{source}/characters/Lumi/a.PNG": "characters/Lumi",
        f"{source}/b.png": "characters/Quill",
    }
    assert manifest.manual_captions() == {
        "images/characters~Lumi/a.png": "lumi\n",
        "images/characters~Quill/b.png": "quill",
    }
    assert manifest.decisions("user_repeats")["images/characters~Quill/b.png"].value == 2.0
    rows = {path.removeprefix(source): phrase(row) for path, row in manifest.decisions("imported").items()}
    assert rows["/more.zip"] == "archive; name it as a source to use it" and rows["/weights.bin"] == "not an image"
    for image in manifest.images():
        assert not (manifest.root / image.path).is_symlink()
    assert not any("more.zip" in path or "weights" in path or "other" in path for path in served.asked)


def test_once_fetched_the_hub_is_not_asked_again_nor_needed(served, tmp_path, monkeypatch):
    source = f"hf://datasets/o/n@{SHA}/train"
    one = Manifest.open(tmp_path / "one", create=True)
    run_flatten(one, source)
    offline(served, monkeypatch)
    assert run_flatten(one, source).fresh
    (tmp_path / "one/images/characters~Quill/b.png").unlink()
    run_flatten(one, source)
    assert (tmp_path / "one/images/characters~Quill/b.png").read_bytes() == png(2)
    other = Manifest.open(tmp_path / "other", create=True)
    run_flatten(other, source)
    assert [image.path for image in other.images()] == [image.path for image in one.images()]
    assert served.asked == []


def test_progress_counts_files_and_nothing_is_printed(served, tmp_path, capfd):
    reported = []
    hub.fetch(f"hf://datasets/o/n@{SHA}/train", tmp_path / "notes", lambda *each: reported.append(each))
    assert reported == [("fetching o/n", done, 4) for done in (1, 2, 3, 4)]
    assert capfd.readouterr() == ("", "")


def test_an_archive_in_a_repository_is_a_source_of_its_own(served, tmp_path):
    source = f"hf://datasets/o/n@{SHA}/train/more.zip"
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, source)
    assert [(image.source, image.concept) for image in manifest.images()] == [(f"{source}!/c.png", "more")]


def test_an_image_that_another_commit_has_too_keeps_its_place(served, tmp_path):
    save(painted(1, 0.3), tmp_path / "src/characters/Lumi/a.png")
    manifest = Manifest.open(tmp_path / "set", create=True)
    run_flatten(manifest, tmp_path / "src")
    run_flatten(manifest, f"hf://datasets/o/n@{SHA}/train")
    assert "images/characters~Lumi/a.png" in {image.path for image in manifest.images()}
    assert phrase(manifest.decisions("imported")[str(tmp_path / "src/characters/Lumi/a.png")]) == "moved"


def refused(source, tmp_path):
    with pytest.raises(PrepError) as caught:
        hub.fetch(hub.pinned(source), tmp_path / "notes")
    return caught.value


def test_what_cannot_be_had_is_reported_with_what_to_do(served, tmp_path, monkeypatch):
    assert "the hub has no dataset o/gone" in refused("hf://datasets/o/gone", tmp_path).message
    error = refused("hf://datasets/o/n@v9", tmp_path)
    assert error.message == "o/n has no revision v9" and "/datasets/o/n/commits/main" in error.hint
    assert refused(f"hf://datasets/o/n@{SHA}/nowhere", tmp_path).message.endswith("has no nowhere")
    served.gated = True
    error = refused("hf://datasets/o/n", tmp_path)
    assert error.message == "o/n wants a login" and "hf auth login" in error.hint
    offline(served, monkeypatch)
    error = refused(f"hf://datasets/o/other@{SHA}", tmp_path)
    assert "is not on this machine and the hub cannot be reached" in error.message
    assert "go online and run the same again" in error.hint


def test_a_source_without_a_commit_is_refused_with_the_one_to_write(served, tmp_path):
    with pytest.raises(PrepError, match="does not name a commit") as caught:
        hub.fetch("hf://datasets/o/n@main/train", tmp_path)
    assert f"hf://datasets/o/n@{SHA}/train" in caught.value.hint
