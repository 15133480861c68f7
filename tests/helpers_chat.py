"""A fake OpenAI-compatible endpoint."""

import json
from contextlib import contextmanager

from helpers_server import Answer, FakeServer

PATH = "/v1/chat/completions"


def completion(content, finish="stop"):
    """An answer in the form of the chat completions API."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


class FakeChat:
    """Answers every conversation with what ``say`` makes of its last message."""

    def __init__(self, server, say):
        self.server, self.url = server, f"{server.url}/v1"
        server.routes[PATH] = lambda request: Answer.json(completion(say(json.loads(request.body))))

    @property
    def asked(self):
        return self.server.asked(PATH)

    @property
    def payloads(self):
        return [json.loads(request.body) for request in self.server.seen]

    def fault(self, *answers):
        self.server.faults[PATH] = list(answers)


@contextmanager
def fake_chat(say=lambda payload: '["garnet", "silicate"]'):
    server = FakeServer()
    try:
        yield FakeChat(server, say)
    finally:
        server.close()
