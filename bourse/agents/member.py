"""Who a worker is to Kafka; apart from the rest, since it is needed before anything that takes long to import."""

from bourse.settings import Settings
from bourse.streaming.config import Member
from bourse.streaming.patience import Patience


def member_of(settings: Settings) -> Member:
    """Return the member that a worker's settings name."""
    file = settings.state_dir / settings.worker_id / "transaction_timeout_ms"
    patience = Patience(file, settings.transaction_timeout_ms)
    return Member(settings.broker, settings.group, settings.worker_id, patience.timeout_ms, patience=patience)
