"""The documented captions of the families of base models.

Read from the model cards and papers that each family names; what none of them says is empty here, not guessed. One word
means different things to different families: `best quality` is the 85th to 95th percentile for NoobAI, the 82nd to 92nd for
Illustrious.
"""

from __future__ import annotations

from pipeline.tags.formats.family import GROUPS, Family

_LAST = 9999
_RATINGS = ("general", "sensitive", "questionable", "explicit")
"""Those of boards."""

BOORU = Family(
    name="booru",
    order=GROUPS,
    source="Danbooru's own groups of tags",
    ratings={rating: (f"rating:{rating}",) for rating in _RATINGS},
)
PONY = Family(
    name="pony",
    order=("quality", "rating", "count", "solo", "character", "copyright", "artist", "added", "general", "meta"),
    source="Pony Diffusion V6 XL, its page on Civitai (model 257749)",
    # The board parted what had been `safe` into general and sensitive in 2022; the card knows three ratings.
    ratings={
        "general": ("rating_safe",),
        "sensitive": ("rating_safe",),
        "questionable": ("rating_questionable",),
        "explicit": ("rating_explicit",),
    },
    quality=("score_9", "score_8_up", "score_7_up", "score_6_up", "score_5_up", "score_4_up"),
    before=("score_9", "score_8_up", "score_7_up", "score_6_up", "score_5_up", "score_4_up"),
)
ANIMAGINE = Family(
    name="animagine",
    order=(
        "count",
        "character",
        "copyright",
        "rating",
        "solo",
        "artist",
        "added",
        "general",
        "meta",
        "year",
        "quality",
    ),
    source="Animagine XL 4.0, its model card (cagliostrolab)",
    ratings={"general": ("safe",), "sensitive": ("sensitive",), "questionable": ("nsfw",), "explicit": ("explicit",)},
    quality=(
        "masterpiece",
        "best quality",
        "high score",
        "great score",
        "good score",
        "average score",
        "bad score",
        "low score",
        "low quality",
        "worst quality",
        "absurdres",
    ),
    poor="worst quality",
    dated=True,
    after=("masterpiece", "high score", "great score", "absurdres"),
)
NOOBAI = Family(
    name="noobai",
    order=(
        "count",
        "character",
        "copyright",
        "artist",
        "quality",
        "year",
        "rating",
        "solo",
        "added",
        "general",
        "meta",
    ),
    source="NoobAI-XL 1.0, its model card (Laxhar)",
    ratings={
        "general": ("safe",),
        "sensitive": ("sensitive",),
        "questionable": ("nsfw",),
        "explicit": ("nsfw", "explicit"),
    },
    quality=(
        "masterpiece",
        "best quality",
        "good quality",
        "normal quality",
        "worst quality",
        "very awa",
        "worst aesthetic",
    ),
    poor="worst quality",
    years={
        "old": (2005, 2010),
        "early": (2011, 2014),
        "mid": (2015, 2017),
        "recent": (2018, 2020),
        "newest": (2021, _LAST),
    },
    dated=True,
    before=("masterpiece", "best quality", "newest", "absurdres", "highres", "safe"),
)
ILLUSTRIOUS = Family(
    name="illustrious",
    order=(
        "count",
        "character",
        "copyright",
        "rating",
        "solo",
        "added",
        "general",
        "artist",
        "quality",
        "year",
        "meta",
    ),
    source="Illustrious, arXiv 2409.19946, section 3.1.2 and tables 3 to 5",
    ratings={rating: (rating,) for rating in _RATINGS},
    quality=("masterpiece", "best quality", "good quality", "average quality", "bad quality", "worst quality"),
    poor="worst quality",
    years={
        "oldest": (0, 2017),
        "old": (2018, 2019),
        "modern": (2020, 2020),
        "recent": (2021, 2022),
        "newest": (2023, _LAST),
    },
    after=("masterpiece", "general"),
)
PROSE = Family(
    name="prose",
    order=("count", "solo", "character", "copyright", "general", "added", "artist", "meta"),
    source="Stable Diffusion 1.x and 2.x and SDXL, trained on descriptions: no documented words",
)
CUSTOM = Family(name="custom", order=GROUPS, source="the person", ratings=BOORU.ratings)
FAMILIES = {each.name: each for each in (BOORU, PONY, ANIMAGINE, NOOBAI, ILLUSTRIOUS, PROSE, CUSTOM)}
