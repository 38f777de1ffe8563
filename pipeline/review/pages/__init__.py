"""The pages of the desk, a file each, in the order of its menu.

May import: everything in `pipeline.review`.
"""

from pipeline.review.pages import balance, images, proposals, runs, tags
from pipeline.review.pages.page import Page

PAGES: tuple[Page, ...] = (images.PAGE, tags.PAGE, proposals.PAGE, balance.PAGE, runs.PAGE)
"""The first is where the desk opens."""
