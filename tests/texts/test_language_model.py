import pytest

from helpers_chat import PATH, completion, fake_chat
from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.texts.language_model import ChatClient, Endpoint

ASKED = [{"role": "user", "content": "hello"}]
KEY = "sk-very-secret"


@pytest.fixture
def chat():
    with fake_chat(lambda payload: "well") as fake:
        yield fake


@pytest.fixture
def waits():
    return []


def client(chat, waits, **options):
    return ChatClient(Endpoint(chat.url, "tiny", **options), sleep=waits.append)


def test_what_is_sent_and_what_comes(chat, waits, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", KEY)
    reply = client(chat, waits, api_key_env="CHAT_KEY", temperature=0.5, seed=7).ask(ASKED)
    assert (reply.text, reply.whole, reply.prompt_tokens, reply.completion_tokens) == ("well", True, 100, 20)
    request = chat.server.seen[0]
    assert request.method == "POST"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert chat.payloads[0] == {
        "model": "tiny",
        "messages": ASKED,
        "temperature": 0.5,
        "seed": 7,
        "max_tokens": 600,
    }


def test_no_key_no_header(chat, waits):
    client(chat, waits).ask(ASKED)
    assert "Authorization" not in chat.server.seen[0].headers


@pytest.mark.parametrize(
    "fault",
    [
        Answer(b"", 500),
        Answer(b"", 503),
        Answer.html(),
        Answer(b'{"choices": [', 200, {"Content-Type": "application/json"}, claim=5000),
        Answer.json({"error": "overloaded"}),
        Answer.json({"choices": [{"message": {"content": ["no text"]}}]}),
    ],
    ids=["500", "503", "html", "half a body", "no choices", "no text"],
)
def test_passing_failures_are_asked_again_with_growing_waits(chat, waits, fault):
    chat.fault(fault, fault)
    assert client(chat, waits).ask(ASKED).text == "well"
    assert chat.asked == 3
    assert [wait for wait in waits if wait > 0.5] == [1.0, 2.0]


def test_retry_after_is_honoured(chat, waits):
    chat.fault(Answer(b"", 429, {"Retry-After": "17"}))
    assert client(chat, waits).ask(ASKED).text == "well"
    assert 17.0 in waits


def test_failures_without_end(chat, waits):
    chat.fault(*[Answer(b"", 500)] * 9)
    with pytest.raises(FetchError, match=r"HTTP 500, 3 times.*what came is kept") as caught:
        client(chat, waits, attempts=3).ask(ASKED)
    assert caught.value.temporary
    assert chat.asked == 3


def test_an_expired_key_stops_at_once(chat, waits, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", KEY)
    chat.fault(Answer.json({"error": {"message": f"Incorrect key {KEY}"}}, 401))
    with pytest.raises(FetchError, match=r"HTTP 401.*environment variable CHAT_KEY.*expired") as caught:
        client(chat, waits, api_key_env="CHAT_KEY").ask(ASKED)
    assert KEY not in str(caught.value)
    assert chat.asked == 1
    assert not waits


def test_a_key_that_was_not_named(chat, waits):
    chat.fault(Answer.json({"error": "no"}, 403))
    with pytest.raises(FetchError, match="--api-key-env NAME"):
        client(chat, waits).ask(ASKED)


def test_what_the_endpoint_says_of_an_error_without_the_key(chat, waits, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", KEY)
    chat.fault(Answer.json({"error": {"message": f"no model for {KEY}"}}, 404))
    with pytest.raises(FetchError, match=r"HTTP 404 \(no model for …\).*address and model"):
        client(chat, waits, api_key_env="CHAT_KEY").ask(ASKED)
    assert chat.asked == 1


def test_redirects_are_not_followed(chat, waits):
    chat.fault(Answer(b"", 302, {"Location": f"{chat.url}/elsewhere"}))
    with pytest.raises(FetchError, match="leads elsewhere"):
        client(chat, waits).ask(ASKED)
    assert [request.path for request in chat.server.seen] == [PATH]


def test_a_netrc_does_not_replace_the_key(chat, waits, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("CHAT_KEY", KEY)
    client(chat, waits, api_key_env="CHAT_KEY").ask(ASKED)
    assert chat.server.seen[0].headers["Authorization"] == f"Bearer {KEY}"


def test_an_answer_cut_short(chat, waits):
    chat.fault(Answer.json(completion("half a", finish="length")))
    assert not client(chat, waits).ask(ASKED).whole


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"base_url": "localhost:80"}, "no http or https address"),
        ({"base_url": "file:///etc/passwd"}, "no http or https address"),
        ({"model": ""}, "no model is named.*--model"),
        ({"api_key_env": "NOT_SET"}, "NOT_SET is not set"),
        ({"api_key_env": "BROKEN"}, "BROKEN holds no key"),
    ],
)
def test_bad_options(options, problem, monkeypatch):
    monkeypatch.setenv("BROKEN", "two\nlines of it")
    with pytest.raises(BadInputError, match=problem) as caught:
        ChatClient(Endpoint(**{"base_url": "http://localhost/v1", "model": "m", **options}))
    assert "lines" not in str(caught.value)
