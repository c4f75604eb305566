"""A supervisor with two obedient roles, to be killed from outside."""

import os
import signal

from deploy.output import say
from deploy.signals import STOP, Signals
from deploy.supervisor import Role, Supervisor

roles = [
    Role("first", "obedient", 0, 5.0, {"NAME": "first", "PORT": os.environ["FIRST_PORT"]}),
    Role("second", "obedient", 1, 5.0, {"NAME": "second"}),
]
with Signals({*STOP, signal.SIGCHLD}) as signals, Supervisor(roles, say) as supervisor:
    supervisor.start()
    supervisor.run(signals, 1.0, lambda: None)
