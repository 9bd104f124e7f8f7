"""Settlement dates on exchange calendars, around weekends and holidays."""

import datetime as dt

import pytest

from bourse.pipeline.calendar import settlement_date, utc_date

DATES = [
    # market, trade date, days, settlement date
    ("XMAD", "2019-05-23", 1, "2019-05-24"),  # Thursday to Friday
    ("XMAD", "2019-05-24", 1, "2019-05-27"),  # over a weekend
    ("XMAD", "2024-03-28", 1, "2024-04-02"),  # over Good Friday and Easter Monday
    ("XMAD", "2024-03-28", 2, "2024-04-03"),
    ("XMAD", "2024-04-30", 1, "2024-05-02"),  # over Labour Day
    ("XNYS", "2024-07-03", 1, "2024-07-05"),  # over Independence Day
    ("XNYS", "2024-11-27", 1, "2024-11-29"),  # over Thanksgiving; the 29th is short, and a session
    ("XNYS", "2024-04-30", 1, "2024-05-01"),  # Labour Day is not a holiday there
    ("XNYS", "2024-01-12", 2, "2024-01-17"),  # over Martin Luther King Day
    ("XMAD", "2024-03-29", 1, "2024-04-02"),  # traded on no session: the first one after
    ("XMAD", "2024-03-28", 0, "2024-03-28"),
    ("XMAD", "2024-03-29", 0, "2024-04-02"),
    ("XTKS", "2024-05-02", 1, "2024-05-07"),  # a calendar that begins later than ours
    ("XSAU", "2024-05-02", 1, "2024-05-05"),  # a calendar that ends earlier than ours, and trades on Sundays
    ("NOWHERE", "2024-03-28", 1, "2024-03-29"),  # an unknown market: Monday to Friday
    ("NOWHERE", "2024-03-29", 1, "2024-04-01"),
    ("NOWHERE", "2024-03-30", 1, "2024-04-01"),
    ("NOWHERE", "2024-03-30", 0, "2024-04-01"),
    ("NOWHERE", "2024-03-30", 2, "2024-04-02"),
    ("NOWHERE", "2024-03-28", 0, "2024-03-28"),
    ("", "2024-03-29", 1, "2024-04-01"),
    ("XMAD", "1970-01-01", 1, "1970-01-02"),  # before the calendar begins: Monday to Friday
    ("XMAD", "2060-12-31", 1, "2061-01-03"),  # beyond its end too
    ("NOWHERE", "2024-03-30", 6, "2024-04-08"),
    ("NOWHERE", "2024-03-28", 13, "2024-04-16"),
    ("NOWHERE", "9999-12-31", 1, "9999-12-31"),  # beyond the end of all dates
    ("NOWHERE", "2024-03-28", 2**62, "9999-12-31"),
    ("XMAD", "2024-03-28", -1, "2024-03-28"),  # what no instrument says, and an order from outside may
]


@pytest.mark.parametrize(("market", "traded", "days", "settles"), DATES)
def test_trades_settle_so_many_sessions_later(market: str, traded: str, days: int, settles: str) -> None:
    assert settlement_date(market, dt.date.fromisoformat(traded), days) == dt.date.fromisoformat(settles)


@pytest.mark.parametrize("market", ["XMAD", "XNYS"])
def test_a_settlement_date_never_comes_before_that_of_an_earlier_trade(market: str) -> None:
    days = [dt.date(2023, 12, 15) + dt.timedelta(days=day) for day in range(60)]
    settles = [settlement_date(market, day, 1) for day in days]
    assert settles == sorted(settles)
    assert all(settled > traded for traded, settled in zip(days, settles, strict=True))


@pytest.mark.parametrize(
    ("time_ns", "date"),
    [
        (0, "1970-01-01"),
        (86_400 * 10**9 - 1, "1970-01-01"),
        (86_400 * 10**9, "1970-01-02"),
        (1_558_594_830_216_000_000, "2019-05-23"),
        (2**63 - 1, "2262-04-11"),
    ],
)
def test_a_time_is_on_its_utc_date(time_ns: int, date: str) -> None:
    assert utc_date(time_ns) == dt.date.fromisoformat(date)
