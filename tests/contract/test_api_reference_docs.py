"""docs/api-reference.md is what the service says of itself, and that is well-formed OpenAPI."""

import json
import re

from tests.contract.api_page import openapi


def test_whatever_is_referred_to_is_there() -> None:
    made = openapi()
    referred = set(re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(made)))
    assert {
        (kind, name) for kind, of in made["components"].items() for name in of if kind != "securitySchemes"
    } >= referred


def test_each_path_says_what_it_answers_and_each_parameter_what_it_means() -> None:
    made = openapi()
    for path, methods in made["paths"].items():
        for operation in methods.values():
            assert operation["summary"].endswith("."), path
            assert {each["name"] for each in operation["parameters"] if each["in"] == "path"} == set(
                re.findall(r"\{(\w+)\}", path)
            )
            assert all(each["description"] for each in operation["parameters"] if each["in"] == "query"), path
