"""The language server as the proxy uses it: beside the cells, and never in their way.

Without it, or when it fails, cells run as always; only help and checks are missing. How long an
answer may take is in language_server.py.
"""

import asyncio
import os
import sys


class LanguageHelp:
    """Answers None wherever the language server has no answer."""

    def __init__(self) -> None:
        self._server = None
        # Set when the server is there, or will never be.
        self._started = asyncio.Event()

    @property
    def is_on(self) -> bool:
        """Whether the server is there or still starts."""
        return self._server is not None or not self._started.is_set()

    async def start(self, deno: str) -> None:
        if os.environ.get("RESNET_LAB_CHECK") == "off":
            self._started.set()
            return
        try:
            from language_server import LanguageServer

            server = LanguageServer()
            await server.start(deno, os.getcwd())
            self._server = server
        except Exception as failure:
            print(f"Cells are not checked: {failure!r}", file=sys.stderr)
        finally:
            self._started.set()

    async def check(self, cells: list[tuple[str, str]]) -> list:
        """Returns the diagnostics of the last cell that are errors. Waits for the start."""
        await self._started.wait()
        if self._server is None:
            return []
        found = await self._answer(self._server.check(cells))
        return [each for each in found or [] if each.is_error]

    async def answer(self, kind: str, cells: list[tuple[str, str]], request: dict) -> dict | None:
        """Returns the content of the reply to a complete_request or an inspect_request."""
        if self._server is None:
            return None
        where = (cells, request["code"], request["cursor_pos"])
        if kind == "complete_request":
            return await self._answer(self._server.complete(*where))
        return await self._answer(self._server.inspect(*where))

    async def stop(self) -> None:
        if self._server is not None:
            await self._answer(self._server.stop())

    async def _answer(self, question):
        """Awaits an answer; returns None if it fails."""
        try:
            return await question
        except Exception as failure:
            print(f"The language server failed: {failure!r}", file=sys.stderr)
            return None
