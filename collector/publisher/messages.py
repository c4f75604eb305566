"""Messages: a journal's records as Kafka carries them, each for the topic that its verdict allows.

Called by the intake with a share of one journal at a time, and by the embedded consumer, which takes the values for its
warehouse. Pure but for bounded caches of what was read before. Decides
nothing about accounts: `pixel.events` takes verified accepts alone, as `Event.topic` says (tests hold the two to each
other).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

from collector.addresses import Addresses
from collector.event import DEFAULT_NAME, SCHEMA_VERSION, time_text
from collector.journal.format import Record
from collector.publisher.record import Message, encode_headers
from collector.publisher.shortcut import (
    CLIENT_MS_END,
    browser_of,
    params_json,
    plain_hit,
    second_text,
    value_json,
    visitor_text,
)
from collector.refine import TIME_MAX_US, event_of
from gating.status import Verdict

SCHEMA: Final = "schema"
VERDICT: Final = "verdict"
AGAIN: Final = "again"
"""On a message whose id may come a second time in a way that the order of sequences does not tell."""

ADDRESSES_CACHED: Final = 32_768
_NAME: Final = orjson.dumps(DEFAULT_NAME)


class Share(NamedTuple):
    """One share of a journal: what goes to `pixel.events`, and what to `pixel.hidden`, each in order of sequence."""

    events: list[Message]
    hidden: list[Message]


class Ruling(NamedTuple):
    """What a verdict decides of a message. json: from the end of the write key to the value of `name`."""

    json: bytes
    headers: bytes
    headers_again: bytes
    visible: bool


def headers_of(verdict: str, *, again: bool) -> bytes:
    """The headers of CONTRACT, encoded."""
    headers = [(SCHEMA, str(SCHEMA_VERSION).encode()), (VERDICT, verdict.encode())]
    return encode_headers([*headers, (AGAIN, b"1")] if again else headers)


class Refinery:
    """Makes messages of records, under one policy for addresses."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._rulings: dict[tuple[int, bool, int], Ruling] = {}
        self._ip_json = lru_cache(maxsize=ADDRESSES_CACHED)(self._kept_ip)

    def share(self, records: Sequence[Record], journal: str, again_through: int = 0) -> Share:
        """A share's messages. again_through: up to this sequence they carry the header `again`.

        One loop, its pieces inline, since it runs for every event: what a call each costs is a tenth of the whole.
        Plain pixel hits are joined from pieces, everything else goes by way of an `Event`.
        """
        events: list[Message] = []
        hidden: list[Message] = []
        opening, dash = b'{"id":"%b-' % journal.encode(), b"%b-" % journal.encode()
        rulings, ip_json = self._rulings, self._ip_json
        received_us, received = -1, b""
        second, until_point = -1, b""  # a tick has a time of its own, most ticks a second they share
        owner, owner_key, owner_json = "", b":", account_json("")  # mostly that of the hit before
        for record in records:
            sequence, at_us, verdict, verified, version, account, peer, head, body = record
            ruling = rulings.get((verdict._value_, verified, version)) or self._rule(verdict, verified, version)
            found = plain_hit(head) if body is None else None
            if found is None:
                key, value = self._by_event(record, journal)
            else:
                write_key, name, url, referrer, visitor, user, client_ms, more = found.groups()
                known = browser_of(head[found.end() :])
                name_json, url_json = value_json(name) if name else _NAME, value_json(url)
                user_json = b"null" if user is None else value_json(user)
                params = b"" if more is None else params_json(more)
                referrer_json = None if known is None else known[0] if referrer is None else value_json(referrer)
                if (
                    known is None
                    or name_json is None
                    or url_json is None
                    or referrer_json is None
                    or user_json is None
                    or params is None
                    or client_ms >= CLIENT_MS_END
                    or not (visitor.isalnum() or visitor_text(visitor))
                ):
                    key, value = self._by_event(record, journal)
                else:
                    browser = known[1]
                    number = b"%d" % sequence
                    if at_us != received_us:
                        received_us = at_us
                        now_second, fraction_us = divmod(min(at_us, TIME_MAX_US), 1_000_000)
                        if now_second != second:
                            second, until_point = now_second, time_text(now_second * 1_000_000)[:20].encode()
                        received = b"%b%06dZ" % (until_point, fraction_us)
                    if account is not owner:
                        owner, owner_key, owner_json = account, account.encode() + b":", account_json(account)
                    key = owner_key + visitor if visitor else dash + number
                    value = b"".join(
                        (
                            opening,
                            number,
                            b'","received_at":"',
                            received,
                            owner_json,
                            write_key,
                            ruling.json,
                            name_json,
                            b',"url":',
                            url_json,
                            b',"referrer":',
                            referrer_json,
                            b',"visitor":"' if visitor else b',"visitor":null',
                            visitor,
                            b'","user":' if visitor else b',"user":',
                            user_json,
                            b',"client_time":"',
                            second_text(client_ms[:10]),
                            client_ms[10:],
                            b'000Z","client_id":null,"tracker":"pixel","ip":',
                            ip_json(peer) if browser.forwarded is None else self._kept_ip(peer, browser.forwarded),
                            browser.client,
                            params,
                            b'},"revealed_at":null}',
                        )
                    )
            headers = ruling.headers if sequence > again_through else ruling.headers_again
            (events if ruling.visible else hidden).append((sequence, at_us // 1000, key, value, headers))
        return Share(events, hidden)

    def _by_event(self, record: Record, journal: str) -> tuple[bytes, bytes]:
        """Key and value by way of an `Event`, which is the reference."""
        event = event_of(record, journal, self._addresses)
        return event.kafka_key, event.encode()

    def _rule(self, verdict: Verdict, verified: bool, version: int) -> Ruling:
        words = verdict.name.encode(), b"true" if verified else b"false", version
        ruling = Ruling(
            b'","verdict":"%b","verified":%b,"version":%d,"name":' % words,
            headers_of(verdict.name, again=False),
            headers_of(verdict.name, again=True),
            verified and verdict is Verdict.ACCEPT,
        )
        if len(self._rulings) >= 1024:  # versions pass by: start afresh now and then
            self._rulings.clear()
        self._rulings[verdict._value_, verified, version] = ruling
        return ruling

    def _kept_ip(self, peer: str, forwarded: bytes | None = None) -> bytes:
        return orjson.dumps(self._addresses.kept_ip(peer, forwarded))


@lru_cache(maxsize=4096)
def account_json(account: str) -> bytes:
    """From the end of `received_at` to the beginning of the write key."""
    return b'","account":%b,"write_key":"' % orjson.dumps(account)
