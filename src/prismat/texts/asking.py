"""Many records asked of a language model: in parallel, from a cache where possible, with a cost before."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from prismat.errors import BadInputError, PrismatError
from prismat.fetch.errors import FetchError
from prismat.files import digest
from prismat.material import Reject
from prismat.texts.cache import TextCache
from prismat.texts.language_model import ChatClient, Endpoint, Reply
from prismat.texts.prompts import MalformedAnswerError, Message, Prompt

Progress = Callable[[int, int], None]
Count = Callable[[str], int]

TRIES = 3
"""How often a model is asked for an answer in the right form."""
_OF_THE_RECORD = frozenset({400, 413, 422})
"""HTTP statuses that concern one record, such as one too long for the model."""
_CHARACTERS_PER_TOKEN = 4
_TOKENS_OF_FRAME = 4


@dataclass
class Asked:
    """What came of asking.

    Attributes:
        texts: by record id.
        rejects: records without a text, with reasons.
        requests: made now; what came from the cache made none.
        prompt_tokens: read by the model now, as the endpoint counts them.
        completion_tokens: written by it now.
    """

    texts: dict[str, str] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Estimate:
    """What asking will take.

    Attributes:
        records: that have something to be asked.
        requests: to be made; equal records and those in the cache make none.
        prompt_tokens: to be read by the model.
        completion_tokens: to be written, at the usual length.
        cost: in the currency of the prices.
    """

    records: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


@dataclass(frozen=True)
class _Answered:
    """How asking about one input ended: a text, or why there is none."""

    text: str = ""
    reason: str = ""
    replies: tuple[Reply, ...] = ()


def answer_key(given: str, prompt: Prompt, endpoint: Endpoint) -> str:
    """Hash of all that decides an answer: model, prompt, input, temperature, seed, greatest length."""
    e = endpoint
    return digest(e.model, prompt.hash, given, float(e.temperature), e.seed, e.max_tokens)


def token_counter(tokenizer: Path | None = None) -> Count:
    """Counts tokens of a text: with a ``tokenizer.json``, or as a quarter of its characters.

    Raises:
        BadInputError: the file is no tokenizer.
    """
    if tokenizer is None:
        return lambda text: -(-len(text) // _CHARACTERS_PER_TOKEN)
    from tokenizers import Tokenizer

    try:
        loaded = Tokenizer.from_str(Path(tokenizer).read_text(encoding="utf-8"))
    except Exception as error:
        raise BadInputError(
            f"{tokenizer} is no tokenizer", field="tokenizer", remedy="Give a tokenizer.json."
        ) from error
    return lambda text: len(loaded.encode(text).ids)


def estimate(
    inputs: Mapping[str, str],
    prompt: Prompt,
    endpoint: Endpoint,
    cache: TextCache,
    prices: tuple[float, float] = (0.0, 0.0),
    count: Count | None = None,
) -> Estimate:
    """Requests, tokens and cost of asking about all inputs that the cache does not hold.

    Args:
        inputs: by record id.
        prompt: what will be asked.
        endpoint: of whom.
        cache: answers from before.
        prices: per million tokens read and written.
        count: tokens of a text; a quarter of its characters where None.
    """
    count = count or token_counter()
    open_ = _open(inputs, prompt, endpoint, cache)
    frame = sum(count(m["content"]) + _TOKENS_OF_FRAME for m in prompt.messages(""))
    read = sum(frame + count(given) for given in open_.values())
    written = len(open_) * prompt.typical_tokens
    cost = (read * prices[0] + written * prices[1]) / 1e6
    return Estimate(len(inputs), len(open_), read, written, cost)


def ask_all(
    inputs: Mapping[str, str],
    prompt: Prompt,
    endpoint: Endpoint,
    cache: TextCache,
    progress: Progress | None = None,
) -> Asked:
    """Asks about every input that the cache does not hold; each answer is kept as it comes.

    An answer in the wrong form is asked for again, twice; then the record is a reject.

    Args:
        inputs: by record id; equal ones are asked once.
        prompt: what is asked, and what makes an answer acceptable.
        endpoint: of whom.
        cache: answers from before; receives the new ones.
        progress: called with how many of all inputs are done.

    Raises:
        BadInputError: the endpoint is not usable as given.
        FetchError: refused, or still failing after all attempts; what came before is kept.
    """
    keys = {record: answer_key(given, prompt, endpoint) for record, given in inputs.items()}
    open_ = _open(inputs, prompt, endpoint, cache)
    asked, reasons, total = Asked(), {}, len(set(keys.values()))
    for done, (key, answered) in enumerate(_answers(open_, prompt, endpoint), start=1):
        if answered.reason:
            reasons[key] = answered.reason
        else:
            cache.put(key, answered.text)
        asked.requests += len(answered.replies)
        asked.prompt_tokens += sum(reply.prompt_tokens for reply in answered.replies)
        asked.completion_tokens += sum(reply.completion_tokens for reply in answered.replies)
        if progress:
            progress(total - len(open_) + done, total)
    for record, key in keys.items():
        text = None if key in reasons else cache.get(key)
        if text:
            asked.texts[record] = text
        else:
            asked.rejects.append(Reject(record, reasons.get(key, "the model had nothing to say")))
    return asked


def _open(inputs: Mapping[str, str], prompt: Prompt, endpoint: Endpoint, cache: TextCache) -> dict[str, str]:
    """Distinct inputs that are not in the cache, by key."""
    found = {answer_key(given, prompt, endpoint): given for given in inputs.values()}
    return {key: given for key, given in found.items() if cache.get(key) is None}


def _answers(open_: Mapping[str, str], prompt: Prompt, endpoint: Endpoint) -> Iterator[tuple[str, _Answered]]:
    """Answers by key as they come, with a few requests waiting and no more."""
    if not open_:
        return
    stop = threading.Event()
    client = ChatClient(endpoint, sleep=lambda seconds: _pause(stop, seconds))
    rest = iter(open_.items())
    with ThreadPoolExecutor(endpoint.concurrency) as pool:
        running: dict[Future[_Answered], str] = {}
        try:
            while True:
                for key, given in islice(rest, 2 * endpoint.concurrency - len(running)):
                    running[pool.submit(_answer, client, prompt, given, stop)] = key
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    # Out of the list only after its result was read, for that may raise.
                    answered = future.result()
                    yield running.pop(future), answered
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _pause(stop: threading.Event, seconds: float) -> None:
    """Waits, and ends the thread's work at once when the job stops."""
    if stop.wait(seconds):
        raise PrismatError("The job was stopped.")


def _answer(client: ChatClient, prompt: Prompt, given: str, stop: threading.Event) -> _Answered:
    """Asks until an answer has the right form, three times at most."""
    messages: list[Message] = prompt.messages(given)
    replies: list[Reply] = []
    problem = ""
    for _ in range(TRIES):
        _pause(stop, 0.0)
        try:
            reply = client.ask(messages)
        except FetchError as error:
            if error.status not in _OF_THE_RECORD:
                raise
            return _Answered(reason=error.problem, replies=tuple(replies))
        replies.append(reply)
        try:
            if not reply.whole:
                raise MalformedAnswerError("It is cut at the greatest length allowed.")
            return _Answered(prompt.check(reply.text, given), replies=tuple(replies))
        except MalformedAnswerError as error:
            problem = str(error)
            messages = prompt.again(given, reply.text, problem)
    return _Answered(reason=f"{TRIES} answers in the wrong form: {problem}", replies=tuple(replies))
