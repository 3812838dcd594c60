"""Drives scripts/kernel/language_server.py for language_server_test.ts.

Reads one request per line as JSON, {"folder", "do", ...}, and answers each with one line of JSON.
Each folder has a server, started by its first request. Ends with its standard input.
"""

import asyncio
import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

root = Path(__file__).parents[2]
sys.path.insert(0, str(root / "scripts" / "kernel"))
import language_server  # noqa: E402

ALL_SECONDS = 240


async def answer(server, do, deno=None, cells=(), code="", cursor=None, limit=60, signal=None):
    # A test of an answer must not fail because the machine is busy. `limit` is for tests of limits.
    language_server.COMPLETE_SECONDS = language_server.INSPECT_SECONDS = limit
    language_server.CHECK_SECONDS = limit
    cells = [(str(cell_id), text) for cell_id, text in cells]
    cursor = len(code) if cursor is None else cursor
    if do == "start":
        return await server.start(deno, folder_of[server])
    if do == "check":
        return [dataclasses.asdict(one) for one in await server.check(cells)]
    if do == "complete":
        return await server.complete(cells, code, cursor)
    if do == "inspect":
        return await server.inspect(cells, code, cursor)
    if do == "signal":
        pid = server.pid
        os.kill(pid, signal)
        await asyncio.sleep(0.3)
        return pid
    if do == "stop":
        return await server.stop()


folder_of = {}


async def main():
    signal.alarm(ALL_SECONDS)
    servers = {}
    lines = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    try:
        while line := await lines.readline():
            request = json.loads(line)
            folder = request.pop("folder")
            if folder not in servers:
                servers[folder] = language_server.LanguageServer()
                folder_of[servers[folder]] = folder
            start = time.time()
            result = await answer(servers[folder], **request)
            print(json.dumps({"result": result, "seconds": time.time() - start}), flush=True)
    finally:
        for server in servers.values():
            await server.stop()


asyncio.run(main())
