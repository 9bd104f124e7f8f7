"""The topics as `deploy/topics/topics.toml` wants them: that file with its defaults filled in, and nothing of Kafka."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from bourse.cli.errors import CliError
from bourse.settings import Settings

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """What one topic should be; the configuration is in Kafka's own names and words."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


def wanted_topics(settings: Settings) -> list[TopicSettings]:
    """Return every topic as it should be, under its name in Kafka, in the file's order."""
    defaults, topics = _read(settings.topics_file)
    common = {"min.insync.replicas": max(1, settings.replication - 1), **defaults}
    return [
        TopicSettings(
            settings.topic(name),
            settings.partitions,
            settings.replication,
            {key: _in_kafkas_words(value) for key, value in (common | own).items()},
        )
        for name, own in topics.items()
    ]


def _read(file: Path) -> tuple[dict[str, Value], dict[str, dict[str, Value]]]:
    try:
        document = tomllib.loads(file.read_text())
    except FileNotFoundError:
        msg = f"The topics' settings {file} are missing."
        raise CliError(
            msg, "Run from a checkout, or set BOURSE_TOPICS_FILE to a copy of topics.toml."
        ) from None
    except tomllib.TOMLDecodeError as error:
        msg = f"{file} is no valid TOML: {error}."
        raise CliError(msg) from None
    if not isinstance(document.get("topics"), dict):
        msg = f"{file} has no [topics.<name>] table."
        raise CliError(msg, "Compare it with deploy/topics/topics.toml.")
    return document.get("defaults", {}), document["topics"]


def _in_kafkas_words(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
