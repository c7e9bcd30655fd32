"""An answer that a session brings: taken in piece by piece, decoded, and without the token it may repeat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from wolkvox_async.model import Answer, Breakdown, ErrorKind, Token

from . import bodies, faults
from .room import BIG
from .session_intake import Intake
from .session_question import Question

_MAX_HEAD: Final = 65_536
_LONGEST_LENGTH: Final = 20


@dataclass(frozen=True, slots=True)
class Packed:
    """An answer read whole, as it came; of its headers, those that matter."""

    status: int
    encoding: str
    retry_after: str | None
    location: str | None
    body: bytes
    sent_at: float


async def taken(
    response: aiohttp.ClientResponse, question: Question, intake: Intake, *, most: int
) -> Packed | Breakdown:
    """Read the whole answer; raises what aiohttp raises."""
    question.status = response.status
    sent_at, headers = question.sent_at(), response.headers
    wrong = _wrong_with(response)
    if wrong is not None:
        return replace(faults.garbled(wrong, sent_at), status=response.status)
    told = headers.get("Content-Length")
    body = await intake.read(response.content, length=None if told is None else int(told), most=most)
    if body is None:
        return replace(faults.too_large(most, unanswered_since=question.sent_at()), status=response.status)
    encoding = ", ".join(headers.getall("Content-Encoding", ()))
    return Packed(response.status, encoding, headers.get("Retry-After"), headers.get("Location"), body, sent_at)


def _wrong_with(response: aiohttp.ClientResponse) -> str | None:
    """Say what HTTP forbids, and aiohttp lets through."""
    if response.status < 200:
        return "it switches to another protocol"
    if sum(len(name) + len(value) for name, value in response.raw_headers) > _MAX_HEAD:
        return f"its answer's head is longer than {_MAX_HEAD} bytes"
    told = response.headers.getall("Content-Length", ())
    if len(told) > 1 or any(len(each) > _LONGEST_LENGTH or not each.isdecimal() for each in told):
        return "its length is no sensible number"
    return None


async def decoded(packed: Packed, intake: Intake, token: Token, *, most: int) -> Answer | Breakdown:
    """Decode the body, and take the token out of everything that is shown."""
    encoding = bodies.shown(packed.encoding, token)
    try:
        body = None if intake.is_big else bodies.decoded(packed.body, encoding, most=min(most, BIG))
        if body is None and bodies.fits(packed.body, encoding, most=most):
            await intake.hold_big()
            body = bodies.decoded(packed.body, encoding, most=most)
    except bodies.BodyError as error:
        return Breakdown(ErrorKind.MALFORMED, str(error), None, packed.status)
    if body is None:
        return replace(faults.too_large(most, unanswered_since=None), status=packed.status)
    pause = None if packed.retry_after is None else bodies.shown(packed.retry_after, token)
    location = None if packed.location is None else bodies.shown(packed.location, token)
    return Answer(packed.status, token.redact(body), pause, location, sent_at=packed.sent_at)
