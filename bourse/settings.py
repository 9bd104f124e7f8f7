"""Every setting of Bourse, as one typed list read from `BOURSE_*` environment variables.

This module decides names, types, defaults and bounds. It knows where the development broker leaves its address, and
nothing of how any setting is used. No other module reads the environment.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bourse.streaming.carry import Carry

_PASSWORD = re.compile(r"^((?:[^:/@]*:)?(?://)?[^:/@]*:).*@")
PREFIX = "BOURSE_"
DEFAULT_BROKER = "127.0.0.1:9092"
PROJECT_ROOT = Path(__file__).resolve().parent.parent
_PROJECT_MARKS = (".bourse", "pyproject.toml")
_TOPIC_CHARACTERS = r"^[a-zA-Z0-9._-]*$"

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """Settings that cannot be used; the text has one line for each bad value."""


def project_data_dir(start: Path | None = None) -> Path:
    """Return `.bourse` in the nearest folder upwards that looks like a project, or else in the folder itself."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in _PROJECT_MARKS):
            return folder / ".bourse"
    return here / ".bourse"


def recorded_broker(data_dir: Path) -> str:
    """Return the address that `bourse broker start` left in the data folder, or Kafka's usual one."""
    address = data_dir / "broker" / "address"
    return address.read_text().strip() if address.is_file() else DEFAULT_BROKER


