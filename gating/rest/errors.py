"""What only the admin API refuses: who is asked for, how often, on which condition. One class a thing to be done about
it."""

from typing import Final

from gating.errors import GatingError

CHALLENGE: Final = 'Bearer realm="pixelgate"'


class RestError(GatingError):
    """Root; `headers` go out with the problem."""

    def headers(self) -> dict[str, str]:
        """None, for most."""
        return {}


class NotSignedIn(RestError):
    """No token, or none that holds. One wording for unknown, expired and revoked ones: nobody learns which."""

    http_status = 401
    code = "not_signed_in"

    def __init__(self, *, tried: bool) -> None:
        super().__init__(
            "this token does not let anybody in: it is unknown, has expired or was revoked"
            if tried
            else "sign in with a bearer token (Authorization: Bearer pixelgate_...); `pixelgate token create` makes one"
        )
        self._tried = tried

    def headers(self) -> dict[str, str]:
        """RFC 6750, 3."""
        return {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"' if self._tried else CHALLENGE}


class TooManyTries(RestError):
    """Too many failed tries came from where this one does."""

    http_status = 429
    code = "too_many_tries"

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"too many tokens were refused here; try again in {wait_seconds} s")
        self.wait_seconds = wait_seconds

    def headers(self) -> dict[str, str]:
        """When to try again."""
        return {"Retry-After": str(self.wait_seconds)}


class Forbidden(RestError):
    """The role has no right to the verb, whatever the account's rulebook says."""

    http_status = 403
    code = "forbidden"


class VersionChanged(RestError):
    """The account is at another version than the one asked for by `If-Match`."""

    http_status = 412
    code = "version_changed"


class KeyReused(RestError):
    """The `Idempotency-Key` was given with another request."""

    http_status = 422
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key came with another request before; give each request that is to be carried out "
            "a key of its own"
        )


class StillRunning(RestError):
    """The first try under the `Idempotency-Key` has not ended."""

    http_status = 409
    code = "still_running"

    def __init__(self) -> None:
        super().__init__("the first request with this Idempotency-Key is still carried out; ask again in a second")

    def headers(self) -> dict[str, str]:
        """When to try again."""
        return {"Retry-After": "1"}


class NotSupported(RestError):
    """A header that would be ignored at the caller's cost."""

    http_status = 400
    code = "not_supported"


class TooLarge(RestError):
    """A body or a head that is longer than anything that is meant."""

    http_status = 413
    code = "too_large"

    def headers(self) -> dict[str, str]:
        """The rest of it is not read."""
        return {"Connection": "close"}


class HeadTooLarge(TooLarge):
    """Headers beyond their bound."""

    http_status = 431


class TooSlow(RestError):
    """The body did not come in time."""

    http_status = 408
    code = "too_slow"

    def headers(self) -> dict[str, str]:
        """The rest of it is not read."""
        return {"Connection": "close"}


class Malformed(RestError):
    """The body is no JSON, ended early, or is of another type."""

    http_status = 400
    code = "malformed"


class NotJson(RestError):
    """The body is of another type."""

    http_status = 415
    code = "not_json"


class NoAccess(RestError):
    """The account's status gives it no access to its data now, by whichever way."""

    http_status = 403
    code = "access_denied"

    def __init__(self, account: str, status: str) -> None:
        super().__init__(f"account {account!r} is {status} and has no access to its data in that status")
