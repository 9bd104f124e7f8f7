"""What every room's tests may use: a real Kafka (see `tests/broker.py`), and how hard Hypothesis searches.

`HYPOTHESIS_PROFILE=deep` searches long; the default, `ci`, always tries the same examples.
"""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(
    0, str(Path(__file__).parent.parent)
)  # Makes `tests.broker` a name wherever pytest is started.

pytest_plugins = ["tests.broker"]

# Flows take long to draw and to run, and vary too much with the machine for a deadline.
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("ci", derandomize=True, max_examples=100, **_PATIENT)
settings.register_profile("deep", max_examples=10_000, **_PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
