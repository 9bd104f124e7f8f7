"""The one error that a command shows to a person: a sentence that says what is wrong, and one that says what to do."""


class CliError(Exception):
    """An expected failure: shown as its sentence and advice, without a traceback, with exit code 1 or one that it names."""

    def __init__(self, problem: str, advice: str = "", code: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.code = code
