"""OpenAPI: the document that describes the admin API, from the routes and from what holds for all of them.

FastAPI writes each route's parameters, body and answer; what is refused, who may ask and what follows on what is
written here, once.
"""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gating.rest.documents import Problem
from gating.rest.problems import PROBLEM

TITLE: Final = "Pixelgate's admin API"
ABOUT: Final = (
    "Accounts, their write keys, people and history; what comes due; what payment providers told. Every request but "
    "the one for this document needs a bearer token. Errors are problem documents (RFC 9457) whose `code` is stable. "
    'Lists are pages, `{"items": [...], "next": CURSOR}`; `next` is null on the last one.'
)

REFUSALS: Final[dict[int, str]] = {
    400: "The request does not read.",
    401: "No token, or none that holds.",
    403: "The token's role may not, or the account's rulebook says that it may not.",
    404: "There is no such thing, or none that the token may know of.",
    408: "The body came too slowly.",
    409: "The account's rulebook does not allow it now, or it is carried out at this moment.",
    412: "The account is at another version than `If-Match` names; nothing was changed.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "A value does not read, or the `Idempotency-Key` came with another request before.",
    429: "Too many tokens were refused here.",
    431: "The headers are too large.",
    500: "A bug.",
    503: "The ledger or another process does not answer.",
    504: "The change is committed, but not every worker enforces it yet.",
}
_ALWAYS: Final = (400, 401, 403, 404, 422, 429, 431, 500, 503)
_WITH_BODY: Final = (408, 409, 413, 415)

_TEXT: Final = {"schema": {"type": "string"}}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {**_TEXT, "description": "`Bearer`, with `error` where a token was given."}},
    429: {"Retry-After": {**_TEXT, "description": "Seconds to wait."}},
}
_ANSWER_HEADERS: Final[dict[str, Any]] = {
    "ETag": {**_TEXT, "description": "The account's version, for `If-Match`."},
    "Idempotency-Replayed": {**_TEXT, "description": "`true` where the answer is that of an earlier request."},
}

_ACCOUNT: Final = {"account": "$response.body#/account"}
_SAME: Final = {"account": "$request.path.account"}
LINKS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "createAccount": {
        name: {"operationId": name, "parameters": _ACCOUNT}
        for name in ("getAccount", "listHistory", "listKeys", "createKey", "rotateKey", "addPerson", "listPeople")
    }
    | {"pause": {"operationId": "doCommand", "parameters": {**_ACCOUNT, "command": "pause"}}},
    "createKey": {
        "revokeKey": {
            "operationId": "revokeKey",
            "parameters": _SAME,
            "requestBody": {"key": "$response.body#/write_key"},
        }
    },
    "addPerson": {
        "removePerson": {
            "operationId": "removePerson",
            "parameters": {**_SAME, "person": "$response.body#/person"},
        }
    },
    "createToken": {"revokeToken": {"operationId": "revokeToken", "parameters": {"token": "$response.body#/id"}}},
}
"""What can be done with what was made."""


def describe(api: FastAPI) -> dict[str, Any]:
    """The document."""
    document = get_openapi(title=TITLE, version=version("pixelgate"), description=ABOUT, routes=api.routes)
    document["servers"] = [{"url": "/"}]
    document["security"] = [{"bearer": []}]
    components = document["components"]
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own form of a refusal
        components["schemas"].pop(name, None)
    components["schemas"]["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "`pixelgate token create` makes one."}
    }
    components["responses"] = {str(status): _refusal(status) for status in REFUSALS}
    for operations in document["paths"].values():
        for operation in operations.values():
            _complete(operation)
    return document


def _refusal(status: int) -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    response: dict[str, Any] = {"description": REFUSALS[status], "content": {PROBLEM: schema}}
    return {**response, "headers": _HEADERS[status]} if status in _HEADERS else response


def _complete(operation: dict[str, Any]) -> None:
    """Add what may be refused, what headers an answer has, and what can be done with it."""
    parameters = operation.get("parameters", [])
    named = {parameter["name"] for parameter in parameters}
    makes = "Idempotency-Key" in named
    for parameter in parameters:
        _without_null(parameter)
    operation["responses"].pop("422", None)
    for status, answer in operation["responses"].items():
        if makes or operation["operationId"] == "getAccount":
            answer["headers"] = _ANSWER_HEADERS if makes else {"ETag": _ANSWER_HEADERS["ETag"]}
        if status.startswith("2") and operation["operationId"] in LINKS:
            answer["links"] = LINKS[operation["operationId"]]
    refusals = [*_ALWAYS, *(_WITH_BODY if "requestBody" in operation else ())]
    refusals += [412] if "If-Match" in named else []
    refusals += [504] if makes else []
    refusals += [409] if operation["operationId"] == "getReceipt" else []  # an account that is not deleted has none
    for code in sorted(set(refusals)):
        operation["responses"][str(code)] = {"$ref": f"#/components/responses/{code}"}


def _without_null(parameter: dict[str, Any]) -> None:
    """A parameter that may be left out is no parameter that may be null."""
    schema = parameter["schema"]
    forms = [form for form in schema.get("anyOf", ()) if form != {"type": "null"}]
    if len(forms) == 1:
        del schema["anyOf"]
        schema.update(forms[0])
