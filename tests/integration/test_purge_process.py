"""I12 with everything running: the command line's receipt, and the whole data directory searched."""

import json
import urllib.request

from tests.consumers.house import KEY, House, now_us
from tests.consumers.test_purge import DAY_US, OTHER_KEY, delete, files_with, mark
from tests.eventually import eventually
from tests.system import System


def fire(system, key, visitor):
    with urllib.request.urlopen(f"http://127.0.0.1:{system.port}/p/{key}.gif?v={visitor}", timeout=10) as answer:
        assert answer.status == 200


def test_the_receipt_of_a_deleted_account_comes_by_itself_and_is_true(tmp_path):
    """I12, CONTRACT: `run` purges beside its consumer; `account receipt` tells; `verify` still adds up."""
    system, marker, other = System(tmp_path, workers=1), mark(), mark()
    house = House(system.data)
    house.create(at_us=now_us() - 30 * DAY_US)
    house.create("else", OTHER_KEY, at_us=now_us() - 30 * DAY_US)
    house.close()
    with system.running():
        fire(system, KEY, marker)
        fire(system, OTHER_KEY, other)
        assert system.json("report", "shop", "--settled", "20")["events"]["visible"] == 1
        system.cli("account", "receipt", "shop", code=1)  # it lives
        system.cli("account", "receipt", "nobody", code=1)
    assert files_with(system.data, marker)
    house = House(system.data)
    house.journal.close()
    delete(house)  # its deadline lies a day back; what else it owes is carried out
    target = tmp_path / "receipt.json"
    with system.running():
        system.cli("account", "receipt", "shop", "--to", str(target), code=1)
        assert not target.exists()
        eventually(lambda: system.json("account", "receipt", "shop")["purged_at"], 60)
        receipt = system.json("account", "receipt", "shop", "--to", str(target))
        assert json.loads(target.read_text()) == receipt
        assert "warehouse" in system.cli("account", "receipt", "shop").stdout
        assert {row["store"]: row["found"] for row in receipt["stores"]}["warehouse"] == 1
        fire(system, KEY, marker)  # leftover scripts: a GIF, and nothing kept
        assert system.json("report", "else", "--settled", "20")["events"]["visible"] == 1
        sums = system.json("verify")
        assert (sums["ok"], sums["purged"]) == (True, 1)
    house.ledger.close()
    assert files_with(system.data, marker) == []
    assert files_with(system.data, other)
