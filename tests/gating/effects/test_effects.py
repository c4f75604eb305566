"""Effects are carried out at least once, in order per account; what is given up is shown and sent again."""

import asyncio
import json
import socket
from types import SimpleNamespace

import httpx
import pytest
from aiosmtpd.controller import Controller

from gating.clock import Clock
from gating.effects.notices import addresses, filled, words_of
from gating.effects.protocol import NotSent, idempotency_key
from gating.effects.runner import Runner
from gating.effects.senders import File, Mail, Webhook, is_address, signature
from gating.errors import InputInvalid, NotFound
from gating.ledger import Ledger, PersonRow
from gating.ledger.effects import Cause
from gating.policy import load_rulebook, rulebooks
from gating.status import DAY_US, Role
from gating.tasks import Tasks
from gating.webhooks.mapping import provider, providers
from tests.eventually import aeventually
from tests.gating.ledger.desk import Desk
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name

CAUSE = Cause("cancel", "ACTIVE", "CANCELED", "owner", None)
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def ledger(url):  # noqa: F811
    with Ledger.open(url) as ledger:
        yield ledger


class Seen:
    def __init__(self, failures=0):
        self.failures, self.keys, self.kinds = failures, [], []

    async def carry_out(self, effect):
        self.keys.append(idempotency_key(effect))
        self.kinds.append((effect.account, effect.kind))
        if self.failures:
            self.failures -= 1
            raise NotSent("not now")


def runner(ledger, handler, kinds=("resync", "stop_billing", "resume_billing", "stop_integrations"), **more):
    async def in_turn(work):
        await asyncio.to_thread(work)

    return Runner(ledger, dict.fromkeys(kinds, handler), more.pop("clock", Clock()), in_turn=in_turn,
                  leads=more.pop("leads", lambda: True), wait=lambda _: 0.0, **more)  # fmt: skip


async def until(runner, probe):
    task = asyncio.create_task(runner.run())
    try:
        await aeventually(lambda: task.done() or probe())
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_failed_effect_goes_again_under_the_same_key_before_the_accounts_later_ones(ledger):
    desk, seen = Desk(ledger), Seen(failures=2)
    desk.open()
    desk.do("cancel")
    desk.do("reactivate")
    await until(runner(ledger, seen), lambda: not ledger.effects.owed())
    kinds = [kind for _, kind in seen.kinds]
    assert kinds == ["stop_integrations"] * 3 + ["stop_billing", "resync", "resume_billing"]
    assert len(set(seen.keys[:3])) == 1
    assert len(set(seen.keys)) == 4


async def test_kinds_without_a_handler_wait_and_hold_nothing_up(ledger):
    desk, seen = Desk(ledger), Seen()
    desk.open()
    desk.do("cancel")
    await until(runner(ledger, seen, ("stop_billing",)), lambda: seen.kinds)
    await aeventually(lambda: [one.kind for one in ledger.effects.owed()] == ["stop_integrations"])
    assert [kind for _, kind in seen.kinds] == ["stop_billing"]
    assert ledger.effects.dead() == []


async def test_what_fails_too_often_is_a_dead_letter_until_an_operator_sends_it_again(ledger):
    desk, seen = Desk(ledger), Seen(failures=3)
    desk.open()
    desk.do("cancel")
    await until(runner(ledger, seen, ("stop_billing",), tries_max=3), ledger.effects.dead)
    (dead,) = ledger.effects.dead()
    assert (dead.kind, dead.tries, dead.last_error) == ("stop_billing", 3, "not now")
    assert ledger.effects.sums()["stop_billing"].dead == 1
    ledger.effects.revive(dead.id)
    await until(runner(ledger, seen, ("stop_billing",)), lambda: len(seen.keys) == 4)
    assert len(set(seen.keys)) == 1
    with pytest.raises(NotFound):
        ledger.effects.revive(dead.id)


