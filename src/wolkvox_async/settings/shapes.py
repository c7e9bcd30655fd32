"""The shape of the tenants file, as pydantic models: types, keys, what must be there.

Imported only when a tenants file is read or its schema is asked for, because pydantic
takes longer to import than everything else. The models check and describe; nothing
keeps their instances. What a type cannot say (a timezone that exists, a name that
stands twice) is said by the readers of this package, and repeated here for the schema
where JSON Schema can say it.

Lists that may be long are not validated as a whole but element by element by the
reader: one tree of models for 100,000 operations takes hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SkipValidation,
    Tag,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.json_schema import GenerateJsonSchema

from wolkvox_async.model import Token

_NAME_PATTERN: Final = r"^[^/\u0000-\u001f\u007f]{1,200}$"
_PLAIN_PATTERN: Final = r"^[a-z0-9_]+$"
_SERVER_PATTERN: Final = r"^[^\u0000-\u001f\u007f]{1,200}$"
_TEXT: Final = "(text)"
_OBJECT: Final = "(object)"
_LIST: Final = "(list)"
TAGS: Final = frozenset({_TEXT, _OBJECT, _LIST})
"""What error locations hold beside keys and positions."""


def _pattern(pattern: str) -> Any:
    """Describe a pattern in the schema only: readers check it, and say it in words."""
    return Field(json_schema_extra={"pattern": pattern})


def _text_or_object(value: Any) -> str:
    return _TEXT if isinstance(value, str) else _OBJECT


def _text_or_list(value: Any) -> str:
    return _TEXT if isinstance(value, str) else _LIST


def _let_tokens_pass(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    # An embedding service hands over tokens as such; a file cannot.
    return value if isinstance(value, Token) else handler(value)


Name = Annotated[str, _pattern(_NAME_PATTERN)]
PlainName = Annotated[str, _pattern(_PLAIN_PATTERN)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)


class KeyringShape(_Shape):
    """An entry of the system's keyring."""

    service: str
    """The service under which the keyring knows the token."""
    username: str
    """The user name that belongs to it."""


