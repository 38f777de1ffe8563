"""The pages in the order of the desk's menu."""

from pipeline.review.pages import balance, captions, images, proposals, runs, tags, thresholds
from pipeline.review.pages.page import Page

PAGES: tuple[Page, ...] = (
    images.PAGE,
    tags.PAGE,
    proposals.PAGE,
    thresholds.PAGE,
    captions.PAGE,
    balance.PAGE,
    runs.PAGE,
)
"""The first is where the desk opens."""