async def test_nothing_is_carried_out_by_who_does_not_lead(ledger):
    desk, seen, asked = Desk(ledger), Seen(), []
    desk.open()
    desk.do("cancel")
    await until(runner(ledger, seen, leads=lambda: bool(asked.append(1))), lambda: len(asked) > 1)
    assert seen.kinds == []


def wait_for_moment(ledger, at_us):
    """Have the owed stop_billing wait for a moment, as a rulebook's `when` has it."""
    from sqlalchemy import update

    from gating.ledger import tables
    from gating.ledger.store import Turn

    with ledger._store.writing(Turn.NOTE) as connection:
        payload = json.dumps({"at_us": at_us}).encode()
        connection.execute(update(tables.outbox).where(tables.outbox.c.kind == "stop_billing").values(payload=payload))


@pytest.mark.parametrize("reactivated", [False, True])
async def test_what_waits_for_a_moment_is_withdrawn_where_the_account_moved_on(ledger, reactivated):
    desk, seen = Desk(ledger), Seen()
    desk.open()
    desk.do("cancel")
    moment_us = desk.now_us + DAY_US
    wait_for_moment(ledger, moment_us)
    clock = SimpleNamespace(now_us=lambda: desk.now_us)
    going = runner(ledger, seen, clock=clock)
    await until(going, lambda: [one.next_at_us for one in ledger.effects.owed()] == [moment_us])
    if reactivated:
        desk.do("reactivate")
    desk.later(2 * DAY_US)
    await until(going, lambda: not ledger.effects.owed())
    kinds = [kind for _, kind in seen.kinds]
    assert ("stop_billing" in kinds) is not reactivated
    assert ("resume_billing" in kinds) is reactivated


async def test_a_task_is_due_until_it_is_done_and_sessions_never_end_earlier(ledger):
    desk = Desk(ledger)
    desk.open()
    desk.do("cancel")
    effect = ledger.effects.owed()[0]
    ledger.effects.add_task(effect, 7)
    ledger.effects.add_task(effect, 7)
    assert [task["due_at_us"] for task in ledger.effects.tasks()] == [7]
    ledger.effects.task_done(effect.id, 8, "operator")
    assert ledger.effects.tasks() == []
    ledger.effects.end_sessions("shop", 9)
    ledger.effects.end_sessions("shop", 5)
    assert ledger.effects.sessions_ended_at_us("shop") == 9


async def receiver(status, got):
    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = httpx.Headers([line.split(": ", 1) for line in head.split("\r\n")[1:] if line])
        body = await reader.readexactly(int(headers["content-length"]))
        got.append((headers, body))
        answer = f"HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"


@pytest.mark.parametrize(("status", "sent"), [(204, True), (302, False), (500, False)])
async def test_a_webhook_is_signed_and_follows_no_redirect(status, sent):
    import base64

    got = []
    server, address = await receiver(status, got)
    async with server:
        going = Webhook(address, SECRET).send("effect-1", {"type": "resync"})
        if sent:
            await going
        else:
            with pytest.raises(NotSent, match=str(status)):
                await going
    ((headers, body),) = got
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    assert headers["webhook-signature"] == signature(key, "effect-1", headers["webhook-timestamp"], body)


def test_a_signature_is_the_specifications_own_example():
    """Standard Webhooks, the reference libraries' test vector."""
    import base64

    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


class Mailbox:
    def __init__(self, reply):
        self.reply, self.got = reply, []

    async def handle_DATA(self, server, session, envelope):
        self.got.append(envelope)
        return self.reply


@pytest.mark.parametrize(("reply", "sent"), [("250 ok", True), ("451 later", False), ("550 never", False)])
async def test_a_mail_arrives_or_says_what_the_server_answered(reply, sent):
    box = Mailbox(reply)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        mail = Mail(f"smtp://127.0.0.1:{port}", "pixels@example.org")
        going = mail.mail("effect-1-0", "ana@example.org", "Hello\r\nBcc: eve@example.org", "text")
        if sent:
            await going
        else:
            with pytest.raises(NotSent, match=reply[:3]):
                await going
    finally:
        server.stop()
    content = box.got[0].content.decode()
    assert box.got[0].rcpt_tos == ["ana@example.org"]
    assert "\nBcc:" not in content
    assert "Message-ID: <effect-1-0@example.org>" in content


