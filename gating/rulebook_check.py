"""Whether a rulebook holds together as a whole: what no single line of it can show.

Called by `policy.py` after the schema was read; pure. Every function yields faults, none stops at the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gating.rulebook import ENTERED, PERIOD_END, Fault, Place, Row, StatusRule, To
from gating.rulebook_reader import Reader
from gating.rulebook_schema import Rules, purges
from gating.status import Command, Role, Status


def overlays_of(rules: Rules) -> frozenset[Status]:
    """The statuses that are laid on what was before, since a command leaves them for `previous`."""
    rows = (row for rows in rules.commands.values() for row in rows)
    return frozenset(status for row in rows if row.to is To.PREVIOUS for status in row.sources)


def steps_of(
    statuses: Mapping[Status, StatusRule], commands: Mapping[Command, tuple[Row, ...]], status: Status
) -> list[tuple[Command, Status]]:
    """Where commands may lead from a status, by name; `previous` to whatever the status can lie on."""
    steps: list[tuple[Command, Status]] = []
    for command, rows in commands.items():
        for row in rows:
            if status in row.sources and row.to is To.PREVIOUS:
                steps += [(command, beneath) for beneath in beneath_of(statuses, commands, status)]
            elif status in row.sources and isinstance(row.to, Status):
                steps.append((command, row.to))
    return steps


def beneath_of(
    statuses: Mapping[Status, StatusRule], commands: Mapping[Command, tuple[Row, ...]], overlay: Status
) -> list[Status]:
    """What the status can be laid on."""
    by_command = {status for rows in commands.values() for row in rows if row.to is overlay for status in row.sources}
    by_deadline = {rule.status for rule in statuses.values() if rule.deadline and rule.deadline.then is overlay}
    return [status for status in statuses if status in by_command | by_deadline]


def faults_of(rules: Rules, own: Reader) -> list[Fault]:
    """Every fault of the table as a whole. own: the rulebook's own document, for what it lacks altogether."""
    table = _Table(rules, own)
    faults = [*table.missing(), *table.rows(), *table.shadowed(), *table.promised()]
    if not own.faults and not faults:  # the ways of a table with holes in it would only repeat the holes
        faults = [*table.overlays(), *table.reachable(), *table.dead_ends(), *table.cycles()]
    return faults


def _fault(place: Place, message: str) -> Fault:
    return Fault(place.file, place.line, message)


