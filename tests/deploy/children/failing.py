"""A role that cannot start."""

import sys

sys.exit("failing: the reason is this")
