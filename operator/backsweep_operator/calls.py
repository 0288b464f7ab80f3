"""HTTP calls to an API: time-outs, what is tried again and how, and what an answer means; never a swallowed error."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from backsweep_api.errors import TransientError
from backsweep_operator.errors import CallRefusedError, UnavailableError, WriteConflictError
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.ports import Fence

__all__ = ["Answer", "Call", "Caller", "Server", "Silence", "pages"]

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
REFUSED_SECONDS = 30.0
LONGEST_SAID = 500


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Parameters
    ----------
    name : what it does, for people and metrics; a word from a short list, never a sweep's name.
    about : which object, for people.
    writes : whether it changes something; the lease is checked right before each attempt.
    accept : statuses that are answers here and no errors.
    again : whether it may be sent again when no answer came.
    """

    name: str
    method: str
    path: str
    about: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    writes: bool = False
    accept: tuple[int, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; `body` is None where it is empty or no JSON."""

    status: int
    body: Any
    retry_after_seconds: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        """What the API says in words."""
        body = self.body if isinstance(self.body, dict) else {}
        said = body.get("message") or body.get("detail") or body.get("exception_message") or self.body or ""
        return (said if isinstance(said, str) else json.dumps(said))[:LONGEST_SAID]


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer: why, and whether the server may have got the call."""

    why: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Server:
    """Where an API is, and who says what.

    Parameters
    ----------
    who : the API's name in sentences and metrics.
    headers : what to send; asked with True after a 401.
    jitter : a number in [0, 1).
    fence : checked before each attempt of a write; None for calls about the lease itself.
    call_seconds : after which an attempt is given up.
    at_once : how many calls are on their way at the same time.
    writes_at_once : how many of them may be writes; None for all.
    """

    who: str
    url: str
    headers: Callable[[bool], Mapping[str, str]]
    ssl_context: ssl.SSLContext | None
    metrics: OperatorMetrics
    jitter: Callable[[], float]
    fence: Fence | None = None
    call_seconds: float = 10.0
    at_once: int = 32
    writes_at_once: int | None = None


class Caller:
    """Calls one API over a pool of connections that lasts."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore(server.at_once)
        self._writing = asyncio.Semaphore(server.writes_at_once or server.at_once)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def call(self, call: Call) -> Answer:
        """Call, and return a success or an accepted status.

        What the server did not take (429, no connection) is sent again, within bounds. So is what failed on its way
        and does no harm twice. Everything else that fails is for the caller's caller, who observes anew.

        Raises
        ------
        UnavailableError
            If there is no answer, or only to try later.
        WriteConflictError
            If a precondition does not hold.
        CallRefusedError
            If what is asked for is refused: rights, quota, admission, a value.
        LeaseLostError
            If the lease is lost; this attempt was not sent.
        """
        attempt, signed_anew = 0, False
        while True:
            attempt += 1
            async with self._place(call):
                if call.writes and self._server.fence is not None:
                    self._server.fence.check()
                answer = await self._attempt(call, signed_anew)
            said = answer if isinstance(answer, Answer) else None
            if said is not None and (said.ok or said.status in call.accept):
                return said
            last = attempt == ATTEMPTS
            if said is not None and said.status == 401 and not (signed_anew or last):
                signed_anew = True
                continue
            if last or not self._may_repeat(call, answer):
                raise self._error(call, answer)
            asked = 0.0 if said is None else said.retry_after_seconds or 0.0
            wait = max(min(FIRST_WAIT_SECONDS * 4.0 ** (attempt - 1), LONGEST_WAIT_SECONDS), asked)
            if wait > LONGEST_WAIT_SECONDS:
                raise self._error(call, answer)
            await asyncio.sleep(wait * (0.75 + 0.5 * self._server.jitter()))

    @contextlib.asynccontextmanager
    async def _place(self, call: Call) -> AsyncIterator[None]:
        """Hold a place among the calls under way: the time a call waits for it is not the server's.

        It waits no longer than an attempt may take, else many passes behind a server that hangs would never end.
        """
        async with contextlib.AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._server.call_seconds):
                    for places in (self._writing, self._places) if call.writes else (self._places,):
                        await held.enter_async_context(places)
            except TimeoutError:
                raise self._error(call, Silence("all that may be under way wait for one", sent=False)) from None
            yield

    async def _attempt(self, call: Call, anew: bool) -> Answer | Silence:
        """Send once, and return what came of it."""
        server, began = self._server, time.monotonic()
        if self._session is None:
            verified = True if server.ssl_context is None else server.ssl_context
            connector = aiohttp.TCPConnector(limit=server.at_once, ssl=verified)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        headers = {**server.headers(anew), "Content-Type": call.content_type, "Accept": "application/json"}
        data = None if call.body is None else json.dumps(call.body, separators=(",", ":")).encode()
        code = "none"
        try:
            async with self._session.request(
                call.method,
                server.url + call.path,
                params=call.parameters,
                data=data,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=server.call_seconds),
                allow_redirects=False,
            ) as response:
                code = str(response.status)
                raw = await response.read()
                return Answer(response.status, _parsed(raw), _retry_after(response.headers.get("Retry-After")))
        except aiohttp.ClientConnectorError as error:
            return Silence(_words(error), sent=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Silence(_words(error), sent=True)
        finally:
            server.metrics.calls.add(server.who, call.name, code)
            server.metrics.call_seconds.observe(time.monotonic() - began, server.who)

    @staticmethod
    def _may_repeat(call: Call, answer: Answer | Silence) -> bool:
        """Whether to send it again here and now."""
        if isinstance(answer, Silence):
            return call.again or not answer.sent
        return answer.status == 429 or (call.again and answer.status >= 500)

    def _error(self, call: Call, answer: Answer | Silence) -> TransientError:
        """Return the error an answer is, in a sentence."""
        what = f"{call.name} {call.about}".strip()
        if isinstance(answer, Silence):
            return UnavailableError(f"{self._server.who} gave no answer to {what}: {answer.why}")
        said = f"{self._server.who} answers {answer.status} to {what}: {answer.message or 'nothing more'}"
        if answer.status in (409, 410, 412):
            return WriteConflictError(said)
        if answer.status == 429 or answer.status >= 500:
            return UnavailableError(said, retry_after_seconds=answer.retry_after_seconds or 1.0)
        return CallRefusedError(said, retry_after_seconds=REFUSED_SECONDS)


def pages(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Return items in pages of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _words(error: Exception) -> str:
    """Return what the HTTP client says of a failure; of a time-out it says nothing."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(error)[:LONGEST_SAID] or type(error).__name__


def _parsed(raw: bytes) -> Any:
    """Return JSON; what is none as the text it is, so that it can be told."""
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")[:LONGEST_SAID]


def _retry_after(text: str | None) -> float | None:
    """Return the seconds a server asks to wait; None where it gives none, or a date."""
    return float(text) if text is not None and text.isdecimal() else None
