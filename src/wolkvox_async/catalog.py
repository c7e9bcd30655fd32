"""The vendor's endpoints as data, built in and user-defined.

The 27 billing endpoints and what they count are documented by the vendor (public
request collection and web pages). Their *kind* is not: a level (active now) or a usage
(consumed in the month so far) is our reading of the descriptions, kept in this table
alone. `api` values repeat across the vendor's files, so the key is (file, api).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any, Final, TypeAlias

from .model import DATE_NAMES, MOST_ROWS, DateNames, Params, Reach
from .spelling import complain_about_text, did_you_mean, kind_of, shown

Choices: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Parameters of which each value is asked for in a call of its own."""


class Kind(StrEnum):
    """What a number means: active now, or consumed in the month so far."""

    LEVEL = "level"
    USAGE = "usage"
    OTHER = "other"


class Dates(StrEnum):
    """Whether an endpoint takes `date_ini` and `date_end`."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the catalogue; `interval` (s) is a pause between calls of its own, if it has one.

    `days` is how many calendar days one call may cover; without it a call covers a calendar
    month at most. `date_names` are the vendor's names for the first and the last second, and
    `most_rows` is how many rows it sends at most. `choices` are parameters with several
    values: every combination of them is a call of its own.
    """

    api: str
    counts: str = ""
    kind: Kind = Kind.OTHER
    file: str = "billing"
    dates: Dates = Dates.NEVER
    params: Params = ()
    interval: float | None = None
    choices: Choices = ()
    days: int | None = None
    date_names: DateNames = DATE_NAMES
    most_rows: int = MOST_ROWS

    def variants(self) -> tuple[Endpoint, ...]:
        """Return the endpoint once for every combination of its `choices`, as parameters like the others."""
        if not self.choices:
            return (self,)
        names = [name for name, _ in self.choices]
        combinations = product(*(values for _, values in self.choices))
        return tuple(
            replace(self, params=(*self.params, *zip(names, values, strict=True)), choices=())
            for values in combinations
        )

    def asked_with(self, given: Mapping[str, str]) -> Endpoint:
        """Return the endpoint as one call asks it: with `given` values of its parameters, the others as they stand.

        A value may be another than those that stand here. Raises `ValueError` for a name that the
        endpoint does not have, for a value that cannot be sent, and for a parameter with several
        values of which none is given.
        """
        if not (given or self.choices):
            return self
        every = dict((*((name, (value,)) for name, value in self.params), *self.choices))
        for name, value in given.items():
            problem = self._complain(name, value, every)
            if problem is not None:
                raise ValueError(problem)
        for name, values in every.items():
            if name not in given and len(values) > 1:
                raise ValueError(
                    f"the endpoint {self.name} is one call for each {name}: name one in params, or use fetch()"
                )
        asked = tuple((name, given.get(name, values[0])) for name, values in every.items())
        return replace(self, params=asked, choices=())

    def _complain(self, name: str, value: Any, known: Iterable[str]) -> str | None:
        if name not in known:
            return f"the endpoint {self.name} has no parameter {shown(name)}{did_you_mean(name, known)}"
        if not isinstance(value, str):
            return f"the parameter {shown(name)} must be text, not {kind_of(value)}"
        return complain_about_text(value, "the parameter's value") if value else None

    @property
    def reach(self) -> Reach | None:
        """How its windows may be cut when an answer is as large as answers get; None: not at all.

        The billing family is asked by the month, whatever it answers.
        """
        if self.file == "billing" or self.dates is Dates.NEVER:
            return None if self.most_rows == MOST_ROWS else Reach(self.most_rows)
        return Reach(self.most_rows, self.date_names)

    def pause(self, least: float) -> float:
        """Return the least time in seconds between two calls, where it is `least` for all; 0 means none at all."""
        return max(least, self.interval or 0.0) if least else 0.0

    @property
    def monthly(self) -> bool:
        """Whether it only knows the current month (DOC): what is not read before that turns is never read."""
        return self.file == "billing" and self.dates is Dates.NEVER

    @property
    def name(self) -> str:
        """The endpoint as people and records write it."""
        return self.api if self.file == "billing" else f"{self.file}/{self.api}"


def _level(api: str, counts: str, dates: Dates = Dates.NEVER) -> Endpoint:
    return Endpoint(api, counts, Kind.LEVEL, dates=dates)


def _usage(api: str, counts: str) -> Endpoint:
    return Endpoint(api, counts, Kind.USAGE)


BILLING: Final[tuple[Endpoint, ...]] = (
    _level("agent_script", "active Agent Script licences"),
    _level("intelligent_dial", "active smart-dialling licences"),
    _level("gamification", "active gamification licences", Dates.OPTIONAL),
    _usage("ivr_minutes", "IVR minutes"),
    _usage("rec_minutes", "storage and IVR recording minutes"),
    _level("amazon_s3", "licences for external storage on S3"),
    _level("rsync", "licences for external storage"),
    _usage("rsync_s3_mp3", "audios copied to S3"),
    _usage("rec_screen", "screen recording time"),
    _usage("interactions", "omnibox interactions"),
    _usage("rec_screen_on_demand", "on-demand screen recording time"),
    _usage("speech_analytics", "on-demand voice analysis time"),
    _level("wp_connectors", "active WhatsApp mobile connectors"),
    _usage("sentiment_analysis", "sentiment analyses"),
    _level("chat_licenses", "chat licences"),
    _level("interaction_licenses", "interaction licences"),
    _level("video_call", "active video-call licences"),
    _level("pbx_licenses", "active PBX licences"),
    _usage("ivr_calls", "IVR calls"),
    _usage("asr_calls", "ASR plays"),
    _usage("vision", "uses of the image-analysis component"),
    _usage("tts_chars", "TTS characters"),
    _level("wp_connectors_official", "active WhatsApp Business connectors (meaning disputed)"),
    _level("contact_center_licenses", "active contact-centre licences"),
    _usage("amd_ai", "AI answering-machine detections"),
    _usage("stereo_rec", "stereo recording minutes"),
    _usage("nlp_ai", "NLP consumption"),
)


class Catalog:
    """Endpoints by file and api, in the vendor's order, user-defined ones last."""

    __slots__ = ("_by_key",)

    def __init__(self, added: Iterable[Endpoint] = ()) -> None:
        """Take the built-in endpoints and `added`; `ValueError` when a name repeats."""
        self._by_key: dict[str, Endpoint] = {}
        for endpoint in (*BILLING, *added):
            key = f"{endpoint.file}/{endpoint.api}"
            if key in self._by_key:
                raise ValueError(f"the endpoint {endpoint.name} is there already")
            self._by_key[key] = endpoint

    def get(self, name: str) -> Endpoint | None:
        """Return the endpoint called `name`; `billing/interactions` and `interactions` are one."""
        return self._by_key.get(name if "/" in name else f"billing/{name}")

    def names(self) -> tuple[str, ...]:
        """Return every name, for help and "did you mean"."""
        return tuple(endpoint.name for endpoint in self)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)
