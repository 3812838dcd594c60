"""A cell on its way through the proxy."""

import asyncio
import hashlib
import json
import time

from messages import Message

# Runs after the last line of a cell, and leaves the cell's value as it is.
#
# Deno reads the value when the microtasks have run that wait at the end of the cell, such as the
# next lines of an async function that the cell has called and does not await. V8 holds the value
# only weakly until then: if one of them starts a garbage collection, Deno has no result. So the
# cell itself waits for one turn of the event loop; after that, no microtasks wait.
#
# A cell that ends within an expression or a statement stays a syntax error, because neither can be
# continued by an export and a declaration.
LAST_STATEMENT = 'export {};const {} = await globalThis[Symbol.for("resnet-lab.turn")]();'


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

    @property
    def code_to_run(self) -> str:
        """The code with what the inner kernel needs after it."""
        # Deno tries to read such a cell as an object, which no statement can follow.
        is_object = self.code.lstrip().startswith("{") and not self.code.rstrip().endswith(";")
        last = "" if is_object else f"\n{LAST_STATEMENT}"
        # prepare_kernel.js finds this name in stack traces, and so knows the cell of each frame.
        return f"{self.code}{last}\n//# sourceURL={self.script}\n"

    def note_output(self) -> None:
        now = time.monotonic()
        self.longest_pause = max(self.longest_pause, now - self.last_output)
        self.last_output = now
