"""The applier, on both ledgers: what another service has applied since it looked is left alone."""

import json

from gating.account import Request
from gating.datadir import DataDirectory
from gating.ledger import SYSTEM
from gating.ledger.events import Received, pending, store
from gating.status import Role
from gating.webhooks.applier import Applier
from gating.webhooks.counts import Counts
from gating.webhooks.event import read
from gating.webhooks.mapping import provider
from tests.gating.led import led
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name
from tests.gating.webhooks.door import later
from tests.gating.webhooks.payloads import MONTH, stripe_invoice


async def test_events_that_another_service_has_applied_since_are_left_alone(url, tmp_path):  # noqa: F811
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), led(directory, url) as leading:
        service = leading.service
        await service.create_account("shop", rulebook="segmetrics", who=SYSTEM)
        values = {"plan": "pro", "payment": "p1"}
        await service.do("shop", Request("subscribe", Role.OPERATOR, "tests", values=values))
        at = later()
        body = stripe_invoice("evt_1", "invoice.payment_failed", account="shop", created=at, period_end=at + MONTH)
        event = read(provider("stripe"), body)
        received = Received("stripe", event.id, event.type, event.created_us, at, event.account, event.customer, body)
        leading.ledger.note(lambda connection: store(connection, [received]))
        seen = leading.ledger.look(lambda connection: pending(connection, 9))
        applier = Applier(leading.ledger, service, Counts(), leads=lambda: True, keep_days=30)
        assert await applier.step() == 1
        version = leading.ledger.head().version
        await applier._apply(seen)  # as one that looked before and comes to its turn now
        assert leading.ledger.head().version == version
        (row,) = leading.ledger.look(lambda connection: [dict(r._mapping) for r in connection.exec_driver_sql(
            "SELECT state, tries, version FROM webhook_events")])  # fmt: skip
        assert json.dumps(row) == json.dumps({"state": "applied", "tries": 1, "version": version})
