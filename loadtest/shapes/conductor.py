"""A run from begin to end, over all processes: parts go out before users come, tallies come in after they have gone.

On a local runner and on a master it prepares and reckons; on a worker it takes its part and hands its tally over. The
messages are locust's own, so that what locust connects is connected.
"""

import logging
import signal
import time
from pathlib import Path
from typing import Any, Final, NoReturn

import gevent
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from loadtest.reckoning.outside import NotTold, Outside
from loadtest.reckoning.result import Moment, Result
from loadtest.reckoning.tally import Tally
from loadtest.shapes.house import CannotBegin, parts
from loadtest.shapes.load import Load, Part, load_of, now
from loadtest.shapes.options import Chosen, Place
from loadtest.shapes.reckon import Before, Run, publish, reckon
from loadtest.shapes.storm import note_flip

PART: Final = "pixelgate_part"
FINISH: Final = "pixelgate_finish"
TALLY: Final = "pixelgate_tally"
STOP_SECONDS: Final = 15
"""Users may end what they are at: a client that stalls is answered after 10 to 11 s."""
HAND_OVER_SECONDS: Final = STOP_SECONDS + 15
SAMPLE_SECONDS: Final = 1.0
CANNOT_BEGIN: Final = 2

logger = logging.getLogger("pixelgate")


class Conductor:
    """One a process. result, report: of the last run that was reckoned, and where its page is."""

    def __init__(self, environment: Any, place: Place) -> None:
        self.environment: Any = environment
        self._place = place
        self.result: Result | None = None
        self.report: Path | None = None
        self._run: Run | None = None
        self._tallies: dict[str, Tally] = {}
        self._sampler: Any = None
        environment.pixelgate_began = None

    def connect(self) -> None:
        """Hang it on locust's events and messages."""
        environment, runner = self.environment, self.environment.runner
        environment.stop_timeout = environment.stop_timeout or STOP_SECONDS
        if not isinstance(runner, MasterRunner):
            runner.register_message(PART, self._take_part)
            environment.events.flip.add_listener(lambda **event: note_flip(load_of(environment), time.time(), event))
        if isinstance(runner, WorkerRunner):
            runner.register_message(FINISH, self._hand_over, concurrent=True)
            return
        if isinstance(runner, MasterRunner):
            runner.register_message(TALLY, self._take_tally)
        gevent.signal_handler(signal.SIGTERM, runner.quit)  # locust has none of its own while a shape plays headless
        environment.events.quitting.add_listener(
            lambda **_: runner.quit()
        )  # a run that goes is reckoned before the end
        environment.events.test_start.add_listener(self._begin)
        environment.events.test_stopping.add_listener(self._note_end)
        environment.events.test_stop.add_listener(self._end)

    def _take_part(self, msg: Any, **_: Any) -> None:
        self.environment.pixelgate_load = Load(Part.read(msg.data))

    def _hand_over(self, **_: Any) -> None:
        """Let the users end, then send what was seen."""
        self.environment.runner.stop()
        load = getattr(self.environment, "pixelgate_load", None)
        if isinstance(load, Load):
            self.environment.runner.send_message(TALLY, load.seen().plain())

    def _take_tally(self, msg: Any, **_: Any) -> None:
        tally = Tally(processes=0)
        tally.add(msg.data)
        self._tallies[msg.node_id] = tally

    def _begin(self, **_: Any) -> None:
        """Look at the system, make accounts, give each process its part. Or end it all, where that cannot be."""
        runner = self.environment.runner
        self._run = self.environment.pixelgate_began = None
        processes = [""]
        if isinstance(runner, MasterRunner):  # those that locust is about to give users
            clients = runner.clients
            processes = [client.id for client in clients.ready + clients.running + clients.spawning]
        try:
            chosen = Chosen.read(self.environment.parsed_options, self._place)
            if not self.environment.host:
                raise CannotBegin("needs --host, the collector's URL")
            outside = Outside(self._place.admin, self._place.data)
            before = Before.look(outside)
            made = parts(chosen, self.environment.host, len(processes))
        except (CannotBegin, ValueError) as error:
            logger.error("the run cannot begin: %s", error)  # noqa: TRY400  (whoever started it has no use for our stack)
            self._give_up()
        for process, part in zip(processes, made, strict=True):
            runner.send_message(PART, part.plain(), process or None)
        self._tallies = {}
        self._run = Run(chosen, self.environment.host, outside, before, processes, time.time())
        self._sampler = gevent.spawn(self._sample, self._run)
        self.environment.pixelgate_began = now()

    def _give_up(self) -> NoReturn:
        """End locust, or with its web UI this run, before any user is there.

        Raises GreenletExit: locust's StopTest would do the same, and print a stack.
        """
        self.environment.process_exit_code = CANNOT_BEGIN
        runner = self.environment.runner
        gevent.spawn(runner.quit if self.environment.web_ui is None else runner.stop)
        raise gevent.GreenletExit

    def _sample(self, run: Run) -> None:
        """Note what is counted, once a second, until killed."""
        while run.before.outcomes is not None:
            try:
                run.moments.append(Moment(time.time() - run.began, run.outside.outcomes()))
            except NotTold as error:
                logger.warning("no sample: %s", error)
            gevent.sleep(SAMPLE_SECONDS)

    def _note_end(self, **_: Any) -> None:
        """Users are about to stop: what they still end, they began before."""
        if self._run is not None:
            self._run.seconds = time.time() - self._run.began

    def _end(self, **_: Any) -> None:
        """Collect, reckon, write the page, and set the exit code."""
        run, self._run, self.environment.pixelgate_began = self._run, None, None
        if run is None:
            return
        tally = self._collect(run)
        run.ended = time.time()
        self._sampler.kill()
        self.result = reckon(run, tally, self.environment)
        self.report = run.chosen.report
        publish(self.result, self.report)
        self.environment.process_exit_code = 0 if self.result.verdict == "PASS" else 1
        logger.info("%s: %s, %s", run.chosen.shape, self.result.verdict, run.chosen.report)

    def _collect(self, run: Run) -> Tally:
        """Add up what every process saw; those that do not hand over in time are named in the result."""
        runner = self.environment.runner
        if isinstance(runner, LocalRunner):
            return load_of(self.environment).seen()
        runner.send_message(FINISH)
        until = time.monotonic() + HAND_OVER_SECONDS
        while set(run.processes) - set(self._tallies) and time.monotonic() < until:
            gevent.sleep(0.1)
        run.silent = sorted(set(run.processes) - set(self._tallies))
        whole = Tally(processes=0)
        for tally in self._tallies.values():
            whole.add(tally.plain())
        return whole