class TokenShape(_Shape):
    """Where the token is found: exactly one of these ways."""

    # Plug-ins are further keys: which, is known to those who read and describe references.
    model_config = ConfigDict(extra="allow", json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: str = Field(default_factory=str)
    """Name of an environment variable."""
    file: str = Field(default_factory=str)
    """Path of a file, relative to the tenants file; one newline at its end is dropped."""
    secret: str = Field(default_factory=str)
    """Name of a file in the secrets folder (`secrets_dir`); one newline at its end is dropped."""
    command: Annotated[list[str], Field(json_schema_extra={"minItems": 1})] = Field(default_factory=list)
    """A program and its arguments, run without a shell; what it prints is the token."""
    keyring: Annotated[
        Annotated[str, Tag(_TEXT)] | Annotated[KeyringShape, Tag(_OBJECT)],
        Discriminator(_text_or_object),
    ] = Field(default_factory=str)
    """`service/name`, or an object with `service` and `username`."""


class ApiShape(_Shape):
    """An endpoint with dates."""

    api: str
    """Name of the endpoint, as `wolkvox-async apis` lists it."""
    start: str = Field(default_factory=str, alias="from")
    """First day or second, `2026-11-01` or `20261101000000`, in the operation's timezone; or a word of `window`."""
    end: str = Field(default_factory=str, alias="to")
    """Last day or second, which is included; without it, until now."""
    window: Literal["current-month", "previous-month"] = Field(default_factory=lambda: "current-month")
    """A calendar month instead of dates."""


Apis = Annotated[
    list[
        Annotated[
            Annotated[str, Tag(_TEXT)] | Annotated[ApiShape, Tag(_OBJECT)],
            Discriminator(_text_or_object),
        ]
    ],
    Field(json_schema_extra={"minItems": 1}),
]


class OperationShape(_Shape):
    """One wolkvox operation: a server and a token."""

    name: Name
    """Name of the operation, unique within its tenant."""
    server: Annotated[str, _pattern(_SERVER_PATTERN)]
    """The server's four digits as text, for example `"0010"`; `wv0010` and the full address mean the same."""
    token: Annotated[
        Annotated[str, Tag(_TEXT)] | Annotated[TokenShape, Tag(_OBJECT)],
        Discriminator(_text_or_object),
        WrapValidator(_let_tokens_pass),
    ]
    """Where its token is found. Text is taken as the token itself: only in a file that nobody else may read."""
    licences: Annotated[int, Field(json_schema_extra={"minimum": 1})] = Field(default_factory=int)
    """Number of licences, which the vendor's daily quota depends on."""
    apis: Apis = Field(default_factory=list)
    """Endpoints to call; without it those of `defaults`."""
    timezone: str = Field(default_factory=str)
    """Timezone of the IANA database, for example `America/Lima`; without it that of `defaults`."""


class TenantShape(_Shape):
    """A customer of the reseller."""

    name: Name
    """Name of the tenant, unique in the file."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Text by which operations can be selected: `--only segment=retail`."""
    operations: Annotated[SkipValidation[list[OperationShape]], Field(json_schema_extra={"minItems": 1})]
    """The tenant's operations."""


class DefaultsShape(_Shape):
    """What operations have that do not say otherwise."""

    apis: Apis = Field(default_factory=list)
    """Endpoints to call; without it `interactions` and `gamification`."""
    timezone: str = Field(default_factory=str)
    """Timezone of the IANA database; without it `America/Bogota`."""
    secrets_dir: str = Field(default_factory=str)
    """Folder of the secrets that operations name, relative to the tenants file; without it `/run/secrets`."""


class EndpointShape(_Shape):
    """An endpoint that is not built in; it is called with GET."""

    api: PlainName
    """The vendor's name for it, as in `?api=`."""
    file: PlainName = Field(default_factory=str)
    """The vendor's file without `.php`; without it `billing`."""
    interval: Annotated[float, Field(json_schema_extra={"minimum": 0})] = Field(default_factory=float)
    """Least time in seconds between two calls of one token; without it 300."""
    params: dict[
        str,
        Annotated[
            Annotated[str, Tag(_TEXT)]
            | Annotated[list[str], Field(json_schema_extra={"minItems": 1, "uniqueItems": True}), Tag(_LIST)],
            Discriminator(_text_or_list),
        ],
    ] = Field(default_factory=dict)
    """Further parameters of the request; of a list every value is asked for in a call of its own."""
    dates: Literal["never", "optional", "required"] = Field(default_factory=lambda: "never")
    """Whether it takes dates; without it `never`."""
    days: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 366})] = Field(default_factory=int)
    """How many calendar days one call may cover; without it a calendar month."""
    date_names: Annotated[list[str], Field(json_schema_extra={"minItems": 2, "maxItems": 2})] = Field(
        default_factory=list
    )
    """The vendor's names for the first and the last second; without it `date_ini` and `date_end`."""
    most_rows: Annotated[int, Field(json_schema_extra={"minimum": 1})] = Field(default_factory=int)
    """How many rows the vendor sends at most, so that an answer with as many may be cut off; without it 60000."""
    counts: str = Field(default_factory=str)
    """What it counts, for the listing."""
    kind: Literal["level", "usage", "other"] = Field(default_factory=lambda: "other")
    """`level`: active now; `usage`: consumed in the month so far."""


class FileShape(_Shape):
    """The tenants of a wolkvox reseller, for wolkvox-async."""

    model_config = ConfigDict(title="wolkvox-async tenants file")

    schema_reference: str = Field(default_factory=str, alias="$schema")
    """Where an editor finds this schema."""
    defaults: DefaultsShape = Field(default_factory=DefaultsShape)
    """What operations have that do not say otherwise."""
    tenants: Annotated[SkipValidation[list[TenantShape]], Field(json_schema_extra={"minItems": 1})]
    """The tenants."""
    endpoints: Annotated[SkipValidation[list[EndpointShape]], Field()] = Field(default_factory=list)
    """Endpoints that are called beside those built in."""


class _WithoutTitles(GenerateJsonSchema):
    """Titles that only repeat a key in capitals help nobody."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - what it would be a title of
        return False


def file_schema(plugins: Iterable[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema of the tenants file, without its dialect; `plugins` find tokens as well."""
    schema = _tidied(FileShape.model_json_schema(schema_generator=_WithoutTitles))
    token = schema["$defs"]["Token"]
    for name in plugins:
        token["properties"][name] = {"type": "object", "description": f"What the plug-in {name} is told."}
    token["additionalProperties"] = False
    return schema


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """Name definitions after what they describe: `Operation` instead of `OperationShape`."""
    definitions = schema.pop("$defs")
    renamed = {name.removesuffix("Shape"): _renamed(inner) for name, inner in definitions.items()}
    for name, definition in renamed.items():
        definition["title"] = name
    return {**_renamed(schema), "$defs": renamed}


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner) for inner in value]
    if isinstance(value, str) and value.startswith("#/$defs/"):
        return value.removesuffix("Shape")
    return value
