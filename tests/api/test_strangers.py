"""What a stranger's tool makes of the document: schemathesis, over every operation, against a served city.

    HUIYIN_HYPOTHESIS=thorough scripts/test tests/api/test_strangers.py     the long run: other examples, 33 times as many

It reads /openapi.json as anybody may, sends what has the form that the document gives, then what has not, and looks at
every answer: no 5xx, no status and no header that is not documented, no body of another shape, nothing taken that the
document refuses, nobody let in without a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from domain.attachments import TYPES
from domain.terms import Role
from tests.api.conftest import Served, dispatched

UNITS = (Role.ORG_HANDLER, Role.ORG_APPROVER, Role.MGMT_UNIT)
# A rule may refuse what has its form; and a stranger's own token is replaced by one that is taken.
LEFT_OUT = {
    GenerationMode.POSITIVE: [positive_data_acceptance],
    GenerationMode.NEGATIVE: [positive_data_acceptance, ignored_auth],
}


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


@schemathesis.serializer(*sorted(TYPES))
def a_file(context: Any, value: Any) -> bytes:
    if isinstance(value, str):  # an example of what is plain text
        return value.encode()
    return value if isinstance(value, bytes) else bytes(value.data)


class Stranger:
    """Sends what the tool makes up, as somebody who may ask, about an order that is there."""

    def __init__(self, served: Served, mode: GenerationMode) -> None:
        self.served = served
        self.mode = mode
        self.order = dispatched(served, "D")
        self.sent = 0
        self.statuses: set[int] = set()
        self.faults: list[str] = []
        profile = settings.get_profile(settings.get_current_profile_name())
        self.settings = settings(
            max_examples=profile.max_examples // (60 if mode is GenerationMode.POSITIVE else 120),  # of each operation
            deadline=None,
            database=None,
            suppress_health_check=[*HealthCheck],  # type: ignore[arg-type]
            phases=[Phase.explicit, Phase.generate],
        )

    def tokens(self, roles: list[str]) -> Iterator[str]:
        """Yield tokens of those who may give a command, in turn."""
        while True:
            for role in map(Role, roles or [Role.SUPERVISOR]):
                unit = "D" if role in UNITS else "HOTLINE"
                yield self.served.as_(role, unit, orders=(self.order,), scope="feed import").token

    def try_out(self, operation: Any) -> None:
        """Try one operation."""
        tokens = self.tokens(operation.definition.raw.get("x-roles", []))
        made = [operation.as_strategy(generation_mode=self.mode)]
        if self.mode is GenerationMode.POSITIVE:
            made += operation.get_strategies_from_examples()
        for strategy in made:
            self.send_each(operation, strategy, tokens)

    def send_each(self, operation: Any, strategy: Any, tokens: Iterator[str]) -> None:
        """Send what a strategy makes up."""

        @self.settings
        @given(case=strategy)
        def each(case: Any) -> None:
            self.sent += 1
            case.path_parameters = {**case.path_parameters, "city": self.served.names["api"]}
            if "/orders/{record}" in operation.path and self.sent % 4:
                case.path_parameters["record"] = self.order
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {next(tokens)}"}
            case.headers.pop("Huiyin-Role", None)
            if self.mode is GenerationMode.POSITIVE:
                case.query = {
                    **(case.query or {}),
                    **{name: 0 for name in ("min_position", "wait") if name in case.query},
                }
            self.send(operation.label, case)

        each()

    def send(self, label: str, case: Any) -> None:
        """Send one request and look at its answer."""
        response = case.call(timeout=30)
        self.statuses.add(response.status_code)
        if response.status_code == 503 and response.json()["code"] == "behind":
            return  # it asked for a position that nobody has reached
        try:
            case.validate_response(response, excluded_checks=LEFT_OUT[self.mode])
        except FailureGroup as found:
            self.faults += [f"{label}: {fault}" for fault in found.exceptions]


@pytest.mark.strangers
@pytest.mark.parametrize("mode", [*GenerationMode], ids=str)
def test_every_operation_answers_a_stranger_as_the_document_says(served: Served, mode: GenerationMode):
    stranger = Stranger(served, mode)
    document = schemathesis.openapi.from_url(served.url + "/openapi.json")
    for found in document.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.endswith("_path}"):
            continue  # a part with slashes in it, which no document can describe: tried in test_proving
        # Each line of a batch is answered for itself, whatever the others are.
        if mode is GenerationMode.POSITIVE or not operation.path.endswith("/batch"):
            stranger.try_out(operation)
    assert not stranger.faults, f"{len(stranger.faults)} faults, first of all\n" + "\n\n".join(stranger.faults[:5])
    assert stranger.sent > 200
    assert {200, 404, 422} <= stranger.statuses if mode is GenerationMode.POSITIVE else {400, 422} <= stranger.statuses
