"""The live orders of one symbol, resting or waiting, by what else than their price they are asked for.

Decides nothing: it finds an account's orders, the orders of an OCO group, and those whose time is up.
"""

from typing import TypeAlias, TypeVar

from bourse.pipeline.matching.ranked import Ranked
from bourse.schemas.records import RestingOrder
from bourse.schemas.units import TimeNs

K = TypeVar("K")
Age: TypeAlias = tuple[int, str]


def age(order_id: str) -> Age:
    """Sort ids of one account by their number: all of its orders come from one partition."""
    return len(order_id), order_id


class Index:
    """Ids by account, by group and by time of expiry."""

    __slots__ = ("_accounts", "_expiries", "_groups")

    def __init__(self) -> None:
        self._accounts: dict[str, set[str]] = {}
        self._groups: dict[tuple[str, str], set[str]] = {}
        self._expiries = Ranked()

    def add(self, order: RestingOrder) -> None:
        """Take in an order that has become live."""
        order_id, account_id, group = order.order_id, order.account_id, order.oco_group
        _add(self._accounts, account_id, order_id)
        if group is not None:
            _add(self._groups, (account_id, group), order_id)
        if order.expire_time_ns is not None:
            self._expiries.put(order_id, order.expire_time_ns, len(order_id))

    def discard(self, order: RestingOrder) -> None:
        """Forget an order that is live no more."""
        order_id, account_id, group = order.order_id, order.account_id, order.oco_group
        _discard(self._accounts, account_id, order_id)
        if group is not None:
            _discard(self._groups, (account_id, group), order_id)
        if order.expire_time_ns is not None:
            self._expiries.drop(order_id)

    def of_account(self, account_id: str) -> list[str]:
        """Return the ids of an account's orders, the oldest first."""
        return sorted(self._accounts.get(account_id, ()), key=age)

    def siblings(self, order: RestingOrder) -> list[str]:
        """Return the ids of the other orders of an order's OCO group, the oldest first."""
        assert order.oco_group is not None, order
        group = self._groups.get((order.account_id, order.oco_group), set())
        return sorted(group - {order.order_id}, key=age)

    def next_expiry(self) -> TimeNs | None:
        """Return when the first of the orders expires, or None if none does."""
        time_ns = self._expiries.lowest()
        return None if time_ns is None else TimeNs(time_ns)

    def take_expired(self, time_ns: TimeNs) -> list[str]:
        """Return the ids of the orders whose time is up, by their times; they are told of once, to be ended."""
        return self._expiries.take(time_ns)


def _add(ids: dict[K, set[str]], key: K, order_id: str) -> None:
    held = ids.get(key)
    if held is None:
        ids[key] = {order_id}
    else:
        held.add(order_id)


def _discard(ids: dict[K, set[str]], key: K, order_id: str) -> None:
    held = ids[key]
    held.discard(order_id)
    if not held:
        del ids[key]
