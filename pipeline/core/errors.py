"""The one kind of failure a person can mend."""


class PrepError(Exception):
    """What is wrong with the value seen and where (`message`), and what to type instead (`hint`)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
