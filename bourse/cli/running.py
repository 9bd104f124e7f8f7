"""What a supervisor's workers run: the settings that they read, and the code. `up` compares its own with theirs.

It decides which settings concern a worker, and refuses to know what they mean.
"""

from pathlib import Path

import bourse
from bourse.settings import Settings, environment_name, without_password

_NOT_OF_WORKERS = frozenset(
    {
        "data_dir",
        "topics_file",
        "replication",
        "workers",
        "worker_id",
        "web_port",
        "broker_jars",
        "broker_port",
    }
)
_CODE = "code"
Running = dict[str, str]


def running(settings: Settings) -> Running:
    """Return what a worker that is started here and now would run, by the names that people know."""
    mine = settings.model_dump(mode="json", exclude=set(_NOT_OF_WORKERS))
    if settings.broker_is_local:
        # Wherever `bourse broker` has it: workers look for its address themselves.
        del mine["broker"]
    shown = {environment_name(name): str(without_password(value)) for name, value in mine.items()}
    return shown | {_CODE: str(Path(bourse.__file__).parent)}


def differences(theirs: Running, mine: Running) -> list[str]:
    """Say in what they differ; where nothing was noted of theirs, in nothing."""
    if not theirs:
        return []
    names = [name for name in sorted(theirs.keys() | mine.keys()) if theirs.get(name) != mine.get(name)]
    return [f"{name}: {theirs.get(name, 'unset')} there, {mine.get(name, 'unset')} here" for name in names]
