"""locust's LoadTestShape: plays the shape that `--shape`, or the web UI's form, names."""

import logging
from typing import Any, Final

from locust import LoadTestShape, User

from loadtest.shapes.catalogue import PLANS, SPAWN_RATE_MAX, Plan
from loadtest.shapes.load import now
from loadtest.shapes.storm import Operator

CANNOT_PLAY: Final = 2
OPERATORS_EVERY: Final = 5
"""One user in so many is an operator, in a shape with flips; and one at least in each process."""

logger = logging.getLogger("pixelgate")


class Mixed(LoadTestShape):
    """The users of a plan, until the run's time is over. Users, spawn rate and run time are locust's own options."""

    use_common_options = True

    def tick(self) -> tuple[int, float, list[type[User]]] | None:
        """Say who should be there now; None ends the run."""
        if self.runner is None or self.runner.environment.parsed_options is None:
            return None
        environment: Any = self.runner.environment
        options = environment.parsed_options
        plan, seconds = PLANS[options.shape], _seconds(environment)
        if options.run_time and seconds >= float(options.run_time):
            return None
        users = int(options.num_users or plan.users)
        if lacking := plan.mix.keys() - environment.user_classes_by_name.keys():
            logger.error("%s is played by %s too: name no user classes", plan.name, ", ".join(sorted(lacking)))
            environment.process_exit_code = CANNOT_PLAY
            return None
        classes = [environment.user_classes_by_name[name] for name in plan.mix]
        for user_class in classes:
            user_class.weight = plan.mix[user_class.__name__]
        Operator.fixed_count = operators(plan, users, max(1, getattr(self.runner, "worker_count", 1)))
        wanted = plan.users_at(seconds, users)
        spawn_rate = float(options.spawn_rate or SPAWN_RATE_MAX)
        return wanted, max(spawn_rate, min(float(wanted), SPAWN_RATE_MAX) if plan.bursts else 0.0), classes


def _seconds(environment: Any) -> float:
    """Tell how long users have been there: what is made and looked at before them is not of the run."""
    began: float | None = environment.pixelgate_began
    return 0.0 if began is None else now() - began


def operators(plan: Plan, users: int, processes: int) -> int:
    """Tell how many of the users flip accounts. They are spawned first, in turn on each process, so each has one."""
    return max(processes, users // OPERATORS_EVERY) if plan.flips else 0
