"""Pages, spellings and messages of the store over NATS, and what it does for large ones."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from tests.adapters.stores.brokers import Broker, settings
from tests.adapters.stores.houses import loaded, told
from wolkvox_async.adapters.nats import NatsStore, appending, pages
from wolkvox_async.adapters.nats.names import key_subject, name_of, token_subject
from wolkvox_async.adapters.nats.outbox import Outbox, Outgoing, block
from wolkvox_async.adapters.nats.replies import Reply
from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.ports import Append, Conflict, Held, Stored


async def test_ten_thousand_tokens_are_loaded_in_pages(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker))
    tokens = [f"tk_{n:012x}" for n in range(10_000)]
    await store.append([told(token, token.encode()) for token in tokens])
    await store.append([told(token, b"elsewhere", partition=6) for token in tokens[:10]])
    assert {token: message.payload for token, message in (await loaded(store)).items()} == {
        token: token.encode() for token in tokens
    }
    await store.close()


async def test_a_page_that_grows_too_large_is_continued(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_BYTES", 10_000)
    store = await NatsStore.open(settings(broker))
    payloads = {f"tk_{n}": bytes([n]) * 3_000 for n in range(20)}
    await store.append([told(token, payload) for token, payload in payloads.items()])
    for key, value in payloads.items():
        await store.cas(key, 0, value)
    assert {token: message.payload for token, message in (await loaded(store)).items()} == payloads
    assert {key: held.value for key, held in (await store.keys()).items()} == payloads
    tail = await store.tail(0, 20)
    assert [message.token for message in tail] == list(payloads)[: len(tail)]
    assert 0 < len(tail) < 20
    await store.close()


async def test_a_message_that_the_broker_never_takes_is_told_of(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker))
    with pytest.raises(StateError, match="max_payload") as raised:
        await store.append([told("tk_a"), told("tk_b", b"x" * 1_048_576)])
    assert not isinstance(raised.value, StoreUnavailableError)
    assert await loaded(store) == {}
    await store.close()


async def test_a_client_that_changed_is_used_as_it_is_documented(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Client._flush_pending

    async def changed(self: Client, *, force_flush: bool = False, more: bool = False) -> object:
        return await known(self, force_flush or more)

    monkeypatch.setattr(Client, "_flush_pending", changed)
    store = await NatsStore.open(settings(broker))
    assert await store.append([told(f"tk_{n}", bytes(range(256))) for n in range(50)]) == [
        Stored(n + 1) for n in range(50)
    ]
    assert await store.append([told("tk_0")]) == [Conflict()]
    assert await store.cas("c", 0, b"") == Stored(1)
    assert await store.keys() == {"c": Held(1, b"")}
    await store.close()


def test_the_client_is_the_one_that_was_looked_at() -> None:
    outbox = Outbox(Client())
    assert outbox._write is not None
    assert outbox._wake is not None
    assert "_send_command" in inspect.getsource(Client._send_publish)


def test_messages_are_written_as_the_protocol_has_them() -> None:
    written = block([Outgoing("a.b", "inbox.1", {"One": "1", "Two": "2"}, b"xyz"), Outgoing("c", "", {}, b"")])
    assert written == (
        b"HPUB a.b inbox.1 28 31\r\nNATS/1.0\r\nOne: 1\r\nTwo: 2\r\n\r\nxyz\r\nHPUB c  12 12\r\nNATS/1.0\r\n\r\n\r\n"
    )


@given(st.lists(st.integers(0, 3_000_000), max_size=40))
def test_portions_are_all_of_it_in_its_order(sizes: list[int]) -> None:
    appends = [Append(0, str(n), 0, bytes(size)) for n, size in enumerate(sizes)]
    pieces = appending.portions(appends)
    assert [append for piece in pieces for append in piece] == appends
    for piece in pieces:
        assert len(piece) <= 1 or sum(len(append.payload) for append in piece) <= appending.MOST_BYTES


@given(st.integers(1, 3_000))
def test_portions_have_no_more_messages_than_brokers_take(many: int) -> None:
    pieces = appending.portions([told(str(n)) for n in range(many)])
    assert sum(map(len, pieces)) == many
    assert max(map(len, pieces)) <= appending.MOST
    assert min(map(len, pieces)) > 0


# --- pages


def reply(sequence: int, before: int) -> Reply:
    return Reply("", {"Nats-Sequence": str(sequence), "Nats-Subject": "a", "Nats-Last-Sequence": str(before)}, b"")


def end(before: int, status: str = "204") -> Reply:
    return Reply("", {"Status": status, "Nats-Last-Sequence": str(before), "Nats-Num-Pending": "0"}, b"")


def test_a_whole_page_is_read() -> None:
    page = pages._page([reply(3, 0), reply(7, 3), end(7)])
    assert isinstance(page, pages.Page)
    assert [found.sequence for found in page.messages] == [3, 7]
    assert page.complete


@pytest.mark.parametrize(
    "replies",
    [
        [reply(7, 3), end(7)],
        [reply(3, 0), reply(9, 7), end(9)],
        [reply(3, 0), end(7)],
        [end(7)],
        [reply(3, 0), end(3, "404")],
        [end(0, "500")],
        [end(0, "503")],
        [end(0, "408")],
        [Reply("", {"Nats-Last-Sequence": "none"}, b""), end(0)],
    ],
)
def test_a_page_of_which_something_is_missing_is_no_page(replies: list[Reply]) -> None:
    with pytest.raises(StoreUnavailableError):
        pages._page(replies)


# --- spellings

_NAMES = st.text(st.characters(codec="utf-8"), max_size=12) | st.from_regex(r"[a-z=.20]{0,8}", fullmatch=True)


@given(_NAMES)
def test_a_name_is_read_as_it_was_spelled(name: str) -> None:
    assert name_of(key_subject(name)) == name
    assert name_of(token_subject(name)) == name


@given(_NAMES)
def test_a_spelling_is_a_subject(name: str) -> None:
    for part in key_subject(name).split("."):
        assert part
        assert part.isascii()
        assert set(part).isdisjoint(" *>\t\r\n")
    assert "." not in token_subject(name)


@given(_NAMES, _NAMES)
def test_no_two_names_are_spelled_alike(one: str, other: str) -> None:
    assert (key_subject(one) == key_subject(other)) == (one == other)


def test_what_we_name_ourselves_stands_as_it_is() -> None:
    for name in ("c", "p.255", "w.host-1", "r.nightly_2026"):
        assert key_subject(name) == name
    assert token_subject("tk_9f86d081884c") == "tk_9f86d081884c"
