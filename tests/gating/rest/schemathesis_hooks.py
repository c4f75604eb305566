"""What Schemathesis cannot know of the admin API: a key of the caller's is never used for two requests."""

import re
import uuid

import schemathesis

VALID = re.compile(r"[\x21-\x7e]{1,255}")


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    for name, value in list(headers.items()):
        if name.lower() == "idempotency-key" and isinstance(value, str) and VALID.fullmatch(value):
            headers[name] = uuid.uuid4().hex
