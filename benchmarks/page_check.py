"""The page of `watch` in a real Chromium: what it says, asks for and costs, and how it looks.

Starts the fixture (`page_fixture`) and Chromium, drives it over its DevTools protocol, and
reports console messages, requests to anywhere else, what the keyboard does, the time to
the first drawing and of later ones. Takes screenshots into a folder. Exits 1 when something is wrong.

    python -m benchmarks.page_check [--into DIR] [--only NAME ...] [--chromium PATH]
    python -m benchmarks.page_check --docs --into docs/screenshots    those that the documentation shows

Not part of the tests: Chromium is not there everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

DESKTOP: Final = (1240, 860, 1.0)
PHONE: Final = (390, 800, 1.5)
DOCS: Final = ("desktop-light", "detail-dark", "many-light", "phone-light")
KEYS: Final = {"Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9, "/": 191}


@dataclass(slots=True)
class Seen:
    """What the browser noticed."""

    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def strangers(self, host: str) -> list[str]:
        """Return the requests that went to anywhere but `host`."""
        return [url for url in self.requests if urlsplit(url).netloc != host and not url.startswith("data:")]


class Browser:
    """One tab of Chromium, by its DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket: Final = socket
        self._numbers: Final = itertools.count(1)
        self._answers: Final[dict[int, asyncio.Future[Any]]] = {}
        self.seen = Seen()

    async def listen(self) -> None:
        """Take what comes, until the tab is closed."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            self.seen.console.append(f"{told['type']}: {[one.get('value') for one in told['args']]}")
        elif method == "Runtime.exceptionThrown":
            self.seen.console.append(f"exception: {told['exceptionDetails'].get('exception', told)}")
        elif method == "Log.entryAdded":
            self.seen.console.append(f"{told['entry']['level']}: {told['entry']['text']} {told['entry'].get('url')}")
        elif method == "Network.requestWillBeSent":
            self.seen.requests.append(told["request"]["url"])

    async def ask(self, method: str, **told: Any) -> Any:
        """Have the browser do something, and return what it answers."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": told})
        answer = await asyncio.wait_for(self._answers[number], 60)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def value(self, expression: str) -> Any:
        """Return what an expression is worth in the page."""
        answer = await self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, expression: str, *, seconds: float = 30.0) -> None:
        """Wait until an expression is true in the page."""
        async with asyncio.timeout(seconds):
            while not await self.value(f"Boolean({expression})"):  # noqa: ASYNC110 - a page can only be polled
                await asyncio.sleep(0.05)

    async def press(self, key: str) -> None:
        """Press a key."""
        code = KEYS.get(key, ord(key[0].upper()))
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)
        await asyncio.sleep(0.05)

    async def look(self, size: tuple[int, int, float], *, dark: bool) -> None:
        """Be a device of a size, in the light or in the dark."""
        width, height, scale = size
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 700,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def photograph(self, file: Path) -> None:
        """Take a screenshot of what is in sight."""
        await asyncio.sleep(0.4)
        answer = await self.ask("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(answer["data"]))


@asynccontextmanager
async def chromium(program: str) -> AsyncIterator[Browser]:
    """Start a Chromium with one tab, for the length of the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"),
            *(f"--user-data-dir={folder}", "--no-first-run", "--disable-background-networking", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with _tab(Path(folder) / "DevToolsActivePort") as browser:
                yield browser
        finally:
            process.terminate()
            await process.wait()


def _port(file: Path) -> str:
    """Wait for Chromium to say where it listens."""
    end = time.monotonic() + 30
    while not (file.exists() and file.read_text().count("\n")):
        if time.monotonic() > end:
            raise TimeoutError("Chromium does not listen")
        time.sleep(0.1)
    return file.read_text().split()[0]


@asynccontextmanager
async def _tab(file: Path) -> AsyncIterator[Browser]:
    port = await asyncio.to_thread(_port, file)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            tabs = [tab for tab in await answer.json() if tab["type"] == "page"]
        async with session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            browser = Browser(socket)
            listening = asyncio.create_task(browser.listen())
            for domain in ("Page", "Runtime", "Network", "Log"):
                await browser.ask(f"{domain}.enable")
            yield browser
            listening.cancel()


@asynccontextmanager
async def fixture(*options: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Start a fixture on a port of its own; yields its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.page_fixture", "--listen", "127.0.0.1:0", "--unweighed", *options),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise AssertionError("its output is a pipe")
        yield (await process.stdout.readline()).decode().strip(), process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@dataclass(slots=True)
class Check:
    """A look at the page: what was wrong, and where pictures go."""

    browser: Browser
    into: Path
    pictures: tuple[str, ...] = ()  # all of them, if none is named
    wrong: list[str] = field(default_factory=list)

    def expect(self, what: str, holds: bool) -> None:
        """Note whether something holds."""
        print(f"    {'yes' if holds else 'NO '}  {what}")
        if not holds:
            self.wrong.append(what)

    async def open(self, url: str) -> None:
        """Open the page and wait for its first drawing."""
        self.browser.seen = Seen()
        await self.browser.ask("Page.navigate", url="about:blank")
        await self.browser.ask("Page.navigate", url=url)
        await self.browser.until("performance.getEntriesByName('first draw').length")
        await asyncio.sleep(0.8)

    async def photograph(self, name: str) -> None:
        """Take a screenshot, if it is asked for."""
        if not self.pictures or name in self.pictures:
            await self.browser.photograph(self.into / f"{name}.png")

    def quiet(self, url: str) -> None:
        """Expect nothing in the console, and no request to anywhere else."""
        seen = self.browser.seen
        self.expect(f"nothing in the console {seen.console[:3] or ''}", not seen.console)
        strangers = seen.strangers(urlsplit(url).netloc)
        self.expect(f"{len(seen.requests)} requests, none to anywhere else {strangers[:3] or ''}", not strangers)

    async def times(self) -> None:
        """Print what drawing costs."""
        browser = self.browser
        paint = await browser.value("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
        first = await browser.value(
            "(e => [e.startTime + e.duration, e.duration])(performance.getEntriesByName('first draw')[0])"
        )
        print(f"    first paint {paint:.0f} ms, board drawn at {first[0]:.0f} ms, in {first[1]:.1f} ms")
        for name in ("redraw", "tick", "take lines"):
            spent = await browser.value(f"performance.getEntriesByName('{name}').map(e => e.duration)")
            if spent:
                print(
                    f"    {name}: {len(spent)} times, mean {sum(spent) / len(spent):.1f} ms, worst {max(spent):.1f} ms"
                )


async def desktop(check: Check) -> None:
    """Look at some hundred operations, light and dark, by keyboard."""
    async with fixture("--operations", "240") as (url, _):
        await check.browser.look(DESKTOP, dark=False)
        await check.open(url)
        await check.photograph("desktop-light")
        await _keyboard(check)
        await check.browser.look(DESKTOP, dark=True)
        await check.photograph("desktop-dark")
        await _details(check)
        check.expect("the page and the server call every condition alike", await check.browser.value(AGREES) == [])
        await check.times()
        check.quiet(url)


async def _keyboard(check: Check) -> None:
    browser = check.browser
    await browser.press("/")
    check.expect("/ goes to the search", await browser.value("document.activeElement.id === 'search'"))
    for key in "quito":
        await browser.press(key)
    await browser.until("document.getElementById('shown').textContent.includes('of')")
    found = await browser.value(
        "[...document.querySelectorAll('.open strong')].every(e => /quito/.test(e.textContent))"
    )
    check.expect("what is typed is searched for", bool(found))
    await browser.press("Escape")
    await browser.value("document.getElementById('cells').focus()")
    await browser.press("ArrowRight")
    await browser.press("ArrowDown")
    label = await browser.value("document.getElementById('cell').getAttribute('aria-label')")
    check.expect(f"arrows move in the grid: {label!r}", await browser.value("view.active > 1"))
    await browser.press("Enter")
    await browser.until("document.querySelector('dialog[open] .figure')")
    check.expect("Enter opens the detail", True)
    await browser.press("Escape")
    check.expect("Escape closes it", await browser.value("!document.querySelector('dialog[open]')"))
    check.expect("the focus comes back", await browser.value("document.activeElement.id === 'cells'"))
    await browser.value("document.querySelector('.open').focus()")
    for _ in range(30):
        await browser.press("ArrowDown")
    check.expect(
        "arrows move in the list", await browser.value("view.row === 30 && document.activeElement.className === 'open'")
    )
    await browser.value("document.activeElement.blur(); scrollTo(0, 0)")


AGREES: Final = """(async () => {
  const told = await (await fetch('/status.json')).json(), now = nowSeconds(), other = [];
  for (const operation of told.operations) {
    const post = board.posts.find(one => one.key === operation.key);
    operation.watched.forEach((watched, index) => {
      if (conditionOf(post.lines[index], now) !== watched.condition) other.push(`${operation.tenant} ${watched.api}`);
    });
  }
  return other;
})()"""


async def _details(check: Check) -> None:
    await check.browser.value("openDetail((board.posts.find(p => p.missed) ?? board.posts[0]))")
    await check.browser.until("document.querySelector('dialog[open] .figure')")
    await check.photograph("detail-dark")
    await check.browser.press("Escape")


async def phone(check: Check) -> None:
    """Look at them on a phone."""
    async with fixture("--operations", "240") as (url, _):
        await check.browser.look(PHONE, dark=False)
        await check.open(url)
        await check.photograph("phone-light")
        wide = await check.browser.value("document.documentElement.scrollWidth")
        check.expect(f"nothing is wider than the phone ({wide})", wide <= PHONE[0])
        small = await check.browser.value(
            "[...document.querySelectorAll('button, select, input:not([type=checkbox])')]"
            ".filter(e => e.offsetHeight > 0 && e.offsetHeight < 44).map(e => e.id || e.className || e.textContent)"
        )
        check.expect(f"what is touched is at least 44 px high {small[:4] or ''}", not small)
        await check.browser.value("document.getElementById('tools').scrollIntoView()")
        await check.photograph("phone-list")
        await check.browser.look(PHONE, dark=True)
        await check.photograph("phone-dark")
        await check.browser.value("openDetail(board.posts[3])")
        await check.browser.until("document.querySelector('dialog[open] .figure')")
        await check.photograph("phone-detail")
        check.quiet(url)


async def many(check: Check) -> None:
    """Look at ten thousand operations."""
    async with fixture("--operations", "10000") as (url, _):
        await check.browser.look(DESKTOP, dark=False)
        await check.open(url)
        await check.photograph("many-light")
        await asyncio.sleep(6)
        searched = await check.browser.value(
            "(() => { const t = performance.now(); filters.words = ['quito']; choose(); draw();"
            " const d = performance.now() - t; clearFilters(); return d; })()"
        )
        heap = await check.browser.value("performance.memory.usedJSHeapSize / 1048576")
        elements = await check.browser.value("document.querySelectorAll('*').length")
        print(f"    a search {searched:.1f} ms, heap {heap:.0f} MiB, {elements} elements")
        check.expect("only what is in sight has elements", elements < 3000)
        await check.browser.value("scrollTo(0, 600000)")
        await check.photograph("many-scrolled")
        await check.times()
        check.quiet(url)


async def hostile(check: Check) -> None:
    """Look at names that would do harm."""
    async with fixture("--operations", "24", "--hostile") as (url, _):
        await check.browser.look(DESKTOP, dark=False)
        await check.open(url)
        await check.browser.value("$('order').value = 'file'; filters.order = 'file'; refilter(); scrollTo(0, 420)")
        await check.photograph("hostile-light")
        scripts = await check.browser.value("document.querySelectorAll('script, img[src=x]').length")
        check.expect("names became text", scripts == 1)
        high = await check.browser.value(
            "Math.max(...[...document.querySelectorAll('.open')].map(e => e.offsetHeight))"
        )
        check.expect(f"no name makes its row higher ({high})", high <= 48)
        wide = await check.browser.value("document.documentElement.scrollWidth")
        check.expect(f"nothing grew wider ({wide})", wide <= DESKTOP[0])
        await check.browser.value("openDetail(board.posts[2])")
        await check.photograph("hostile-detail")
        check.quiet(url)


async def empty(check: Check) -> None:
    """Look at a page on which nothing is watched."""
    async with fixture("--operations", "0") as (url, _):
        await check.browser.look(DESKTOP, dark=False)
        await check.open(url)
        await check.photograph("empty-light")
        check.quiet(url)


async def lost(check: Check) -> None:
    """Look at a service that goes away and comes back."""
    async with fixture("--operations", "60") as (url, process):
        await check.browser.look(DESKTOP, dark=True)
        await check.open(url)
        process.terminate()
        await process.wait()
        await check.browser.until("!document.getElementById('lost').hidden")
        await asyncio.sleep(1)
        await check.photograph("lost-dark")
    async with fixture("--operations", "60", "--listen", urlsplit(url).netloc):
        await check.browser.until("document.getElementById('link').dataset.state === 'live'")
        check.expect("it is live again by itself", True)


async def signing_in(check: Check) -> None:
    """Sign in with a bearer token, and out."""
    browser = check.browser
    async with fixture("--operations", "60", "--token", "made-up-bearer-token") as (url, _):
        await browser.look(DESKTOP, dark=False)
        browser.seen = Seen()
        await browser.ask("Page.navigate", url=url)
        await browser.until("document.getElementById('token')")
        await check.photograph("login-light")
        await browser.value("document.getElementById('token').value = 'wrong'; document.forms[0].submit()")
        await browser.until("document.querySelector('.wrong')")
        check.expect("a wrong token is refused", True)
        await browser.value(
            "document.getElementById('token').value = 'made-up-bearer-token'; document.forms[0].submit()"
        )
        await browser.until("document.getElementById('link')?.dataset.state === 'live'")
        check.expect("the right one opens the page", True)
        check.expect("the token is in no address", not any("made-up" in url for url in browser.seen.requests))
        await browser.value("signOut()")
        await browser.until("document.getElementById('token')")
        check.expect("signing out asks for it again", True)


LOOKS: Final[dict[str, Callable[[Check], Awaitable[None]]]] = {
    "desktop": desktop,
    "phone": phone,
    "many": many,
    "hostile": hostile,
    "empty": empty,
    "lost": lost,
    "login": signing_in,
}


async def _look(options: argparse.Namespace) -> int:
    options.into.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name in options.only or LOOKS:
        print(f"{name}: {LOOKS[name].__doc__}")
        async with chromium(options.chromium) as browser:
            check = Check(browser, options.into, DOCS if options.docs else ())
            await LOOKS[name](check)
            wrong += len(check.wrong)
    return 1 if wrong else 0


def main() -> int:
    """Look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=Path(tempfile.gettempdir()) / "wolkvox-page")
    parser.add_argument("--only", nargs="*", choices=LOOKS)
    parser.add_argument("--docs", action="store_true", help="only the pictures that the documentation shows")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome") or "chromium")
    return asyncio.run(_look(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
