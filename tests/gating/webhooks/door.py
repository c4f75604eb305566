"""A gating process that takes webhooks, as a provider and an operator meet it: signed bodies in, what came of them."""

import contextlib
import http.client
import secrets
import time

from gating.datadir import DataDirectory
from gating.gateway import Gateway
from tests.eventually import eventually
from tests.gating.webhooks.payloads import paddle_signature, stripe_signature
from tests.processes import Process, accepts, answers, free_port

STRIPE_OLD, STRIPE, PADDLE = "whsec_before", "whsec_now", "pdl_ntfset_now"
SECRETS = {"stripe": STRIPE, "paddle": PADDLE}
SIGN = {"stripe": ("Stripe-Signature", stripe_signature), "paddle": ("Paddle-Signature", paddle_signature)}
SETTLED = ("applied", "ignored", "parked", "failed")


class Door:
    """`start` and `kill` it as often as you like: its data stay. settings: those of its engines."""

    def __init__(self, folder, **settings):
        self.data, self.log, self.port = folder / "data", folder / "log", free_port()
        self.settings = {"stripe_secret": f"{STRIPE}, {STRIPE_OLD}", "paddle_secret": PADDLE, **settings}
        self.gateway = Gateway.open(DataDirectory.open(self.data))
        self.process = None

    def start(self):
        self.process = Process(["-m", "gating"], self.data, self.log, admin_port=self.port, **self.settings)
        eventually(self.is_up, 30)
        return self

    def is_up(self):
        return self.process.must_live() and answers(self.data / "gating.sock") and accepts(self.port)

    def kill(self):
        self.process.kill()

    def post(self, provider, body, headers):
        """Status and answer."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("POST", f"/webhooks/{provider}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def deliver(self, provider, body, secret=None):
        """A webhook as the provider sends it; its status."""
        return self.post(provider, body, signed(provider, body, secret))[0]

    def account(self, rulebook, **given):
        """A new account's id."""
        account = f"shop-{secrets.token_hex(4)}"
        self.gateway.create_account(account, rulebook=rulebook, **given)
        return account

    def status(self, account):
        return self.gateway.account(account)["status"]

    def event(self, event_id):
        """The event as the operator sees it, once it waits no longer."""
        return eventually(lambda: (row := self.gateway.billing_event(event_id))["state"] in SETTLED and row, 20)

    def told(self, provider, body, event_id):
        """Deliver and see what became of it."""
        assert self.deliver(provider, body) == 200
        return self.event(event_id)


def signed(provider, body, secret=None, *, at=None):
    """The headers of a delivery."""
    header, sign = SIGN[provider]
    at = int(time.time()) if at is None else at
    return {"Content-Type": "application/json; charset=utf-8", header: sign(body, secret or SECRETS[provider], at)}


def fresh():
    """An event id that nobody has."""
    return f"evt_{secrets.token_hex(8)}"


def later(seconds=1):
    """A moment by the provider's clock, surely after what the account has been through: it is told in whole seconds."""
    return int(time.time()) + seconds
