"""What a producer's refusal says."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException


def refused(call: Callable[[], object]) -> KafkaError:
    with pytest.raises(KafkaException) as caught:
        call()
    error: KafkaError = caught.value.args[0]
    return error
