"""Pixelgate under load, for locust: `locust -f loadtest/locustfile.py --host http://127.0.0.1:8080 --data data`.

`--shape` names what to play, here and in the web UI's form; docs/loadtest.md tells the shapes and what is checked.
`make loadtest` starts a system of its own and plays a shape on it.
"""

import sys
from pathlib import Path

if str(ROOT := Path(__file__).resolve().parent.parent) not in sys.path:
    sys.path.insert(0, str(ROOT))  # a user of locust starts it from anywhere

from typing import Any

from locust import events
from locust.event import EventHook

from loadtest.page.summary import summary
from loadtest.shapes import options
from loadtest.shapes.bots import Bot
from loadtest.shapes.catalogue import PLANS, SPAWN_RATE_MAX
from loadtest.shapes.conductor import Conductor
from loadtest.shapes.mixed import Mixed
from loadtest.shapes.slow import SlowClient
from loadtest.shapes.storm import Operator, StormVisitor
from loadtest.shapes.visitors import NewConnection, Visitor

__all__ = ["Bot", "Mixed", "NewConnection", "Operator", "SlowClient", "StormVisitor", "Visitor"]


def _begin(environment: Any, web_ui: Any, **_: Any) -> None:
    """Fill in what the shape defaults to, and hang the conductor on locust's events."""
    parsed = environment.parsed_options
    plan = PLANS[parsed.shape]
    try:
        place = options.Place.read(parsed)
    except ValueError as error:
        print(f"locust: {error}", file=sys.stderr)
        sys.exit(2)
    parsed.num_users = parsed.num_users or plan.users
    parsed.spawn_rate = parsed.spawn_rate or SPAWN_RATE_MAX
    parsed.run_time = parsed.run_time or plan.seconds
    environment.events.flip = EventHook()
    conductor = Conductor(environment, place)
    conductor.connect()

    def report() -> Any:
        """Show the last run's page in the web UI."""
        if conductor.report is None:
            return "no run has ended yet", 404
        return conductor.report.read_text(encoding="utf-8")

    def say(**_: Any) -> None:
        if conductor.result is not None and conductor.report is not None:
            print("\n".join(summary(conductor.result, conductor.report)), flush=True)

    environment.events.quit.add_listener(say)
    if web_ui is not None:
        route = f"{parsed.web_base_path or ''}/pixelgate"
        web_ui.app.add_url_rule(route, "pixelgate", web_ui.auth_required_if_enabled(report))


events.init_command_line_parser.add_listener(options.add)
events.init.add_listener(_begin)
