"""What a base model's tokenizer makes of a text: the tokens that captions are counted in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import PrepError

FILE = "tokenizer.json"
_END = "</w>"
SEPARATOR = ", "
BATCH = 4096
"""Texts that the tokenizer is given at once."""
SHORTEST = 3
"""Letters of a token below which two words may share it without blending."""
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How CLIP parts a text before it looks for tokens (Radford et al. 2021, arXiv:2103.00020, and its published code)."""


class Tokens:
    """A base model's tokenizer."""

    def __init__(
        self,
        encode: Callable[[str], tuple[str, ...]],
        encode_many: Callable[[list[str]], list[tuple[str, ...]]] | None = None,
    ) -> None:
        self.of_text = encode
        """A text's tokens, without those of its start and end."""
        self.of_word = functools.cache(encode)
        """The same for a text that comes again and again, such as a tag."""
        self._many = encode_many or (lambda texts: [encode(text) for text in texts])

    def of_many(self, texts: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each text and its tokens, read many at once on all cores."""
        for start in range(0, len(texts), BATCH):
            some = list(texts[start : start + BATCH])
            yield from zip(some, self._many(some), strict=True)


class TagTokens:
    """The tokens of lists of tags, for very many of them: put together from those of each tag, which is read once.

    A tag can be used so if its tokens are the same in a list: no token reaches across the comma behind it or the space
    before it. That is seen from a list of the tag itself, twice, as no token of CLIP's reaches across a space. Where a list
    holds another tag, it is read as a whole.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._comma = tokens.of_text(SEPARATOR.strip())
        self._parts: dict[str, tuple[str, ...]] = {}

    def learn(self, tags: Iterable[str]) -> None:
        """Read tags that come again and again."""
        new = [tag for tag in tags if tag not in self._parts]
        lists = self._tokens.of_many([SEPARATOR.join((tag, tag)) for tag in new])
        for (tag, alone), (_, twice) in zip(self._tokens.of_many(new), lists, strict=True):
            if twice == (*alone, *self._comma, *alone):
                self._parts[tag] = alone

    def of_text(self, text: str) -> tuple[str, ...]:
        """The tokens of tags with `, ` between, as the tokenizer gives them."""
        parts = [self._parts.get(tag) for tag in text.split(SEPARATOR)]
        found: list[str] = []
        for part in parts:
            if part is None:
                return self._tokens.of_text(text)
            found += part
            found += self._comma
        return tuple(found[: len(found) - len(self._comma)])


def tokenizer_files(path: Path) -> tuple[Path, ...]:
    """The files that hold a tokenizer: a tokenizer.json, or a folder with one or with CLIP's vocab.json and merges.txt.

    Raises:
        PrepError: it is neither.
    """
    if path.is_file():
        return (path,)
    for names in ((FILE,), ("vocab.json", "merges.txt")):
        files = tuple(path / name for name in names)
        if all(file.is_file() for file in files):
            return files
    raise PrepError(
        f"no tokenizer at {path}",
        "give the tokenizer.json of the base model, or its folder called tokenizer, which holds vocab.json and merges.txt",
    )


def load_tokens(path: Path) -> Tokens:
    """Read a tokenizer.

    Raises:
        PrepError: there is none, or it cannot be read.
    """
    import tokenizers

    files = tokenizer_files(path)
    try:
        if len(files) == 1:
            tokenizer = tokenizers.Tokenizer.from_file(str(files[0]))
            tokenizer.no_truncation()
            tokenizer.no_padding()
        else:
            tokenizer = _clip(*files)
    except Exception as error:  # the library raises bare Exceptions
        raise PrepError(f"{files[0]} cannot be read as a tokenizer: {error}", "fetch the base model again") from error
    return Tokens(
        lambda text: tuple(tokenizer.encode(text, add_special_tokens=False).tokens),
        lambda texts: [tuple(each.tokens) for each in tokenizer.encode_batch(texts, add_special_tokens=False)],
    )


def _clip(vocab: Path, merges: Path) -> Any:
    """CLIP's tokenizer from the two files that older models have it in."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    model = models.BPE.from_file(str(vocab), str(merges), unk_token="<|endoftext|>", end_of_word_suffix=_END)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return tokenizer


def telling_tokens(tokens: Tokens, word: str) -> frozenset[str]:
    """The tokens of a trigger word that are long enough to carry a meaning, without the mark of a word's end."""
    parts = (token.removesuffix(_END).strip("Ġ") for token in tokens.of_word(word))
    return frozenset(part for part in parts if len(part) >= SHORTEST)


def is_common(tokens: Tokens, word: str) -> bool:
    """Whether a trigger word is one token: a word that the base model met often and has a meaning for."""
    return len(tokens.of_word(word)) == 1


def within_tokens(order: Sequence[str], head: Sequence[str], limit: int, tokens: Tokens, separator: str) -> int:
    """How many of the tags in `order` fit into `limit` tokens behind the trigger words of `head`.

    The tags are counted one by one first, and the caption as a whole then, as tokens may form across a comma.
    """
    between = len(tokens.of_word(separator.strip()))

    def fits(count: int) -> bool:
        return len(tokens.of_text(separator.join([*head, *order[:count]]))) <= limit

    used = sum(len(tokens.of_word(word)) + between for word in head) - between
    count = 0
    for tag in order:
        used += len(tokens.of_word(tag)) + between
        if used > limit:
            break
        count += 1
    while count and not fits(count):
        count -= 1
    while count < len(order) and fits(count + 1):
        count += 1
    return count
