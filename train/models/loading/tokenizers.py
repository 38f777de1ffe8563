"""A family's tokenizers, all of one vocabulary: they differ in what they put behind a text's end."""

from __future__ import annotations

from pathlib import Path

from transformers import CLIPTokenizer

from pipeline.core.errors import PrepError
from train.models.families.family import Family


def load_tokenizers(family: Family, folder: Path, words: int) -> tuple[CLIPTokenizer, ...]:
    """One for each of the family's text encoders.

    Args:
        folder: holds vocab.json and merges.txt.
        words: how many tokens the text encoders know.

    Raises:
        PrepError: the folder cannot be read, or is another vocabulary.
    """
    made = []
    for part in family.text:
        try:
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrepError(
                f"tokenizer {folder} cannot be read: {str(error).splitlines()[0]}", "give another tokenizer folder"
            ) from error
        if len(tokenizer) != words:
            raise PrepError(
                f"tokenizer {folder} has {len(tokenizer)} tokens, the text encoder knows {words}",
                "give the tokenizer folder of a model of the same kind",
            )
        tokenizer.pad_token = part.padding
        made.append(tokenizer)
    return tuple(made)
