"""A client of a language server: JSON-RPC over the standard streams of a process."""

import asyncio
import itertools
import json
import os


class ServerLost(Exception):
    """The server ended, or answered with an error."""


class LspClient:
    """A running language server. Once it has ended, its methods raise `ServerLost`."""

    def __init__(self, process: asyncio.subprocess.Process, settings: dict) -> None:
        self._process = process
        self._settings = settings
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future] = {}
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def spawn(cls, command: list[str], folder: str, settings: dict) -> "LspClient":
        """Starts a server. `settings` is its answer to each `workspace/configuration`."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "DENO_NO_UPDATE_CHECK": "1"},
                # An interrupt of the kernel goes to its group of processes.
                start_new_session=True,
                # Cells come first where both want the processor.
                preexec_fn=lambda: os.nice(5),
            )
        except OSError as error:
            raise ServerLost(str(error)) from error
        return cls(process, settings)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._reader.done()

    @property
    def pid(self) -> int:
        return self._process.pid

    async def request(self, method: str, params: dict):
        """Returns the result. If the task is cancelled, the server may drop the request too."""
        number = next(self._ids)
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._send({"id": number, "method": method, "params": params})
            return await answer
        except asyncio.CancelledError:
            if self.alive:
                self.notify("$/cancelRequest", {"id": number})
            raise
        finally:
            del self._answers[number]

    def notify(self, method: str, params: dict) -> None:
        self._send({"method": method, "params": params})

    async def stop(self) -> None:
        """Ends the server without waiting for what it is doing."""
        self._reader.cancel()
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
            await self._process.wait()
        self._lose()

    def _send(self, message: dict) -> None:
        if not self.alive:
            raise ServerLost("The language server has ended.")
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def _read(self) -> None:
        stream = self._process.stdout
        try:
            while True:
                length = 0
                while line := (await stream.readline()).strip():
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                if length == 0:  # The end of the stream.
                    return
                self._receive(json.loads(await stream.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            self._lose()

    def _receive(self, message: dict) -> None:
        if "method" in message:
            if "id" in message:
                result = None
                if message["method"] == "workspace/configuration":
                    result = [self._settings] * len(message["params"]["items"])
                self._send({"id": message["id"], "result": result})
            return
        answer = self._answers.get(message.get("id"))
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(ServerLost(str(message["error"])))
        else:
            answer.set_result(message.get("result"))

    def _lose(self) -> None:
        for answer in list(self._answers.values()):
            if not answer.done():
                answer.set_exception(ServerLost("The language server has ended."))
