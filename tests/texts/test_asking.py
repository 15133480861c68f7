import os
import signal
import subprocess
import sys

import pytest

from helpers_chat import completion, fake_chat
from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.texts.asking import answer_key, ask_all, estimate, token_counter
from prismat.texts.cache import TextCache
from prismat.texts.keywords import KEYWORDS
from prismat.texts.language_model import Endpoint

INPUTS = {f"r{n}": f"Title: garnet number {n}" for n in range(12)}


@pytest.fixture
def cache(tmp_path):
    with TextCache(tmp_path / "c.sqlite") as opened:
        yield opened


@pytest.fixture
def chat():
    with fake_chat() as fake:
        yield fake


def endpoint(chat, **options):
    return Endpoint(chat.url, "tiny", **{"concurrency": 3, **options})


def test_everyone_is_asked_once_and_then_never_again(chat, cache):
    done = []
    asked = ask_all(
        {**INPUTS, "same": INPUTS["r0"]}, KEYWORDS, endpoint(chat), cache, lambda *n: done.append(n)
    )
    assert set(asked.texts) == {*INPUTS, "same"}
    assert set(asked.texts.values()) == {"garnet, silicate"}
    assert (asked.requests, asked.prompt_tokens, asked.completion_tokens) == (12, 1200, 240)
    assert done[-1] == (12, 12)
    assert chat.asked == 12
    again = ask_all(INPUTS, KEYWORDS, endpoint(chat), cache)
    assert again.texts == dict.fromkeys(INPUTS, "garnet, silicate")
    assert (again.requests, chat.asked) == (0, 12)


def test_a_malformed_answer_is_asked_again_with_the_reason(chat, cache):
    chat.fault(Answer.json(completion("garnet, silicate")), Answer.json(completion('{"a": 1}')))
    asked = ask_all({"r": "Title: x"}, KEYWORDS, endpoint(chat), cache)
    assert asked.texts == {"r": "garnet, silicate"}
    assert asked.requests == 3
    roles = [message["role"] for message in chat.payloads[2]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "It is no JSON list of strings." in chat.payloads[2]["messages"][-1]["content"]


def test_three_malformed_answers_make_a_reject(chat, cache):
    chat.fault(*[Answer.json(completion("no"))] * 3)
    asked = ask_all({"r": "Title: x"}, KEYWORDS, endpoint(chat), cache)
    assert asked.texts == {}
    assert asked.rejects[0].id == "r"
    assert asked.rejects[0].reason == "3 answers in the wrong form: It is no JSON."
    assert chat.asked == 3
    assert ask_all({"r": "Title: x"}, KEYWORDS, endpoint(chat), cache).texts == {"r": "garnet, silicate"}


def test_an_answer_cut_short_is_malformed(chat, cache):
    chat.fault(Answer.json(completion('["garnet"]', finish="length")))
    assert ask_all({"r": "Title: x"}, KEYWORDS, endpoint(chat), cache).requests == 2


def test_nothing_to_say_is_kept_as_such(chat, cache):
    chat.fault(Answer.json(completion("[]")))
    for _ in range(2):
        asked = ask_all({"r": "Title: x"}, KEYWORDS, endpoint(chat), cache)
        assert [r.reason for r in asked.rejects] == ["the model had nothing to say"]
    assert chat.asked == 1


def test_a_record_that_the_model_cannot_take_is_a_reject(chat, cache):
    chat.fault(Answer.json({"error": {"message": "maximum context length is 8"}}, 400))
    asked = ask_all(INPUTS, KEYWORDS, endpoint(chat, concurrency=1), cache)
    assert len(asked.texts) == 11
    assert asked.rejects[0].reason == "HTTP 400 (maximum context length is 8)"


def test_an_expired_key_stops_the_job_and_what_came_is_kept(chat, cache, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", "k")
    good = [Answer.json(completion('["garnet"]')) for _ in range(4)]
    chat.fault(*good, *[Answer.json({}, 401)] * 20)
    with pytest.raises(FetchError, match="environment variable CHAT_KEY"):
        ask_all(INPUTS, KEYWORDS, endpoint(chat, concurrency=1, api_key_env="CHAT_KEY"), cache)
    # One that was under way may still end.
    assert 5 <= chat.asked <= 7
    assert len(cache) == 4
    chat.fault()
    before = chat.asked
    assert len(ask_all(INPUTS, KEYWORDS, endpoint(chat), cache).texts) == 12
    assert chat.asked - before == 8


def test_after_a_kill_only_what_is_missing_is_asked(chat, tmp_path):
    path = tmp_path / "c.sqlite"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from prismat.texts.asking import ask_all; from prismat.texts.cache import TextCache\n"
        "from prismat.texts.keywords import KEYWORDS; from prismat.texts.language_model import Endpoint\n"
        "def stop(done, total):\n"
        "    if done == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "inputs = {f'r{n}': f'Title: garnet number {n}' for n in range(12)}\n"
        "endpoint = Endpoint(sys.argv[1], 'tiny', concurrency=1)\n"
        "ask_all(inputs, KEYWORDS, endpoint, TextCache(Path(sys.argv[2])), stop)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, chat.url, str(path)], check=False, env=dict(os.environ)
    )
    assert killed.returncode == -signal.SIGKILL
    before = chat.asked
    with TextCache(path) as cache:
        assert len(cache) == 5
        assert len(ask_all(INPUTS, KEYWORDS, endpoint(chat), cache).texts) == 12
    assert chat.asked - before == 7


def test_the_key_is_of_all_that_decides_an_answer(chat):
    base = endpoint(chat)
    keys = {answer_key("x", KEYWORDS, base), answer_key("y", KEYWORDS, base)}
    for options in ({"temperature": 0.3}, {"seed": 1}, {"max_tokens": 9}):
        keys.add(answer_key("x", KEYWORDS, endpoint(chat, **options)))
    assert len(keys) == 5
    elsewhere = Endpoint("https://elsewhere.example/v1", "tiny", concurrency=99, timeout=1.0)
    assert answer_key("x", KEYWORDS, elsewhere) == answer_key("x", KEYWORDS, base)


def test_estimate_counts_what_is_not_there_yet(chat, cache):
    given = {"a": "x" * 400, "b": "x" * 400, "c": "y" * 40}
    frame = sum(-(-len(m["content"]) // 4) + 4 for m in KEYWORDS.messages(""))
    found = estimate(given, KEYWORDS, endpoint(chat), cache, prices=(2.0, 10.0))
    assert (found.records, found.requests) == (3, 2)
    assert found.prompt_tokens == 2 * frame + 100 + 10
    assert found.completion_tokens == 2 * KEYWORDS.typical_tokens
    assert found.cost == pytest.approx((found.prompt_tokens * 2 + found.completion_tokens * 10) / 1e6)
    cache.put(answer_key("y" * 40, KEYWORDS, endpoint(chat)), "known")
    assert estimate(given, KEYWORDS, endpoint(chat), cache).requests == 1
    assert chat.asked == 0


def test_a_tokenizer_counts(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    assert token_counter(tmp_path / "tokenizer.json")("four words are here") == 4
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(BadInputError, match="is no tokenizer"):
        token_counter(tmp_path / "no.json")
