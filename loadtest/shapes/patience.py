"""Users who rest within their tasks, so that stopping them never cuts a request off.

locust kills a user whom it believes to be waiting. Where its loop stood still for a moment, such a user may have woken
already and sent a hit, whose answer nobody would read: sent and answered would differ by no fault of the system.
"""

from typing import Final

import gevent
from locust import constant
from locust.user.task import LOCUST_STATE_STOPPING

NO_WAIT: Final = 0


class Patient:
    """Mixed into user classes: what rests is the task itself."""

    wait_time = constant(NO_WAIT)
    _state: str | None

    def go_on_after(self, seconds: float) -> bool:
        """Rest, and tell whether to go on: False once locust has asked this user to stop."""
        gevent.sleep(seconds)
        return self._state != LOCUST_STATE_STOPPING
