"""Captions one below the other: edited in place, counted in tokens, and a tag replaced in all of them after a preview."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from pipeline.config.settings import settings_of
from pipeline.core.errors import PrepError
from pipeline.review.deciding.choices import checked, edits_of
from pipeline.review.deciding.stages_now import wanted_now
from pipeline.review.desk import Desk
from pipeline.review.pages.images import addressed
from pipeline.review.pages.page import Page
from pipeline.review.query.searching import search
from pipeline.review.server.answers import Document, reading, writing
from pipeline.review.snapshot.cells import cells
from pipeline.stages import curate
from pipeline.store.manifest import Manifest
from pipeline.tags.editor.bulk_edits import plan_edits
from pipeline.tags.editor.filters import Filter, select
from pipeline.tags.vocabulary.token_count import Tokens, load_tokens

AT_ONCE = 60
PREVIEWED = 30
WINDOWS = (75, 150, 225)
"""Tokens that one, two and three windows of CLIP hold."""


def _tokens(desk: Desk) -> Tokens | None:
    """The tokenizer that the settings name, for curation or as the folder of the base model; None where there is none."""
    options: curate.Options = wanted_now(desk.root, curate.STAGE).options
    base = settings_of(desk.root).stages.get("train", {}).get("base")
    for path in (options.tokenizer, Path(str(base)) / "tokenizer" if base else None):
        if path is not None and path.exists():
            return _loaded(path)
    return None


@functools.lru_cache(maxsize=4)
def _loaded(path: Path) -> Tokens:
    return load_tokens(path)


def _captions(desk: Desk, asked: Mapping[str, str]) -> Document:
    """Some captions of a question, from one place on, with their tokens where they can be counted."""
    snapshot, start = desk.snapshot(), int(asked["from"]) if asked.get("from", "").isdigit() else 0
    rows = search(snapshot, desk.scores, asked.get("q", "") or "verdict:kept", asked.get("sort", "path")).rows
    numbers = [snapshot.ids[row] for row in rows[start : start + AT_ONCE].tolist()]
    found = desk.read(lambda manifest: cells(snapshot, manifest, numbers))
    written = desk.read(lambda manifest: set(manifest.manual_captions()))
    tokens = _tokens(desk)
    shown = [
        {
            **cell,
            "by_person": cell["path"] in written,
            "tokens": len(tokens.of_text(cell["caption"])) if tokens else None,
        }
        for cell in addressed(found)
    ]
    return {"rows": shown, "total": len(rows), "from": start, "windows": list(WINDOWS) if tokens else []}


def _count(desk: Desk, asked: Mapping[str, str]) -> Document:
    """The tokens of a text that is being written."""
    tokens = _tokens(desk)
    return {"tokens": len(tokens.of_text(asked.get("text", "")[:20_000])) if tokens else None}


def _preview(desk: Desk, sent: Document) -> Document:
    """What replacing tags would change in the captions of a question; nothing is written."""
    _, value = checked({"replace": [sent.get("find"), sent.get("instead")]})
    snapshot = desk.snapshot()
    rows = search(snapshot, desk.scores, str(sent.get("q") or "") or "verdict:kept").rows.tolist()
    paths = [snapshot.images[row].path for row in rows]

    def planned(manifest: Manifest) -> Document:
        names = select(manifest, Filter()).names
        meant = [names.of(value[0]), names.of(value[1], board=False)]
        if not names.is_known(meant[0]):
            near = names.near(meant[0])
            raise PrepError(
                f"no tag of this set is called {meant[0]}", f"near it are: {', '.join(near)}" if near else ""
            )
        changed = plan_edits(manifest, paths, edits_of("replace", meant)).changed
        shown = [{"path": each.path, "before": each.before, "after": each.after} for each in changed[:PREVIEWED]]
        place = {path: snapshot.ids[row] for path, row in zip(paths, rows, strict=True)}
        return {"meant": meant, "ids": [place[each.path] for each in changed], "shown": shown}

    return desk.read(planned)


PAGE = Page(
    "captions",
    "Captions",
    (reading("captions", _captions), reading("tokens", _count), writing("captions/preview", _preview)),
)
