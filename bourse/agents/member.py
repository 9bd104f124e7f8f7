"""Who a worker is to Kafka; apart from the rest, since it is needed before anything that takes long to import."""

from bourse.settings import Settings
from bourse.streaming.config import Member


def member_of(settings: Settings) -> Member:
    """Return the member that a worker's settings name."""
    return Member(settings.broker, settings.group, settings.worker_id, settings.transaction_timeout_ms)
