"""Paint folders of images as people really have them: unequal, oddly named, and with all that goes wrong.

The returned rows tell the truth about every file, so what prep finds can be held against what was planted.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFilter

from train.miniature.painter import cut_out, paint
from train.miniature.scenes import (
    BACKGROUNDS,
    CHARACTERS,
    EXPRESSIONS,
    FOOTWEAR,
    FOOTWEAR_COLOURS,
    FRAMINGS,
    GARMENT_COLOURS,
    GARMENTS,
    Girl,
    Scene,
    random_scene,
    true_tags,
)

EXACT_DUPLICATE = "exact duplicate"
NEAR_DUPLICATE = "near duplicate"
BLURRY = "blurry"
TINY = "tiny"
TRUNCATED = "truncated"
ANIMATED = "animated"
TRANSPARENT = "transparent"
CMYK = "cmyk"
ROTATED = "rotated by exif"
DEEP = "16 bit"
WRONG_EXTENSION = "wrong extension"
NO_IMAGE = "no image"
SIDECAR = "sidecar caption"

HARMLESS = (TRANSPARENT, CMYK, ROTATED, DEEP, WRONG_EXTENSION)
"""Kinds of mess under which a good image lies: to be kept, once it is read with care."""


@dataclass(frozen=True, slots=True)
class Painted:
    """The truth about one file of a source tree. `path` is POSIX, relative to the tree.

    `scene` is what the image shows (None for a file that shows nothing), `mess` what is wrong with it ("" if
    nothing), `original` the path of the image that a duplicate repeats or that a sidecar caption describes.
    """

    path: str
    scene: Scene | None
    mess: str = ""
    original: str = ""

    @property
    def concept(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def sound(self) -> bool:
        """Whether a good image can be had from the file."""
        return self.scene is not None and self.mess in ("", *HARMLESS)


@dataclass(frozen=True, slots=True)
class Folder:
    """One concept: `count` images of `cast`, or of anybody in the manner of `artist`."""

    path: str
    count: int
    medium: str
    cast: tuple[str, ...] = ()
    artist: str | None = None


FOLDERS = (
    Folder("characters/screenshots/Lumi", 24, "anime screenshot", ("Lumi",)),
    Folder("characters/screenshots/Oriel", 16, "anime screenshot", ("Oriel",)),
    Folder("characters/screenshots/Lumi+Oriel", 8, "anime screenshot", ("Lumi", "Oriel")),
    Folder("characters/screenshots/Quill", 7, "anime screenshot", ("Quill",)),
    Folder("characters/fanart/Lumi", 8, "fan art", ("Lumi",)),
    Folder("characters/fanart/Oriel", 5, "fan art", ("Oriel",)),
    Folder("characters/fanart/Pernille", 9, "fan art", ("Pernille",)),
    Folder("characters/fanart/Quill", 3, "fan art", ("Quill",)),
    Folder("artists/alder", 12, "fan art", artist="alder"),
    Folder("artists/birch", 7, "fan art", artist="birch"),
    Folder("artists/cedar", 5, "fan art", artist="cedar"),
)
SCREENSHOT_NAMES = (
    "[{who}] shot ({n}).png",
    "{who}_S01E{e:02}_{n:04}.png",
    "vlcsnap-2023-03-{d:02}-00h{e:02}m{n:02}s912.PNG",
    "Screen Shot 2023-04-{d:02} at 21.{n:02}.05.jpg",
    "{who} {n:03}.JPG",
    "{who} ep{e} #{n}.webp",
)
FAN_ART_NAMES = (
    "{id}_p0.jpg",
    "illust_{id}_20230{e}{d:02}.jpg",
    "__{who}_original_drawn_by_somebody__{id:08x}.png",
    "[artist {e}] {who} & friends ({n}).jpeg",
    "{who} ✨ {n}.webp",
    "{who} fanart {n} FINAL.PNG",
)
ODD_NAMES = (
    "🌸 {who} 🌸.png",
    "ルミナス {n}.png",
    "[bold] {who} 100%.JPG",
    "Noël à {who}, «{n}».png",
    "{who}.final.v{n}.png",
)


def paint_source_tree(folder: Path, seed: int) -> tuple[Painted, ...]:
    """Paint the tree into `folder` and return the truth about every file in it, in order of path.

    The same seed gives the same bytes. Raises FileExistsError where a file of that name is already there.
    """
    tree = _Tree(folder, seed)
    for place in FOLDERS:
        tree.fill(place)
    tree.plant_duplicates()
    tree.plant_poor_images()
    tree.plant_unusual_images()
    tree.plant_files_that_show_nothing()
    tree.plant_captions()
    return tuple(sorted(tree.painted, key=lambda row: row.path))


class _Tree:
    """What was painted so far, the names in use, and the one random generator everything is drawn from."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.rng = np.random.default_rng([23, seed])
        self.painted: list[Painted] = []
        self.stems: set[str] = set()
        self.looks: set[tuple[object, ...]] = set()
        self.folders = {place.path: place for place in FOLDERS}

    def fill(self, place: Folder) -> None:
        """Paint a folder's good images; most names follow one scheme, as one person's files do."""
        schemes = SCREENSHOT_NAMES if place.medium == "anime screenshot" else FAN_ART_NAMES
        habit = int(self.rng.integers(len(schemes)))
        for index in range(place.count):
            scheme = schemes[habit] if self.rng.random() < 0.6 else str(self.rng.choice(schemes))
            if index == 3:
                scheme = ODD_NAMES[FOLDERS.index(place) % len(ODD_NAMES)]
            scene = self.scene(place, index)
            path = self.name(place, scheme)
            self.put(path, encode(self.image(scene), path), scene)

    def scene(self, place: Folder, index: int = 0, background: str = "") -> Scene:
        """Draw a scene that no other image looks like. Every third image of a character is in other clothes."""
        while True:
            scene = self._anybody(place) if place.artist else self._cast(place, usual=index % 3 != 2)
            scene = replace(scene, background=background or scene.background)
            look = (tuple(girl.traits() for girl in scene.girls), scene.background, scene.framing, scene.size)
            if look not in self.looks:
                self.looks.add(look)
                return scene

    def _anybody(self, place: Folder) -> Scene:
        return replace(random_scene(self.rng, known=0.0), medium=place.medium, artist=place.artist)

    def _cast(self, place: Folder, usual: bool) -> Scene:
        rng = self.rng
        girls = [self._girl(CHARACTERS[place.cast[who]], usual) for who in rng.permutation(len(place.cast))]
        framing = "wide shot" if len(girls) > 1 else str(rng.choice(list(FRAMINGS), p=(0.3, 0.3, 0.25, 0.15)))
        sizes = FRAMINGS[framing]
        return Scene(
            tuple(girls),
            str(rng.choice(BACKGROUNDS)),
            framing,
            place.medium,
            sizes[int(rng.integers(len(sizes)))],
            int(rng.integers(2**31)),
        )

    def _girl(self, girl: Girl, usual: bool) -> Girl:
        rng, outfit = self.rng, girl.outfit()
        girl = replace(girl, expression=str(rng.choice(EXPRESSIONS)))
        while not usual and girl.outfit() == outfit:
            girl = replace(
                girl,
                garment=str(rng.choice(GARMENTS)),
                colour=str(rng.choice(GARMENT_COLOURS)),
                footwear=str(rng.choice(FOOTWEAR)),
                footwear_colour=str(rng.choice(FOOTWEAR_COLOURS)),
            )
        return girl

    def image(self, scene: Scene) -> Image.Image:
        return paint(scene, float(self.rng.choice((3.0, 3.5, 4.0, 5.0, 6.0))))

    def name(self, place: Folder, scheme: str) -> str:
        """Fill in a scheme until the name is new, even where capitals and extensions do not count."""
        who = place.artist or " and ".join(place.cast)
        while True:
            name = scheme.format(
                who=who,
                n=int(self.rng.integers(1, 60)),
                e=int(self.rng.integers(1, 10)),
                d=int(self.rng.integers(1, 29)),
                id=int(self.rng.integers(10**7, 10**8)),
            )
            stem = f"{place.path}/{Path(name).stem}".casefold()
            if stem not in self.stems:
                self.stems.add(stem)
                return f"{place.path}/{name}"
            scheme = scheme if "{n" in scheme or "{id" in scheme else "{n} " + scheme

    def put(self, path: str, data: bytes, scene: Scene | None, mess: str = "", original: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(data)
        self.painted.append(Painted(path, scene, mess, original))

    def good(self, folder: str, index: int) -> Painted:
        """The good image of a folder that was painted as number `index`."""
        return [row for row in self.painted if row.concept == folder and not row.mess][index]

    def another(self, path: str) -> tuple[Scene, Image.Image]:
        """Draw one more scene for the folder of `path` and paint it."""
        scene = self.scene(self.folders[path.rpartition("/")[0]])
        return scene, self.image(scene)

    def plant_duplicates(self) -> None:
        """Exact ones are copies under another name, at times in another folder; near ones were saved again."""
        for source, index, target in (
            ("characters/screenshots/Lumi", 5, "characters/screenshots/Lumi/Copy of best shot{suffix}"),
            ("characters/screenshots/Lumi+Oriel", 2, "characters/screenshots/Oriel/with Lumi (1){suffix}"),
            ("artists/alder", 4, "artists/alder/unsorted 7{suffix}"),
        ):
            row = self.good(source, index)
            data = (self.root / row.path).read_bytes()
            self.put(target.format(suffix=Path(row.path).suffix), data, row.scene, EXACT_DUPLICATE, row.path)
        for source, index, target, factor in (
            ("characters/screenshots/Lumi", 0, "characters/screenshots/Lumi/reupload_x2.jpg", 1.0),
            ("characters/screenshots/Oriel", 7, "characters/screenshots/Oriel/[preview] Oriel.png", 0.9),
            ("characters/fanart/Pernille", 1, "characters/fanart/Pernille/Pernille (sample).jpg", 0.8),
        ):
            row = self.good(source, index)
            with Image.open(self.root / row.path) as opened:
                image = opened.convert("RGB")
            size = (round(image.width * factor), round(image.height * factor))
            image = image.resize(size, Image.Resampling.BICUBIC)
            self.put(target, encode(image, target, quality=62), row.scene, NEAR_DUPLICATE, row.path)

    def plant_poor_images(self) -> None:
        path = "characters/screenshots/Lumi/motion (2).png"
        scene, image = self.another(path)
        self.put(path, encode(image.filter(ImageFilter.GaussianBlur(image.width / 26)), path), scene, BLURRY)
        path = "characters/fanart/Oriel/avatar 24px.png"
        scene, _ = self.another(path)
        scene = replace(scene, framing="portrait", size=(64, 64))
        self.put(path, encode(paint(scene, 24 / 64), path), scene, TINY)
        path = "characters/screenshots/Quill/download (1).jpg"
        scene, image = self.another(path)
        data = encode(image, path)
        self.put(path, data[: len(data) * 11 // 20], scene, TRUNCATED)
        for path in ("characters/screenshots/Lumi/reaction.gif", "characters/fanart/Quill/blink.webp"):
            scene, _ = self.another(path)
            girl = scene.girls[0]
            frames = [paint(replace(scene, girls=(replace(girl, expression=mood),)), 3.0) for mood in EXPRESSIONS]
            scene = replace(scene, girls=(replace(girl, expression=EXPRESSIONS[0]),))
            data = encode(frames[0], path, save_all=True, append_images=frames[1:], duration=400)
            self.put(path, data, scene, ANIMATED)

    def plant_unusual_images(self) -> None:
        """Good images in forms that careless readers get wrong."""
        path = "characters/screenshots/Oriel/Oriel cut out.png"
        scene = self.scene(self.folders["characters/screenshots/Oriel"], background="simple background")
        self.put(path, encode(cut_out(scene, 4.0), path), scene, TRANSPARENT)
        path = "artists/birch/scan for print.jpg"
        scene, image = self.another(path)
        self.put(path, encode(image.convert("CMYK"), path), scene, CMYK)
        path = "characters/fanart/Pernille/IMG_2041.JPG"
        scene, image = self.another(path)
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = image.transpose(Image.Transpose.ROTATE_90)
        self.put(path, encode(turned, path, exif=exif), scene, ROTATED)
        path = "characters/screenshots/Quill/render 16 bit.png"
        scene, image = self.another(path)
        done, data = cv2.imencode(".png", np.asarray(image, np.uint16)[:, :, ::-1] * 257)
        assert done
        self.put(path, data.tobytes(), scene, DEEP)
        path = "characters/fanart/Lumi/Lumi from a chat.jpg"
        scene, image = self.another(path)
        self.put(path, encode(image, "really.png"), scene, WRONG_EXTENSION)

    def plant_files_that_show_nothing(self) -> None:
        for path, data in (
            ("characters/fanart/read me first.txt", "Do not repost! ♥\n".encode()),
            ("characters/fanart/Lumi/94410283_p1.jpg", b"<!DOCTYPE html><title>404 Not Found</title>\n"),
            ("characters/screenshots/Oriel/Oriel 000.png", b""),
        ):
            self.put(path, data, None, NO_IMAGE)

    def plant_captions(self) -> None:
        """Two images that differ in nothing but the extension, and a caption a person wrote for another one."""
        folder = self.folders["characters/screenshots/Oriel"]
        for suffix in (".png", ".jpg"):
            path = f"{folder.path}/cover{suffix}"
            scene, image = self.another(path)
            self.put(path, encode(image, path), scene)
        row = self.good("characters/fanart/Lumi", 1)
        assert row.scene is not None
        text = ", ".join(["Lumi", *true_tags(row.scene)[2:], "looking at viewer"])
        self.put(str(Path(row.path).with_suffix(".txt").as_posix()), f"{text}\n".encode(), None, SIDECAR, row.path)


def encode(image: Image.Image, name: str, **options: object) -> bytes:
    """Encode an image in the format of the name's extension."""
    form = {".jpg": "JPEG", ".jpeg": "JPEG"}.get(Path(name).suffix.lower(), Path(name).suffix[1:].upper())
    defaults: dict[str, object] = {"quality": 92} if form in ("JPEG", "WEBP") else {}
    stream = io.BytesIO()
    image.save(stream, form, **(defaults | options))
    return stream.getvalue()
