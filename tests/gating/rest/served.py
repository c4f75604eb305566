"""The admin API of a gating process, asked over TCP as anybody would; tokens are made by the command line's way."""

import contextlib
import itertools
import json

import httpx

from gating.datadir import DataDirectory
from gating.gateway import Gateway
from tests.eventually import eventually
from tests.processes import Process, accepts, answers, free_port

PROBLEM = "application/problem+json"
_numbers = itertools.count(1)


class Served:
    """data: its directory. `client` asks with a token, from an address of its own where one is given."""

    def __init__(self, data, port, process):
        self.data, self.port, self.process = data, port, process
        self.gateway = Gateway.open(DataDirectory.open(data))
        self.secrets = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def token(self, role="operator", account=None, person=None, permissions=(), expires=None):
        """The answer of `token create`."""
        made = self.gateway.create_token(
            role=role, account=account, person=person, permissions=list(permissions), expires=expires
        )
        self.secrets.append(made["token"])
        return made

    def client(self, secret=None, *, address="127.0.0.1", **given):
        secret = secret or self.token(**given)["token"]
        transport = httpx.HTTPTransport(local_address=address, verify=False)  # no TLS here: no 30 ms for its roots
        return Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {secret}"},
            transport=transport,
            timeout=30,
        )

    def account(self, **given):
        """A new account's id."""
        answer = self.gateway.create_account(
            f"shop-{next(_numbers)}", rulebook=given.pop("rulebook", "default"), **given
        )
        return answer["account"]

    def metric(self, name):
        """The value of a sample, such as `pixelgate_ledger_version`."""
        lines = httpx.get(f"{self.url}/metrics", verify=False).text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


class Client(httpx.Client):
    def ok(self, method, path, body=None, **more):
        """The document of an answer that must be one."""
        answer = self.request(method, path, json=body, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def refused(self, status, method, path, body=None, **more):
        """The problem document of an answer that must have that status."""
        answer = self.request(method, path, json=body, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert answer.headers["content-type"] == PROBLEM
        document = json.loads(answer.text)
        assert document["status"] == status
        assert {"type", "title", "detail", "code"} < set(document)
        return document

    def all(self, path, **query):
        """The items of every page, and how many pages there were."""
        items, pages, cursor = [], 0, None
        while True:
            answer = self.ok("GET", path, params={**query, **({"cursor": cursor} if cursor else {})})
            items += answer["items"]
            pages += 1
            cursor = answer["next"]
            if cursor is None:
                return items, pages


@contextlib.contextmanager
def serving(data, port=None, log=None, **settings):
    """A gating process whose socket and admin port answer; killed at the end."""
    port = port or free_port()
    log = log or data.parent / "gating.log"
    process = Process(["-m", "gating"], data, log, admin_port=port, **settings)
    try:
        eventually(lambda: process.must_live() and answers(data / "gating.sock") and accepts(port), 20)
        yield Served(data, port, process)
    finally:
        process.kill()
