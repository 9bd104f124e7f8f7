"""The units that integers come in. Decides their names; refuses to know what is counted.

Price and Cash are 1/10,000 of the currency unit (95.80 EUR = 958000), so that price x quantity is exact cash. Quantity
is whole units of an instrument. TimeNs is nanoseconds since the epoch (UTC).
"""

from typing import Final, NewType

Price = NewType("Price", int)
Quantity = NewType("Quantity", int)
Cash = NewType("Cash", int)
TimeNs = NewType("TimeNs", int)

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
