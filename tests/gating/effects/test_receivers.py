"""Effects on their way from a real gating process to real receivers: that hang, fail, redirect, lie, are gone."""

import asyncio
import http.client
import re
import socket

import pytest
from aiosmtpd.controller import Controller

from gating.clock import Clock
from gating.effects.handlers import Outside
from gating.effects.protocol import NotSent
from gating.effects.runner import Runner
from gating.effects.senders import Webhook
from gating.ledger import Ledger
from gating.times import parse_rfc3339
from tests.eventually import aeventually, eventually
from tests.gating.effects.receiver import Receiver, certificate
from tests.gating.ledger.desk import Desk
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name
from tests.gating.webhooks.door import Door

SECRET = "a secret of more than 24 bytes"


@pytest.fixture
def closing():
    """What is to be closed or killed at the end, newest first."""
    ends = []
    yield ends.append
    for end in reversed(ends):
        end()


@pytest.fixture
def receiver(closing):
    receiver = Receiver()
    closing(receiver.close)
    return receiver


@pytest.fixture
def gating(tmp_path, closing):
    def start(**settings):
        door = Door(tmp_path / "gating", **settings)
        closing(door.kill)
        return door.start()

    (tmp_path / "gating").mkdir()
    return start


def failed(door):
    """The one effect that is owed, once a try of it has failed."""
    return eventually(lambda: [row for row in door.gateway.effects("") if row["tries"]])[0]


def metric(door, name, kind):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf'^{name}{{kind="{kind}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_kill_in_the_middle_of_a_delivery_has_it_made_again_under_the_same_id(gating, receiver):
    receiver.answer = receiver.hang
    door = gating(webhook_url=receiver.url, webhook_secret=SECRET)
    account = door.account("default")
    door.gateway.do(account, "pause")
    eventually(lambda: receiver.got)
    door.kill()
    receiver.answer = lambda _: 204
    door.start()
    eventually(lambda: len(receiver.got) == 2)
    (first, event), (second, again) = receiver.got
    assert (first, event) == (second, again)
    assert (event["type"], event["data"]["account"]) == ("stop_integrations", account)
    eventually(lambda: door.gateway.effects("") == [])


def test_a_receiver_that_hangs_holds_up_neither_other_accounts_nor_flips(gating, receiver):
    stuck = set()
    receiver.answer = lambda event: receiver.hang(event) if event["data"]["account"] in stuck else 204
    door = gating(webhook_url=receiver.url, webhook_secret=SECRET)
    slow, quick = door.account("default"), door.account("default")
    stuck.add(slow)
    door.gateway.do(slow, "pause")
    eventually(lambda: receiver.of(slow))
    for command in ("pause", "resume"):
        assert door.gateway.do(quick, command)["enforced"] is True
    door.gateway.do(slow, "resume")
    eventually(lambda: [event["type"] for _, event in receiver.of(quick)] == ["stop_integrations", "resync"])
    assert len(receiver.of(slow)) == 1  # and its own later effect waits for its turn
    # what the quick one's were owed is crossed out once they were taken: soon after the receiver has them, not before
    eventually(lambda: {row["account"] for row in door.gateway.effects("")} == {slow})


async def test_a_receiver_that_does_not_answer_in_time_is_given_up_for_this_try(receiver):
    receiver.answer = receiver.hang
    with pytest.raises(NotSent, match=r"did not answer within 0\.2 s"):
        await Webhook(receiver.url, SECRET, seconds=0.2).send("effect-1", {"type": "resync", "data": {}})


def test_a_receiver_that_fails_once_is_asked_again_and_the_failure_is_counted(gating, receiver):
    answers = [204, 500]
    receiver.answer = lambda _: answers.pop()
    door = gating(webhook_url=receiver.url, webhook_secret=SECRET)
    account = door.account("default")
    door.gateway.do(account, "pause")
    owed = failed(door)
    assert (owed["tries"], owed["last_error"]) == (1, "the webhook's receiver answered 500")
    eventually(lambda: door.gateway.effects("") == [])
    assert len({key for key, _ in receiver.got}) == 1
    assert len(receiver.got) == 2
    assert metric(door, "pixelgate_effects_failures_total", "stop_integrations") == 1
    assert metric(door, "pixelgate_effects_carried_out_total", "stop_integrations") == 1


def test_a_redirect_is_not_followed(gating, receiver, closing):
    elsewhere = Receiver()
    closing(elsewhere.close)
    receiver.answer = lambda _: (307, {"location": elsewhere.url})
    door = gating(webhook_url=receiver.url, webhook_secret=SECRET)
    door.gateway.do(door.account("default"), "pause")
    assert failed(door)["last_error"] == "the webhook's receiver answered 307"
    assert elsewhere.got == []


def test_a_receivers_certificate_must_be_of_an_authority_that_is_trusted(gating, tmp_path, closing):
    (ours, authority), (theirs, _) = certificate(tmp_path, "ours"), certificate(tmp_path, "theirs")
    trusted, stranger = Receiver(tls=ours), Receiver(tls=theirs)
    closing(trusted.close)
    closing(stranger.close)
    door = gating(webhook_url=trusted.url, webhook_secret=SECRET, effects_ca=authority)
    account = door.account("default")
    door.gateway.do(account, "pause")
    eventually(lambda: trusted.of(account))
    door.kill()
    door.settings["webhook_url"] = stranger.url
    door.start()
    door.gateway.do(account, "resume")
    assert "cannot be reached" in failed(door)["last_error"]
    assert stranger.got == []


