"""A question whose broker went away is put to the next one; a refusal is not asked again."""

from collections.abc import Mapping
from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from bourse.streaming.asking import ANSWER_SECONDS, answers

TIMED_OUT = KafkaError._TIMED_OUT  # noqa: SLF001  (librdkafka's name for it)


class Admin(AdminClient):
    """A client that looks for brokers when it is told to."""

    def __init__(self) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        self.looks = 0

    def list_topics(self, *_what: object, **_more: object) -> None:  # type: ignore[override]
        self.looks += 1


def test_it_is_asked_again_while_brokers_go_away_and_leaders_are_looked_for_in_between() -> None:
    admin, outcomes = Admin(), [TIMED_OUT, KafkaError.NOT_LEADER_FOR_PARTITION, None]

    def ask() -> Mapping[str, Future[int]]:
        answer, outcome = Future[int](), outcomes.pop(0)
        if outcome is None:
            answer.set_result(7)
        else:
            answer.set_exception(KafkaException(KafkaError(outcome)))
        return {"topic": answer}

    assert answers(admin, ask) == {"topic": 7}
    assert admin.looks == 2


def test_a_refusal_is_raised_at_once() -> None:
    admin, refused = Admin(), Future[int]()
    refused.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    with pytest.raises(KafkaException):
        answers(admin, lambda: {"topic": refused})
    assert admin.looks == 0


def test_nobody_who_answers_holds_up_a_question_no_longer_than_that() -> None:
    admin = Admin()
    asked = admin.describe_topics(TopicCollection(["topic"]), request_timeout=ANSWER_SECONDS)
    with pytest.raises(KafkaException) as silence:
        # By itself the client would wait for a minute.
        asked["topic"].result(30)
    assert silence.value.args[0].code() in {TIMED_OUT, KafkaError._TRANSPORT}  # noqa: SLF001
