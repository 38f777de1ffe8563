"""What can be wrong with a tagger and mended by a person."""


class TaggerError(Exception):
    """What is wrong with the value seen (`message`), and what to type instead (`hint`)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