async def test_a_notices_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "notices" / "notices.jsonl"
    for place in range(2):
        await File(path).send(f"effect-{place}", {"type": "resync"})
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["effect-0", "effect-1"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "a", "a@", "a@b\nc", "a@b, c@d", "a b@c", "a@b@c"])
def test_what_is_no_address_gets_no_mail(text):
    assert not is_address(text)
    owner = PersonRow("person-1", "shop", Role.OWNER, (), text, 0)
    assert addresses([owner], "owners", CAUSE, text) == []
    assert addresses([owner], "asker", CAUSE, text) == []


def test_a_notice_goes_to_the_people_of_the_role_it_is_for_and_an_asker_is_whoever_asked():
    people = [
        PersonRow("person-1", "shop", Role.OWNER, (), "ana@example.org", 0),
        PersonRow("person-2", "shop", Role.OWNER, (), "bo@example.org", 0),
        PersonRow("person-3", "shop", Role.ADMIN, (), "cy@example.org", 0),
        PersonRow("person-4", "shop", Role.OWNER, (), None, 0),  # left, or erased
    ]
    owners = ["ana@example.org", "bo@example.org"]
    assert addresses(people, "owners", CAUSE, "") == owners
    assert addresses(people, "admins", CAUSE, "") == ["cy@example.org"]
    assert addresses(people, "members", CAUSE, "") == []
    assert addresses(people, "asker", CAUSE, "") == owners  # an owner did it alone
    by_support = Cause("cancel", "ACTIVE", "CANCELED", "support", "admin")
    assert addresses(people, "asker", by_support, "") == ["cy@example.org"]
    assert addresses(people, "asker", by_support, "dee@example.org") == ["dee@example.org"]


NOTICES = sorted({
    (str(row.command), str(rule.arguments["whom"]))
    for name in rulebooks()
    for rows in load_rulebook(name).commands.values()
    for row in rows
    for rule in row.effects
    if rule.name == "notify"
} | {
    (rule.notice, "owners")
    for name in providers()
    for rules in provider(name).rules.values()
    for rule in rules
    if rule.notice is not None
})  # fmt: skip


@pytest.mark.parametrize(("command", "whom"), NOTICES)
def test_every_notice_that_is_sent_has_words_of_its_own_without_a_gap(command, whom):
    subject, body = words_of(command, whom)
    assert subject not in (words_of("unknown", "owners")[0], words_of("unknown", "operators")[0])
    cause = Cause(command, "ACTIVE", "CANCELED", "owner", None)
    told = filled(subject, "shop", cause, "thank you"), filled(body, "shop", cause, "thank you")
    assert not any(set("{}") & set(text) for text in told)
    assert "shop" in told[0]
    assert "shop" in told[1]
    assert ("thank you" in told[1]) is (whom == "operators")  # a note is for those who work on it


def test_what_people_wrote_fills_no_further_place():
    assert (
        filled("{note} {account}", "shop", Cause("cancel", None, "X", "owner", None), "{account}\n")
        == "{account}  shop"
    )


@pytest.mark.parametrize("address", ["ftp://h/", "file:///etc/passwd", "http://", ""])
def test_a_webhooks_address_is_http(address):
    with pytest.raises(InputInvalid):
        Webhook(address, SECRET)


async def test_a_task_that_ends_by_a_bug_ends_the_process_with_its_error():
    async def bug():
        raise ZeroDivisionError

    stopped = asyncio.Event()
    tasks = Tasks([bug(), asyncio.Event().wait()], stopped)
    await asyncio.wait_for(stopped.wait(), 5)
    with pytest.raises(ZeroDivisionError):
        await tasks.close()
