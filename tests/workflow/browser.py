"""Chromium without a window or a network, told what to do through a pipe (Chrome DevTools Protocol)."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: The program's names on different systems.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Chromium reads commands from descriptor 3 and answers on 4. No name is resolved, and there is nothing behind the proxy.
LAUNCH = """exec "$@" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \\
    --disable-component-update --disable-sync --disable-dev-shm-usage --host-resolver-rules='MAP * ~NOTFOUND' \\
    --proxy-server=127.0.0.1:9 --remote-debugging-pipe 3<&"$COMMANDS" 4>&"$ANSWERS" """


def find_chromium() -> str | None:
    """The program, where there is one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """A page of the browser, what it asked for and what went wrong on it."""

    def __init__(self, commands: int, answers: int):
        self._commands, self._answers = commands, answers
        self._unread = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.mistakes: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self._call(f"{domain}.enable")

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            read = os.read(self._answers, 1 << 20)
            assert read, "the browser ended"
            self._unread += read
        message, self._unread = self._unread.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        if found.get("method") == "Network.requestWillBeSent":
            self.requests.append(found["params"]["request"]["url"])
        elif found.get("method") == "Runtime.exceptionThrown":
            self.mistakes.append(json.dumps(found["params"]["exceptionDetails"])[:500])
        return found

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, path: Path) -> None:
        """Open a file and wait until it and what belongs to it is loaded."""
        self._call("Page.navigate", url=path.as_uri())
        while self._message().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, code: str) -> Any:
        """The value of JavaScript on the page; of a promise, what it gives."""
        result = self._call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")


@contextmanager
def browser(program: str, folder: Path) -> Iterator[Page]:
    """A page of a browser that keeps its files in a folder and ends with the block."""
    commands_in, commands = os.pipe()
    answers, answers_out = os.pipe()
    words = ["bash", "-c", LAUNCH, "bash", program, f"--user-data-dir={folder}"]
    variables = os.environ | {"COMMANDS": str(commands_in), "ANSWERS": str(answers_out)}
    with subprocess.Popen(
        words, env=variables, pass_fds=(commands_in, answers_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(commands_in)
        os.close(answers_out)
        try:
            yield Page(commands, answers)
        finally:
            # It ends when nobody can tell it anything any more.
            os.close(commands)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
            os.close(answers)
