"""Waiting until the workers have committed everything that was published, through all stages.

It decides when the pipeline counts as drained, and when waiting makes no sense any more.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bourse.cli.errors import CliError
from bourse.cli.group import Group, Member, Place, Progress

PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
# A worker that was killed is missed after its session (6 s) and comes back within seconds; a first one takes a few.
PATIENCE_SECONDS = 30.0
PATIENCE_WITHOUT_PROGRESS_SECONDS = 180.0
_SHOWN = 5
START_WORKERS = (
    "Start some with `bourse up` (or one with `bourse worker`); `--no-wait` publishes without waiting."
)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment: the workers, and where they are in everything they read."""

    members: int
    unowned: int
    progress: dict[Place, Progress]

    @property
    def behind(self) -> int:
        """Offsets that are not committed yet."""
        return sum(where.behind for where in self.progress.values())

    @property
    def is_settled(self) -> bool:
        """Whether every partition is owned and no transaction is open."""
        return (
            bool(self.progress)
            and not self.unowned
            and not any(w.is_undecided for w in self.progress.values())
        )

    def describe(self) -> str:
        """Say what is waited for."""
        if not self.members:
            return "Waiting for a worker to join the group ..."
        if self.unowned or not self.progress:
            return "Waiting until the workers have taken up all partitions ..."
        return f"Waiting for the workers: {self.behind:,} to go ..."

    def explain(self) -> str:
        """Say where it is that nothing goes on, and what of the group's own is in the way."""
        late = sorted(self.progress.items(), key=lambda item: item[1].behind, reverse=True)[:_SHOWN]
        undecided = [place for place, where in self.progress.items() if where.is_undecided]
        reasons = [f"{where.behind:,} in {_named(place)}" for place, where in late if where.behind]
        if undecided:
            reasons.append(f"a transaction is open in {', '.join(map(_named, undecided[:_SHOWN]))}")
        if self.unowned or not self.progress:
            reasons.append(f"{self.unowned or 'all'} partitions belong to no worker")
        return "; ".join(reasons)


def look(group: Group) -> Look:
    """Look at the group once."""
    members = group.members()
    owned = _owned(members)
    everything = _every_partition(group, owned)
    return Look(len(members), len(everything - owned), group.progress(everything))


def require_workers(group: Group, report: Report, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a first worker, and fail when none comes."""
    deadline = time.monotonic() + patience_seconds
    while not group.members():
        report(f"No worker is in the group {group.name!r} yet: waiting for one ...")
        if time.monotonic() > deadline:
            msg = f"No worker runs in the group {group.name!r}, so nothing would be processed."
            raise CliError(msg, START_WORKERS)
        time.sleep(PAUSE_SECONDS * 5)


def wait_until_drained(group: Group, report: Report, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until two looks in a row find everything committed, no transaction open and every partition owned."""
    watch = _Patience(group.name, patience_seconds)
    pause = PAUSE_SECONDS
    before = look(group)
    while True:
        time.sleep(pause)
        now = look(group)
        if now == before and now.is_settled and not group.holds_records(now.progress):
            return
        watch.check(now)
        report(now.describe())
        pause = PAUSE_SECONDS if now != before else min(pause * 2, LONGEST_PAUSE_SECONDS)
        before = now


class _Patience:
    """Gives up when there are no workers for a while, or when they get nowhere for a long while."""

    def __init__(self, group: str, without_workers_seconds: float) -> None:
        self._group = group
        self._without_workers_seconds = without_workers_seconds
        self._workers_seen = self._moved = time.monotonic()
        self._last: dict[Place, Progress] = {}

    def check(self, now: Look) -> None:
        moment = time.monotonic()
        if now.members:
            self._workers_seen = moment
        if now.progress != self._last:
            self._last, self._moved = now.progress, moment
        if moment - self._workers_seen > self._without_workers_seconds:
            msg = f"No worker runs in the group {self._group!r} any more; what was published waits in its topics."
            raise CliError(msg, START_WORKERS)
        if moment - self._moved > PATIENCE_WITHOUT_PROGRESS_SECONDS:
            msg = f"The workers of the group {self._group!r} have committed nothing for 3 minutes ({now.behind:,} to go: {now.explain()})."
            raise CliError(msg, "`bourse status` shows them; their logs are in the data folder's `logs`.")


def _named(place: Place) -> str:
    return f"{place.topic}/{place.partition}"


def _owned(members: list[Member]) -> frozenset[Place]:
    return frozenset().union(*(member.owned for member in members))


def _every_partition(group: Group, owned: frozenset[Place]) -> frozenset[Place]:
    """Return every partition of the topics that the workers read, also those that nobody owns at the moment."""
    counts = group.partition_counts({place.topic for place in owned})
    return frozenset(Place(topic, partition) for topic, count in counts.items() for partition in range(count))
