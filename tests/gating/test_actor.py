"""Who acted and by which channel, in the history's one column."""

import pytest

from gating.actor import Channel, actor_of, channel_of


@pytest.mark.parametrize("channel", list(Channel), ids=lambda channel: channel.value)
def test_the_channel_is_read_back_out_of_the_actor(channel):
    assert channel_of(actor_of(channel, "person-1", "token-2")) == channel
    assert channel_of(actor_of(channel, "cli:api:x")) == channel


@pytest.mark.parametrize(
    ("actor", "channel"),
    [
        ("local", "cli"),
        ("system", "deadline"),
        ("webhook:stripe", "webhook"),
        ("tests", None),
        ("", None),
        ("api", None),
    ],
)
def test_what_older_releases_wrote_reads_on(actor, channel):
    assert channel_of(actor) == channel