@dataclass(slots=True)
class _Table:
    rules: Rules
    own: Reader

    def missing(self) -> Iterator[Fault]:
        """What is named but not there."""
        start = self.rules.start
        if start is not None and start not in self.rules.statuses:
            yield _fault(self.own.place(("start",)), f"start is {start}, which has no [status.{start}]")
        for rule in self.rules.statuses.values():
            if rule.deadline is None:
                continue
            if rule.deadline.then not in self.rules.statuses:
                then = rule.deadline.then
                yield _fault(rule.place, f"the deadline of {rule.status} leads to {then}, which has no [status.{then}]")
            if rule.deadline.when.anchor == "trial_end" and self.rules.trial_us is None:
                yield _fault(rule.place, f"the deadline of {rule.status} hangs on trial_end, but no 'trial' is given")
        for date in self.rules.dates.values():
            for status in sorted(date.statuses - self.rules.statuses.keys()):
                place = self.own.place(("date", date.name))
                yield _fault(place, f"date {date.name} names {status}, which has no [status.{status}]")

    def rows(self) -> Iterator[Fault]:
        """What single rows may not do."""
        for row in self._rows():
            if Status.DELETED in row.sources and row.to is not To.SAME:
                yield _fault(row.place, f"{row.command} leaves DELETED, which is final")
            if any(grant.by.role is Role.AUDITOR for grant in row.by):
                yield _fault(row.place, f"{row.command} is given to an auditor, but an auditor carries nothing out")
            if isinstance(row.to, Status) and self._asks_for_period_end(row):
                yield _fault(
                    row.place,
                    f"{row.command} leads to {row.to}, which lasts until period_end: needs lack 'period_end?'",
                )
            if row.to is not Status.DELETED and purges(row.effects):
                yield _fault(row.place, f"{row.command} purges, but leads to {row.to}: only DELETED may (I9)")
            names = [need.name for need in row.needs]
            if len(names) != len(set(names)):
                yield _fault(row.place, f"{row.command} names a need twice")
            if row.within is not None and row.within.anchor == ENTERED and row.within.span_us == 0:
                yield _fault(row.place, f"{row.command} is never possible: 'within' has no length")

    def _asks_for_period_end(self, row: Row) -> bool:
        rule = self.rules.statuses.get(Status(row.to))
        hangs = rule is not None and rule.deadline is not None and rule.deadline.when.anchor == PERIOD_END
        return hangs and all(need.name != PERIOD_END for need in row.needs)

    def shadowed(self) -> Iterator[Fault]:
        """Rows that an earlier row of the same command always comes before."""
        for rows in self.rules.commands.values():
            for place, row in enumerate(rows):
                earlier = [other for other in rows[:place] if _covers(other, row)]
                if row.sources and all(any(status in other.sources for other in earlier) for status in row.sources):
                    lines = ", ".join(str(other.place) for other in earlier)
                    yield _fault(row.place, f"{row.command}: this row can never fit, {lines} always comes before it")

    def promised(self) -> Iterator[Fault]:
        """Rules that say which promise they keep, where there is none of that number."""
        keepers: list[StatusRule | Row] = [*self.rules.statuses.values(), *self._rows()]
        for keeper in keepers:
            for promise in keeper.promises:
                if promise not in self.rules.promises:
                    yield _fault(keeper.place, f"there is no promise {promise!r} under [promise]")

    def overlays(self) -> Iterator[Fault]:
        """A status that has something beneath it must lie on something."""
        overlays = overlays_of(self.rules)
        if self.rules.start in overlays:
            yield _fault(
                self.own.place(("start",)),
                f"start is {self.rules.start}, which a command leaves for 'previous': "
                "a new account has nothing beneath it",
            )
        for rule in self.rules.statuses.values():
            if rule.status not in overlays and (rule.inherits or rule.stops_clock or rule.through.value != "nobody"):
                yield _fault(
                    rule.place,
                    f"nothing ever lies beneath {rule.status}, since no command leaves it for 'previous': "
                    "it cannot inherit, let commands through or stop clocks",
                )
            if rule.deadline is not None and self.rules.statuses[rule.deadline.then].inherits:
                yield _fault(rule.place, f"the deadline of {rule.status} leads to a status that inherits")

    def reachable(self) -> Iterator[Fault]:
        """Statuses that no way from the start leads to."""
        if self.rules.start is None:
            return
        reached = self._reach({self.rules.start})
        for rule in self.rules.statuses.values():
            if rule.status not in reached and rule.place.file == self.own.file:
                yield _fault(rule.place, f"{rule.status} is unreachable: no way leads there from {self.rules.start}")

    def dead_ends(self) -> Iterator[Fault]:
        """Statuses that are never left, and those that never come to DELETED."""
        for rule in self.rules.statuses.values():
            if rule.status is Status.DELETED:
                if rule.deadline is not None:
                    yield _fault(rule.place, "DELETED has a deadline, but nothing leaves it")
            elif not self._steps(rule.status) - {rule.status} and rule.status not in overlays_of(self.rules):
                yield _fault(rule.place, f"{rule.status} is a dead end: no command and no deadline leaves it")
            elif Status.DELETED in self.rules.statuses and Status.DELETED not in self._reach({rule.status}):
                yield _fault(rule.place, f"no way leads from {rule.status} to DELETED: its data could never be removed")

    def cycles(self) -> Iterator[Fault]:
        """Deadlines that lead in a circle without any time passing in it."""
        for rule in self.rules.statuses.values():
            seen: list[Status] = [rule.status]
            step = rule
            while step.deadline is not None and not (
                step.deadline.when.anchor == ENTERED and step.deadline.when.span_us
            ):
                step = self.rules.statuses[step.deadline.then]
                if step.status is rule.status:
                    way = " -> ".join([*seen, rule.status])
                    yield _fault(rule.place, f"deadlines lead in a circle that could fire at once: {way}")
                    break
                if step.status in seen:
                    break
                seen.append(step.status)

    def _rows(self) -> Iterator[Row]:
        for rows in self.rules.commands.values():
            yield from rows

    def _steps(self, status: Status) -> set[Status]:
        """Where one command or deadline may lead."""
        steps = {to for _, to in steps_of(self.rules.statuses, self.rules.commands, status)}
        deadline = self.rules.statuses[status].deadline
        return steps | ({deadline.then} if deadline is not None else set())

    def _reach(self, reached: set[Status]) -> set[Status]:
        todo = set(reached)
        while todo:
            new = self._steps(todo.pop()) - reached
            reached |= new
            todo |= new
        return reached


def _covers(earlier: Row, row: Row) -> bool:
    """Tell whether the earlier row's guards hold whenever the later one's do."""
    plans = not earlier.plans or (bool(row.plans) and set(row.plans) <= set(earlier.plans))
    within = earlier.within is None or earlier.within == row.within
    return plans and within
