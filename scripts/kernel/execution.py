"""A cell on its way through the proxy."""

import asyncio
import hashlib
import json
import time

from messages import Message


class Execution:
    """An execute request, from its arrival to its last message."""

    def __init__(self, message: Message, number: int) -> None:
        self.message = message
        self.header = message.header
        self.id: str = self.header["msg_id"]
        content = message.content
        self.code: str = content["code"]
        self.silent: bool = content.get("silent", False)
        metadata = json.loads(message.frames[2])
        # Without a cell's id, two requests with the same text count as the same cell.
        self.cell_id: str = str(
            metadata.get("cellId") or hashlib.sha256(self.code.encode()).hexdigest()
        )
        # The name of its script in stack traces.
        self.script = f"resnet-lab-cell-{number}"
        self.execution_count = 0
        self.aborted = False
        # Set when the inner kernel has replied.
        self.answered = asyncio.Event()
        # It is done when the reply has been sent, and the word that the kernel is idle.
        self.replied = asyncio.Event()
        self.idle = False
        self.parsed = True
        # The message of the error with which it has failed.
        self.failure: str | None = None
        # Whether Stop was pressed while it ran, and whether its JavaScript was then ended.
        self.stopped = self.terminated = False
        # Whether it waits for an answer of the learner.
        self.asks = False
        # Whether its JavaScript has received Stop, and whether a loop in it has noticed.
        self.received_stop = self.noticed_stop = False
        self.explanations: dict[str, asyncio.Task] = {}
        self.last_output = time.monotonic()
        self.longest_pause = 0.0

    def note_output(self) -> None:
        now = time.monotonic()
        self.longest_pause = max(self.longest_pause, now - self.last_output)
        self.last_output = now
