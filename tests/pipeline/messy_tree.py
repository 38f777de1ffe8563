"""A source tree with everything that goes wrong in people's folders, as far as the file system here can hold it."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
import zipfile
from pathlib import Path

from painted_sets import painted, save

NAMES = (
    "plain.png",
    "UPPER.PNG",
    "upper.png",
    "caf\u00e9.jpg",
    "cafe\u0301.jpg",
    "猫😀.webp",
    "[artist] (2).png",
    "[/bold]x.png",
    "a ~ b.png",
    "100%7E.png",
    "CON.png",
    "nul.tar.png",
    "com1.jpeg",
    "dot..png",
    " space.png",
    "space .png",
    "what?.png",
    "a:b|c<d>.png",
    'quote".png',
    "tab\tnew\nline.png",
    "back\\slash.png",
    "\u202egnp.exe.png",
    "-rf.png",
    "$(reboot).png",
    "x.png.png",
    "é" * 120 + ".png",
    "y" * 250 + ".png",
)
FOLDERS = (
    "characters/Lumi",
    "characters",
    "24_fanart~Lumi",
    "x.png",
    "aux",
    "trailing.",
    "CHARACTERS/lumi",
    "%7E",
    "a/b/c/d/e/f/g",
    "0_zero",
)


def plant(root: Path) -> Path:
    """Make the tree; what this file system refuses is left out."""
    seed = 0
    for folder in FOLDERS:
        for name in NAMES if folder == "characters/Lumi" else NAMES[:6]:
            seed += 1
            with contextlib.suppress(OSError):
                _image(seed, root / folder / name)
    _odd_images(root / "odd")
    _sidecars(root / "sidecars")
    _archives(root / "archives")
    _links(root / "links", root)
    _specials(root / "specials")
    return root


def _image(seed: int, path: Path) -> None:
    """An image of its own content; the format follows the extension where there is one for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
    painted(seed, 0.15).save(path, format=kind)


def _odd_images(folder: Path) -> None:
    save(painted(1, 0.15), folder / "lies.png").rename(folder / "lies.jpg")
    save(painted(2, 0.15), folder / "noname.png").rename(folder / "noname")
    save(painted(3, 0.15), folder / "odd.png").rename(folder / "odd.dat")
    (folder / "text.png").write_text("this is no image")
    (folder / "empty.png").write_bytes(b"")
    (folder / "half.jpg").write_bytes((folder / "lies.jpg").read_bytes()[:100])
    (folder / "notes.pdf").write_bytes(b"%PDF-1.7")
    (folder / "Makefile").write_text("all:\n")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")


def _sidecars(folder: Path) -> None:
    for number, stem in enumerate("abcdefgh"):
        save(painted(10 + number, 0.15), folder / f"{stem}.png")
    save(painted(30, 0.15), folder / "a.webp")
    (folder / "a.txt").write_text("both images of this stem")
    (folder / "b.txt").write_bytes("not utf-8".encode("utf-16"))
    (folder / "b.caption").write_text("taken in its place")
    (folder / "c.txt").write_bytes(b"")
    (folder / "d.png.txt").write_bytes(b"\xef\xbb\xbfmarked\r\n")
    (folder / "e.TXT").write_text("upper case")
    (folder / "lonely.txt").write_text("no image")
    (folder / "a.json").write_text(json.dumps({"tag_string_general": "1girl cat_ears", "rating": "g"}))
    (folder / "f.png.json").write_text("{broken")
    (folder / "g.json").write_text(json.dumps({"tags": 5}))
    (folder / "alone.json").write_text(json.dumps({"id": 7}))
    (folder / "meta_cap.json").write_text(json.dumps({"h": {"caption": "from kohya's table"}, "gone": {"tags": "x"}}))
    (folder / "metadata.jsonl").write_text('{"file_name": "../../etc/passwd", "text": "x"}\n{half\n')
    (folder / "list.csv").write_text("who,knows\n1,2\n")
    (folder / "multiply.txt").write_text("2.5")
    (folder / "cond_dropout.txt").write_text("0.1")
    (folder / "deep").mkdir()
    (folder / "deep/multiply.txt").write_text("zero")


def _archives(folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        archive.writestr("a.png", "x")
    with tarfile.open(folder / "shard.TAR", "w"):
        pass
    (folder / "other.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")


def _links(folder: Path, root: Path) -> None:
    folder.mkdir()
    with contextlib.suppress(OSError):
        for name, target in (
            ("loop", folder),
            ("self.png", folder / "self.png"),
            ("broken.png", folder / "nowhere.png"),
            ("outside", root.parent),
            ("passwd.png", Path("/etc/passwd")),
            ("inside.png", root / "odd/lies.jpg"),
            ("again", root / "characters"),
        ):
            (folder / name).symlink_to(target)


def _specials(folder: Path) -> None:
    folder.mkdir()
    with contextlib.suppress(OSError, AttributeError):
        os.mkfifo(folder / "pipe.png")
    with contextlib.suppress(OSError):
        (folder / os.fsdecode(b"latin1-\xe9.png")).write_bytes(b"x")
        (folder / os.fsdecode(b"latin1-\xe8.png")).write_bytes(b"x")
        (folder / os.fsdecode(b"folder-\xe9")).mkdir()
        (folder / os.fsdecode(b"folder-\xe9") / "a.png").write_bytes(b"x")
    (folder / ".hidden").mkdir()
    save(painted(40, 0.15), folder / ".hidden/a.png")
    (folder / "a set").mkdir()
    (folder / "a set/manifest.db").write_bytes(b"")
    (folder / "empty folder").mkdir()
