"""Cards dealt to players who take different numbers of turns, so that every card comes equally often.

Regularization images that a person gave are dealt so to the images they are shown beside: turns are exposures. They
are ordered in time and the cards given out in passes through the whole deck, so that up to any moment no card came more
than once oftener than another. In a pass the widest card goes to the widest player, so that little is cropped; what is
equal there is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TURNS = 16
"""How many cards a player holds on average, as far as there is room: beyond, they come again in the same order."""


def turns_wanted(shares: Sequence[float], cards: int, room: int) -> int:
    """How many cards to deal: a multiple of the deck, so that none comes oftener than another, and of the multiples up to
    twice the first the one by which the players' whole turns are nearest to their shares.

    Args:
        shares: how often each player's turn comes, all above 0.
        room: more are not dealt if it can be helped; every player gets one and every card is dealt, whatever it is.
    """
    players = len(shares)
    if cards == 1:
        return players
    least = -(-max(cards, players, min(TURNS * players, room)) // cards)
    exact = np.unique(np.array(shares, float)) / sum(shares) * cards
    numbers = np.arange(least, 2 * least + 1)[: max(1, room // cards)]
    turns = np.outer(numbers, exact)
    bends = np.abs(np.maximum(1, np.rint(turns)) / turns - 1).max(1)
    return int(numbers[bends.argmin()]) * cards


def dealt(
    shares: Sequence[float], widths: Sequence[float], cards: Sequence[float], turns: int, draw: np.random.Generator
) -> list[list[int]]:
    """Each player's cards, by number, in the order in which they come.

    Args:
        shares: how often each player's turn comes, all above 0.
        widths: each player's aspect ratio, width / height.
        cards: each card's aspect ratio.
        turns: how many cards to deal; players who would get none get one beyond.
        draw: decides what is equal otherwise.
    """
    order = _in_time(shares, turns, draw)
    aspects, wide = np.array(cards, float), np.array(widths, float)
    hands: list[list[int]] = [[] for _ in shares]
    for start in range(0, len(order), len(cards)):
        players = order[start : start + len(cards)]
        deck = draw.permutation(len(cards))[: len(players)]
        deck = deck[np.argsort(aspects[deck], kind="stable")]
        for player, card in zip(players[np.argsort(wide[players], kind="stable")], deck, strict=True):
            hands[player].append(int(card))
    return hands


def _in_time(shares: Sequence[float], turns: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Whose turn it is, one turn after another: a player of share s has turns at 1/2s, 3/2s, 5/2s … (the divisors of
    Sainte-Laguë's method, which gives everybody turns nearest to the shares)."""
    rates = np.array(shares, float)
    most = np.ceil(turns * rates / rates.sum()).astype(np.int64) + 1
    players = draw.permutation(len(rates))
    owners = np.repeat(players, most[players])
    number = np.arange(len(owners)) - np.repeat(np.cumsum(most[players]) - most[players], most[players])
    first = np.argsort((number + 0.5) / rates[owners], kind="stable")
    chosen, rest = first[:turns], first[turns:]
    late = rest[number[rest] == 0]
    dealt: NDArray[np.int64] = owners[np.concatenate([chosen, late])]
    return dealt
