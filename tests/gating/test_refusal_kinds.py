"""Each refused command says which rule refused it and what would be allowed instead, in every product."""

import inspect
import re

import pytest

from gating import refusal
from gating.account import Request
from gating.datadir import DataDirectory
from gating.errors import PixelgateError, Refused
from gating.gateway import Gateway
from gating.lifecycle import allowed, carry_out, decide
from gating.policy import load_rulebook, rulebooks
from gating.refusal import NeedsMissing, RoleRefused
from gating.status import Role
from tests.deploy.console import Console
from tests.gating.reached import HOUR_US, reached
from tests.processes import gating

PLACE = r"\((?:[a-z]+|common)\.toml:\d+\)"
UNDONE = {  # what a command of the product still needs, of an account in its start status: what it says, what was given
    "clickport": ("--set period_end=TIME", "cancel", {"role": "owner"}),
    "customertrackr": (
        "--set company=...; and --set email=...",
        "cancel",
        {"role": "support", "on_behalf": "owner"},
    ),
    "default": ("--confirm", "delete", {"role": "owner"}),
    "kustomer": ("--confirm", "cancel", {"role": "owner"}),
    "segment": ("--confirm", "delete", {"role": "owner"}),
    "segmetrics": ("--reason CODE: one of ", "cancel", {"role": "owner"}),
}
KINDS = {  # each function of refusal.py that words one: what it must say beside the rule's place
    "unknown_command": r"rulebook {product} has no command 'suspnd'; did you mean suspend(?: or \w+)?\? "
    r"it has: .*\bsuspend\b",
    "not_from_here": r"unsuspend is not possible in \w+, only in SUSPENDED; allowed from \w+: .*\bsuspend\b.* {place}",
    "role_refused": r"suspend may not be carried out --as owner; it may by: operator {place}",
    "needs_missing": r"{command} needs .*{needs}.*{place}",
    "values_unknown": r"suspend has no use for --set note; it takes no --set {place}",
    "guard_failed": r"subscribe is not possible in ACTIVE now: the account's plan is pro, it is for plan free {place}; "
    r"allowed from ACTIVE: .*\bcancel\b",
    "deadline_first": r"became \w+ at \S+ by its deadline, which must be applied before any command",
}
ELSEWHERE = {"guard_failed", "deadline_first"}


def requests_of(product):
    """(kind, command, how it is given) of each kind that a new account can meet."""
    yield "unknown_command", "suspnd", {}
    yield "not_from_here", "unsuspend", {}
    yield "role_refused", "suspend", {"role": "owner", "reason": "other"}
    yield "values_unknown", "suspend", {"reason": "other", "values": {"note": "x"}}
    _, command, given = UNDONE[product]
    yield "needs_missing", command, given


def must_say(kind, product, message):
    words = KINDS[kind].replace("{place}", PLACE).replace("{product}", product)
    needs, command, _ = UNDONE[product]
    words = words.replace("{command}", command).replace("{needs}", re.escape(needs))
    assert re.search(words, message), message


def test_every_kind_of_refusal_is_tried():
    made = {
        name
        for name, function in inspect.getmembers(refusal, inspect.isfunction)
        if function.__module__ == refusal.__name__ and function.__annotations__.get("return") in (Refused, "Refused")
    }
    assert made == set(KINDS)
    assert {kind for kind, *_ in requests_of("default")} | ELSEWHERE == set(KINDS)


def test_a_running_service_refuses_each_kind_in_every_product_with_exit_1_and_changes_nothing(tmp_path):
    directory = DataDirectory.open(tmp_path / "data")
    with gating(directory.root, tmp_path / "log"), Gateway.open(directory) as gateway:
        for product in rulebooks():
            gateway.create_account(product, rulebook=product, plan="pro", owner="ana@example.org", name="Acme")
            before = gateway.account(product)
            for kind, command, given in requests_of(product):
                with pytest.raises(PixelgateError) as refused:
                    gateway.do(product, command, wait=False, **{"role": "operator", **given})
                assert refused.value.exit_code == 1
                must_say(kind, product, str(refused.value))
            assert gateway.account(product) == before
        subscribed = {"plan": "pro", "payment": "p1", "period_end": "2100-01-01T00:00:00Z"}
        gateway.do("customertrackr", "subscribe", role="owner", values=subscribed)
        with pytest.raises(PixelgateError) as refused:
            gateway.do("customertrackr", "subscribe", role="owner", values={**subscribed, "plan": "team"})
        must_say("guard_failed", "customertrackr", str(refused.value))
        said = Console(directory.root)("account", "do", "segmetrics", "cancel", "--as", "owner")
        assert said.code == 1
        must_say("needs_missing", "segmetrics", said.error_line)
        said = Console(directory.root)("account", "do", "segmetrics", "unsuspend", "--json")
        assert said.code == 1
        must_say("not_from_here", "segmetrics", said.error_line)


@pytest.mark.parametrize("product", rulebooks())
def test_whatever_is_asked_of_whatever_stands_there_a_refusal_names_its_rule_and_a_way_on(product):
    """Each command by each role, bare, in every stack of statuses the product can come to."""
    kinds = set()
    for life in reached(product):
        for command in life.policy.commands:
            for role in Role:
                try:
                    carry_out(life.policy, life.account, Request(command, role), life.now_us + HOUR_US)
                except Refused as error:
                    message = str(error)
                    assert re.search(PLACE, message), message
                    if isinstance(error, RoleRefused):
                        assert f"--as {role}; it may by: " in message
                    elif isinstance(error, NeedsMissing):
                        assert f"{command} needs " in message
                    else:
                        on = ", ".join(allowed(life.policy, life.account)) or "nothing"
                        ended = life.now_us + HOUR_US >= _ends(life)
                        assert ended or "create a new one" in message or f"allowed from {life.status}: {on}" in message
                    kinds.add(type(error))
    assert kinds == {Refused, RoleRefused, NeedsMissing}


def _ends(life):
    return life.account.deadline.at_us if life.account.deadline else float("inf")


def test_a_deadline_that_was_not_applied_yet_is_named_with_its_moment():
    life = next(life for life in reached("default") if life.account.deadline is not None)
    with pytest.raises(Refused) as refused:
        decide(life.policy, life.account, Request("reactivate", Role.OPERATOR), life.account.deadline.at_us)
    must_say("deadline_first", "default", str(refused.value))
    assert load_rulebook("default").commands["reactivate"]
