"""What no other linter forbids, and what once cost rows or tokens.

- Writing is not wrapped in an `except Exception`: a full disk would look like a good day.
- An exception is not shown by `repr`, and not handed to a logger as it is: those of
  aiohttp hold the request's headers, and with them the token.
- No HTTP call is made with the redirects that aiohttp follows by default: they carry the
  token to other hosts. (`ClientSession` itself is banned in `pyproject.toml`.)

    python -m tests.manners [FILE ...]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent.parent / "src" / "wolkvox_async"
WRITERS: Final = ("adapters/jsonlines/", "adapters/state/committer.py", "engine/passes.py", "apps/passing.py")
_REQUESTS: Final = frozenset({"get", "request", "ws_connect", "post", "head"})
_LOGGING: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_BLIND: Final = frozenset({"Exception", "BaseException"})


def complaints(path: Path, text: str) -> Iterator[str]:
    """Yield what is wrong in one file, as FILE:LINE: message."""
    tree = ast.parse(text)
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    for node in ast.walk(tree):
        for message in _of_node(node, caught, is_writer=any(writer in path.as_posix() for writer in WRITERS)):
            yield f"{path}:{getattr(node, 'lineno', 0)}: {message}"


def _of_node(node: ast.AST, caught: set[str], *, is_writer: bool) -> Iterator[str]:
    match node:
        case ast.ExceptHandler() if is_writer and _is_blind(node):
            yield "a writer catches everything: what could not be written would look delivered"
        case ast.FormattedValue(value=ast.Name(id=name), conversion=114) if name in caught:
            yield f"the repr of the exception {name} may hold a token: show its type"
        case ast.Call(func=ast.Name(id="repr"), args=[ast.Name(id=name)]) if name in caught:
            yield f"the repr of the exception {name} may hold a token: show its type"
        case ast.Call(func=ast.Attribute(attr=attribute)) if attribute in _LOGGING:
            yield from _of_log_call(node, caught)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attribute)) if attribute in _REQUESTS:
            if "session" in owner and not _says(node, "allow_redirects", value=False):
                yield "redirects are followed by default, and carry the token along: allow_redirects=False"


def _is_blind(handler: ast.ExceptHandler) -> bool:
    # What re-raises has only looked.
    reraises = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
    return (handler.type is None or bool(names & _BLIND)) and not reraises


def _of_log_call(call: ast.Call, caught: set[str]) -> Iterator[str]:
    for value in (*call.args, *(keyword.value for keyword in call.keywords)):
        if isinstance(value, ast.Name) and value.id in caught:
            yield f"the exception {value.id} is logged as it is: it may hold a token"
    if _says(call, "exc_info", value=True):
        yield "a traceback is logged: its exceptions may hold a token"


def _says(call: ast.Call, name: str, *, value: bool) -> bool:
    return any(
        keyword.arg == name and isinstance(keyword.value, ast.Constant) and keyword.value.value is value
        for keyword in call.keywords
    )


def main(files: Iterable[str]) -> int:
    """Print what is wrong in `files`, or in the whole package; return the exit code."""
    paths = [Path(file) for file in files] or sorted(SOURCES.rglob("*.py"))
    found = [line for path in paths for line in complaints(path, path.read_text())]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