def test_a_resync_says_which_span_the_integrations_missed(gating, receiver):
    """segmetrics 5: the gap is imported again."""
    door = gating(webhook_url=receiver.url, webhook_secret=SECRET)
    account = door.account("default")
    for command in ("pause", "cancel", "reactivate", "pause", "resume"):
        door.gateway.do(account, command)
    eventually(lambda: len(receiver.of(account, "resync")) == 2)
    at = {row["version"]: row["at"] for row in door.gateway.history(account)}
    spans = [
        (event["data"]["arguments"]["from"], event["data"]["arguments"]["to"])
        for _, event in receiver.of(account, "resync")
    ]
    moments = [parse_rfc3339(at[version]) for version in sorted(at)]
    assert [tuple(map(parse_rfc3339, span)) for span in spans] == [
        (moments[1], moments[3]),  # from the first stop, though it was cancelled meanwhile
        (moments[4], moments[5]),
    ]


async def test_what_a_receiver_that_stays_away_missed_is_sent_when_an_operator_says_so(url):  # noqa: F811
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    with Ledger.open(url) as ledger:
        desk = Desk(ledger)
        desk.open()
        desk.do("pause")
        gone = Outside(ledger, Webhook(f"http://127.0.0.1:{port}/in", SECRET))
        await ran(ledger, gone, ledger.effects.dead, tries_max=3)
        (dead,) = ledger.effects.dead()
        assert (dead.tries, "cannot be reached" in dead.last_error) == (3, True)
        assert ledger.effects.owed() == []
        ledger.effects.revive(dead.id)
        receiver = Receiver()
        try:
            await ran(ledger, Outside(ledger, Webhook(receiver.url, SECRET)), lambda: not ledger.effects.owed())
            assert [key for key, _ in receiver.got] == [f"effect-{dead.id}"]
        finally:
            receiver.close()


async def ran(ledger, handler, probe, **more):
    """Run a runner of one handler until something holds."""

    async def in_turn(work):
        await asyncio.to_thread(work)

    runner = Runner(ledger, {"stop_integrations": handler}, Clock(), in_turn=in_turn, leads=lambda: True,
                    wait=lambda _: 0.0, **more)  # fmt: skip
    task = asyncio.create_task(runner.run())
    try:
        await aeventually(probe)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ---- mail ------------------------------------------------------------------------------------------------------------


class Mailbox:
    def __init__(self):
        self.got = []

    async def handle_DATA(self, _server, session, envelope):
        self.got.append((session.ssl is not None, envelope.rcpt_tos, envelope.content.decode()))
        return "250 ok"

    def to(self, address):
        return [(secure, content) for secure, to, content in self.got if to == [address]]


@pytest.fixture
def mailbox(tmp_path, closing):
    """A mail server that takes nothing before STARTTLS; its port, its authority's file."""
    context, authority = certificate(tmp_path, "mail")
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box.port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=box.port, tls_context=context, require_starttls=True)
    server.start()
    closing(server.stop)
    box.authority = authority
    return box


def mails(mailbox, **more):
    return {
        "smtp_url": f"smtp://127.0.0.1:{mailbox.port}", "mail_from": "pixels@example.org",
        "operators_mail": "ops@example.org", **more,
    }  # fmt: skip


def ask_for_deletion(door, **given):
    account = door.account("clickport", **given)
    door.gateway.do(account, "request_deletion", on_behalf="owner", confirm=True, values={"note": "thank you"})
    return account


def test_notices_go_by_mail_over_tls_to_whom_they_are_for(gating, mailbox):
    door = gating(**mails(mailbox, effects_ca=mailbox.authority))
    account = ask_for_deletion(door, owner="ana@example.org")
    eventually(lambda: mailbox.to("ana@example.org") and mailbox.to("ops@example.org"))
    ((secure, told),) = mailbox.to("ops@example.org")
    assert secure
    assert account in told
    assert "thank you" in told
    ((secure, told),) = mailbox.to("ana@example.org")
    assert secure
    assert "thank you" not in told
    eventually(lambda: door.gateway.effects("") == [])
    assert "ana@example.org" not in door.process.log


def test_a_mail_server_whose_certificate_is_nobodys_is_sent_nothing(gating, mailbox):
    door = gating(**mails(mailbox))
    ask_for_deletion(door, owner="ana@example.org")
    assert "the mail server cannot be used" in failed(door)["last_error"]
    assert mailbox.got == []


def test_a_notice_that_has_nobody_to_go_to_is_done_with_and_holds_nothing_up(gating, mailbox):
    door = gating(**mails(mailbox, effects_ca=mailbox.authority))
    account = ask_for_deletion(door)
    eventually(lambda: door.gateway.effects("") == [])
    assert door.gateway.effects("/dead") == []
    assert [to for _, to, _ in mailbox.got] == [["ops@example.org"]]
    assert metric(door, "pixelgate_effects_untold_total", "notify") == 1
    assert metric(door, "pixelgate_effects_failures_total", "notify") == 0
    assert f"account {account}: nobody to tell" in door.process.log
