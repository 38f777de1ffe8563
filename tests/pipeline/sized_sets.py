"""Sets of so many images a concept, for the tests of balance."""

from pipeline.store.records import Image


def images_of(sizes):
    return [
        Image(f"images/{concept.replace('/', '~')}/{number}.png", concept, "", f"{concept}{number}", 1, "copy")
        for concept, imgs in sizes.items()
        for number in range(imgs)
    ]
