"""HTML from plain values: whatever is not markup already is escaped on its way in."""

from __future__ import annotations

import html

VOID = frozenset(("br", "img", "meta"))


class Html(str):
    """Text that is markup already; any other text is escaped when it is put into an element."""

    __slots__ = ()


def element(name: str, /, *inside: str, **attributes: str | int | None) -> Html:
    """One element. `class_` gives class, `data_x` data-x; an attribute that is None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>") if name in VOID else Html(f"<{name}{written}>{join(*inside)}</{name}>")


def join(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def meter(share: float, kind: str = "") -> Html:
    """A bar filled to a share, 0..1."""
    width = 100 * min(1.0, max(0.0, share))
    return element("span", element("i", style=f"width:{width:.1f}%"), class_=f"meter {kind}".strip())


def table(heads: tuple[str, ...], rows: list[Html], numbers: tuple[int, ...] = (), class_: str | None = None) -> Html:
    """A table that scrolls sideways where it does not fit; `numbers` are the columns set flush right."""
    head = element(
        "tr", *(element("th", head, class_="number" if place in numbers else None) for place, head in enumerate(heads))
    )
    body = element("table", element("thead", head), element("tbody", *rows), class_=class_)
    return element("div", body, class_="scroll")


def row(*cells: str, numbers: tuple[int, ...] = (), class_: str | None = None) -> Html:
    return element(
        "tr",
        *(element("td", cell, class_="number" if place in numbers else None) for place, cell in enumerate(cells)),
        class_=class_,
    )
