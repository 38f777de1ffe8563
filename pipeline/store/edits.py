"""What a person did to the files of a set since prep last looked: captions and images."""

from __future__ import annotations

from pipeline.store.caption_files import take_in as take_in_captions
from pipeline.store.image_files import sentence, take_in_images
from pipeline.store.manifest import Manifest


def take_in(manifest: Manifest) -> tuple[str, ...]:
    """Import captions and images that a person edited, wrote or deleted; returns what they should know of it."""
    edited = take_in_images(manifest)
    take_in_captions(manifest)
    return (sentence(edited),) if edited else ()
