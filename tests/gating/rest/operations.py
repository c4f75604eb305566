"""Every operation of the admin API as its OpenAPI document lists them, each with a body that it takes.

Whoever adds a route adds it here, or the tests that go through all of them fail.
"""

BODIES = {
    "getOwnToken": None,
    "listAccounts": None,
    "createAccount": {"rulebook": "default"},
    "getAccount": None,
    "doCommand": {},
    "moveAccount": {},
    "listKeys": None,
    "createKey": {},
    "rotateKey": {},
    "revokeKey": {"key": "k" * 22},
    "listPeople": None,
    "addPerson": {"role": "member"},
    "removePerson": None,
    "listTokens": None,
    "createToken": {"role": "member", "account": "{account}"},
    "revokeToken": None,
    "listHistory": None,
    "listAllHistory": None,
    "getHistoryHead": None,
    "getReceipt": None,
    "listDeadlines": None,
    "listEffects": None,
    "listDeadLetters": None,
    "listTasks": None,
    "retryEffect": {},
    "finishTask": {},
    "listBillingEvents": None,
    "getBillingEvent": None,
    "retryBillingEvent": {},
    "linkCustomer": {"account": "{account}", "provider": "stripe", "customer": "cus_1"},
    "getUsage": None,
}
PLACES = {"command": "pause", "person": "person-0", "token": "token-0", "effect": "1", "event": "evt_1"}


class Operation:
    """One of the document's. of_account: whether it is asked about one account."""

    def __init__(self, method, path, described):
        self.id = described["operationId"]
        self.method, self.path, self.described = method.upper(), path.removeprefix("/api/v1"), described
        self.body = BODIES[self.id]
        self.filters = "account" in [p["name"] for p in described.get("parameters", []) if p["in"] == "query"]
        self.of_account = "{account}" in path or self.filters or "account" in (self.body or {})

    def ask(self, client, account="none", **places):
        """The answer where it is asked about the account."""
        path = self.path.format(account=account, **{**PLACES, **places})
        body = self.body and {name: account if value == "{account}" else value for name, value in self.body.items()}
        query = {"account": account} if self.filters else None
        return client.request(self.method, path, json=body, params=query)


def operations(document):
    """All of them, by their ids."""
    found = [
        Operation(method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    assert {operation.id for operation in found} == set(BODIES)
    return sorted(found, key=lambda operation: operation.id)
