"""Requests made up from the OpenAPI description, right ones and wrong ones: answers are as it says."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 4


@pytest.fixture(scope="module")
def described(running):
    """The server's own description."""
    return schemathesis.openapi.from_url(f"{running.url}/openapi.json")


def drive(operation, mode):
    """Asks one operation; what is not as described is raised."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        text = response.content.decode("utf-8", errors="replace")
        assert "Traceback" not in text
        if response.status_code >= 400:
            problem = json.loads(text)
            assert problem.get("detail") or problem["errors"][0]["detail"]

    ask()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_made_up_requests_are_answered_as_described(described, mode):
    asked, wrong = 0, {}
    for found in described.get_all_operations():
        operation = found.ok()
        try:
            drive(operation, mode)
            asked += 1
        except (Exception, BaseExceptionGroup) as error:
            # Of an operation without parameters no request can be wrong.
            if "Unsatisfiable" in type(error).__name__:
                continue
            wrong[operation.label] = f"{type(error).__name__}: {error}"[:1500]
    assert not wrong, "\n\n".join(f"{label}: {said}" for label, said in wrong.items())
    assert asked >= 12
