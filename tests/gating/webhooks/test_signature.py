"""A body is taken only as the provider signed it, and only while its signature is fresh."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.webhooks.mapping import provider, providers
from gating.webhooks.signature import SCHEMES, SignatureRefused, sign, verify

NOW = 1_800_000_000
BODY = b'{"id":"evt_1"}'


def by_hand(name, body, secret, at):
    """As the providers' pages write it out."""
    joint = {"stripe": b".", "paddle": b":"}[name]
    digest = hmac.new(secret, str(at).encode() + joint + body, hashlib.sha256).hexdigest()
    return {"stripe": f"t={at},v1={digest},v0={'0' * 64}", "paddle": f"ts={at};h1={digest}"}[name]


def test_the_mappings_that_come_with_the_release_read():
    assert providers() == ("paddle", "stripe") == tuple(sorted(provider(name).name for name in providers()))


@pytest.mark.parametrize("name", ["stripe", "paddle"])
def test_a_body_signed_as_the_providers_page_says_is_taken(name):
    verify(SCHEMES[name], by_hand(name, BODY, b"one", NOW), BODY, ["zero", "one"], NOW)
    two = (
        by_hand(name, BODY, b"old", NOW)
        + SCHEMES[name].between
        + by_hand(name, BODY, b"new", NOW).split(SCHEMES[name].between)[1]
    )
    verify(SCHEMES[name], two, BODY, ["new"], NOW)


@pytest.mark.parametrize("name", ["stripe", "paddle"])
@pytest.mark.parametrize("off", [-301, 301, -(10**9), 10**9])
def test_one_signed_too_long_ago_or_ahead_is_refused(name, off):
    with pytest.raises(SignatureRefused, match="300 s"):
        verify(SCHEMES[name], sign(SCHEMES[name], BODY, "one", NOW + off), BODY, ["one"], NOW)
    verify(SCHEMES[name], sign(SCHEMES[name], BODY, "one", NOW + (300 if off > 0 else -300)), BODY, ["one"], NOW)


@pytest.mark.parametrize("name", ["stripe", "paddle"])
def test_another_body_secret_or_scheme_is_refused(name):
    scheme, header = SCHEMES[name], sign(SCHEMES[name], BODY, "one", NOW)
    for wrong in (
        (header, BODY + b" ", ["one"]), (header, BODY, ["two"]),
        (header.replace(scheme.signature, "v0"), BODY, ["one"]),
        (None, BODY, ["one"]), ("", BODY, ["one"]), (header * 40, BODY, ["one"]), (header, BODY, []),
    ):  # fmt: skip
        with pytest.raises(SignatureRefused):
            verify(scheme, *wrong, NOW)


@given(st.text(max_size=100), st.sampled_from(["stripe", "paddle"]))
def test_no_header_raises_anything_but_a_refusal(header, name):
    with pytest.raises(SignatureRefused):
        verify(SCHEMES[name], header, BODY, ["one"], NOW)
