"""What every problem document must be."""


def problem_of(response, status: int, *words: str) -> dict:
    """The problem, checked for its form; ``words`` occur in its detail, field or remedy."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(found)
    assert found["status"] == status
    assert found["instance"] == f"urn:request:{response.headers['x-request-id']}"
    said = " ".join(str(found.get(name, "")) for name in ("detail", "field", "remedy"))
    for word in words:
        assert word in said, (word, said)
    assert "Traceback" not in response.text
    return found
