"""The two errors that a stage may raise; a refusal is a value (see `reasons`), never an exception."""


class NotOurs(Exception):  # noqa: N818 - names what is wrong with the record, as the dead letter quotes it
    """A record that belongs to no stage: it goes to `dead-letters` with its bytes, and the flow goes on."""


class InvariantBroken(Exception):  # noqa: N818 - names the fact; the worker stops on it
    """State that cannot be: the worker stops before anything of this cycle is committed."""