class Settings(BaseSettings):
    """What an operator can choose, in the order `bourse settings` prints it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True
    )

    data_dir: Path = Field(
        default_factory=project_data_dir,
        description="Folder for everything kept on this machine: broker, state stores, logs.",
    )
    broker: str = Field(
        default_factory=lambda known: recorded_broker(known["data_dir"]),
        description="Kafka bootstrap servers, `host:port` separated by commas. "
        "Unset: the broker that `bourse broker start` runs, or else 127.0.0.1:9092.",
    )
    schema_registry: str | None = Field(
        default=None,
        description="URL of a Confluent-compatible Schema Registry. Unset: schema ids of the project's own files.",
    )
    topic_prefix: str = Field(
        default="",
        pattern=_TOPIC_CHARACTERS,
        max_length=100,
        description="Put before the name of every topic, so that several markets can share one Kafka.",
    )
    topics_file: Path = Field(
        default=PROJECT_ROOT / "deploy" / "topics" / "topics.toml",
        description="The topics' retention, compression and sizes.",
    )
    partitions: int = Field(
        default=2,
        ge=1,
        le=1024,
        description="Partitions of every topic: the most workers that can share the load.",
    )
    replication: int = Field(default=1, ge=1, le=7, description="Copies that Kafka keeps of every topic.")
    group: str = Field(
        default="bourse",
        pattern=r"^[a-zA-Z0-9._-]+$",
        max_length=100,
        description="Consumer group of the workers, and the beginning of their transactional ids.",
    )
    workers: int = Field(default=2, ge=1, le=64, description="Workers that `bourse up` runs on this machine.")
    worker_id: str = Field(
        default="worker-0",
        pattern=r"^[a-zA-Z0-9._-]+$",
        max_length=64,
        description="Name of a worker, unique in its group and the same after a restart.",
    )
    carry: Carry = Field(
        default=Carry.MEMORY,
        description="Hops that are handed over in memory: those that keep their key (`memory`), none (`kafka`), or all (`together`: "
        "soonest, one partition only, and all that one message causes has to fit in one transaction).",
    )
    cycle_max_records: int = Field(
        default=5000, ge=1, le=100_000, description="Most records that one transaction takes in."
    )
    cycle_max_bytes: int = Field(
        default=4 << 20, ge=1024, le=1 << 30, description="Most bytes that one transaction takes in."
    )
    session_timeout_ms: int = Field(
        default=6000,
        ge=1000,
        le=1_800_000,
        description="Silence after which Kafka gives a worker's partitions away. Brokers have bounds of their own: Kafka's "
        "group.min.session.timeout.ms is 6,000 unless told otherwise.",
    )
    transaction_timeout_ms: int = Field(
        default=10_000,
        ge=1000,
        le=900_000,
        description="Age at which Kafka aborts a transaction nobody finishes. A worker whose own work takes longer asks for more "
        "at its next start.",
    )
    web_host: str = Field(
        default="127.0.0.1", description="Address on which a worker serves health and metrics."
    )
    web_port: Port = Field(default=0, description="Port for the same; 0 takes a free one.")
    log_format: Literal["console", "json"] = Field(
        default="console", description="Log lines for people (`console`) or for machines (`json`)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe log lines that are written."
    )
    broker_jars: Path = Field(
        default_factory=lambda known: known["data_dir"] / "broker" / "jars",
        description="Where `bourse broker` keeps the jars of Apache Kafka, fetched once.",
    )
    broker_port: Port = Field(
        default=0, description="Port of `bourse broker`; 0 takes a free one at the first start and keeps it."
    )

    @field_validator("data_dir", "topics_file", "broker_jars")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("carry")
    @classmethod
    def _together_in_one(cls, carry: Carry, info: ValidationInfo) -> Carry:
        if carry is Carry.TOGETHER and info.data.get("partitions", 1) != 1:
            msg = f"takes {environment_name('partitions')}=1"
            raise ValueError(msg)
        return carry

    @field_validator("broker")
    @classmethod
    def _host_and_port(cls, servers: str) -> str:
        for server in servers.split(","):
            host, colon, port = server.strip().rpartition(":")
            if not (host and colon and port.isdigit() and 0 < int(port) <= 65535):  # noqa: PLR2004 - ports are 16 bits
                msg = f"{server.strip()!r} is not host:port"
                raise ValueError(msg)
        return servers

    @field_validator("schema_registry")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        return url if url is None else str(TypeAdapter(HttpUrl).validate_python(url)).rstrip("/")

    @property
    def state_dir(self) -> Path:
        """Folder of the workers' state stores."""
        return self.data_dir / "state"

    @property
    def logs_dir(self) -> Path:
        """Folder of the log files of what `bourse up` runs."""
        return self.data_dir / "logs"

    @property
    def run_dir(self) -> Path:
        """Folder of the supervisor's own notes."""
        return self.data_dir / "run"

    @property
    def broker_is_local(self) -> bool:
        """Whether the broker is the one that `bourse broker` runs, rather than one named in the environment."""
        return "broker" not in self.model_fields_set

    def topic(self, name: str) -> str:
        """Return the topic's name in Kafka for its name in the contract."""
        return self.topic_prefix + name

    def contract_topic(self, kafka_name: str) -> str:
        """Return the topic's name in the contract for its name in Kafka."""
        return kafka_name.removeprefix(self.topic_prefix)

    @classmethod
    def read(cls) -> Self:
        """Read the settings from the environment, or raise SettingsError with a line for each bad value."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(error))) from None


def environment_name(field: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + field.upper()


def unknown_variables() -> list[str]:
    """Return the `BOURSE_*` variables that are no setting, most likely misspelt."""
    known = {environment_name(field) for field in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def without_password(value: object) -> object:
    """Return a value as anybody may see it: with no password in a URL, or in what was meant to be one."""
    return _PASSWORD.sub(r"\1***@", value) if isinstance(value, str) else value


def _explain(error: ValidationError) -> list[str]:
    # A default that is made from another setting was not made; what is wrong is that other setting.
    items = [item for item in error.errors() if item["type"] != "default_factory_not_called"]
    return [_sentence(str(item["loc"][0]), item["input"], item["msg"]) for item in items]


def _sentence(field: str, value: object, message: str) -> str:
    reason = message.removeprefix("Value error, ").removeprefix("Input ")
    about = Settings.model_fields[field].description or ""
    return f"{environment_name(field)}={without_password(value)}: {reason}. {about}"
