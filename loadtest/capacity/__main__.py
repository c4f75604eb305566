"""`python -m loadtest.capacity --hits 1000000`: a plan from measured costs, any of which may be given another value."""

import argparse
import sys
from collections.abc import Sequence

from loadtest.capacity import page
from loadtest.capacity.costs import CostInvalid, Costs, changed


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.capacity",
        description="What so many hits a second need, from measured costs, and what breaks first.",
        epilog="Example: python -m loadtest.capacity --hits 1000000 10000000 --set cores=32 new_share=0.05",
    )
    add = parser.add_argument
    add("--hits", nargs="+", type=float, default=[1e6], metavar="N", help="hits a second, a column each (1,000,000)")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="inputs with your own values; --inputs lists them")
    add("--inputs", action="store_true", help="list every input with its value and its source, too")
    return parser.parse_args(arguments)


def values(given: Sequence[str]) -> dict[str, float]:
    """Read NAME=VALUE pairs. Raises CostInvalid."""
    read = {}
    for pair in given:
        name, found, value = pair.partition("=")
        try:
            read[name] = float(value)
        except ValueError as error:
            wanted = f"{value!r} is no number" if found else "NAME=VALUE is expected"
            raise CostInvalid(f"--set {pair}: {wanted}") from error
    return read


def main(arguments: Sequence[str] | None = None) -> int:
    """Print plan and breaks; returns the exit code: 0, or 1 for an input that cannot be."""
    chosen = options(arguments)
    try:
        costs = changed(Costs(), values(chosen.set))
        parts = [page.plans(costs, chosen.hits), page.broken(costs)]
    except CostInvalid as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1
    if chosen.inputs:
        parts.append(page.inputs(costs))
    print("\n\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
