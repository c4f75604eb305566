"""What can go wrong in deploy: one class for each thing a caller can do something about.

The messages are worded where the values are; exit codes are CONTRACT's (1 refused or failed, 2 usage, 3 unreachable).
"""

from typing import ClassVar

from gating.errors import PixelgateError, Unreachable


class DeployError(PixelgateError):
    """Root of deploy's own errors."""


class PortBusy(DeployError):
    """Another process listens where this one was told to."""

    code = "port_busy"


class RoleFailed(DeployError):
    """The roles did not all work in time, or one ended before it ever did."""

    code = "role_failed"


class RoleGaveUp(RoleFailed):
    """A role process ended with an error before it ever worked, after its own line on stderr: no second one is owed."""


class NoDataDirectory(Unreachable):
    """Nothing was ever written at the place given; reading commands make no directory."""

    code = "no_data_directory"


class Misused(DeployError):
    """A value on the command line or in the environment does not read."""

    exit_code: ClassVar[int] = 2
    code = "usage"


class NoSuchRecord(DeployError):
    """A journal does not hold what was asked for."""

    code = "no_such_record"
