"""A proxy in front of Deno's Jupyter kernel.

It passes all messages through as they are, and adds what Deno's kernel lacks: Stop ends the queue
and endless loops, errors show the learner's lines, and the language server checks the cells.
"""

import asyncio
import json
import os
import pathlib
import re
import signal
import sys
import time
import uuid
from collections import Counter, deque

import zmq
import zmq.asyncio
from errors import (
    REFUSED,
    RESTARTED,
    STOPPED,
    Cell,
    Stack,
    SyntaxProblem,
    excerpt,
    runtime_error,
    stack_of,
    syntax_error,
    transpile,
)
from execution import Execution
from inner_kernel import InnerKernel
from language_help import LanguageHelp
from messages import Message, Signer, read_message

# JavaScript that waits receives Stop within milliseconds, and on a busy machine within a second.
# What has not received it by then is an endless loop, or a step of something that listens. The
# library says beforehand whether anything listens.
BLOCKED_SECONDS = 2

# After Stop a cell may finish its step. A training ends within one step, and a step of the course
# takes a second at most, so 10 s are ample for all that listens to Stop. A cell that only computes
# in native code has as much time before the kernel is restarted.
STOP_SECONDS = 10

# A step of a large network takes longer. Its outputs show how long: three pauses are more than the
# rest of one step.
STOP_PAUSES = 3

# When JavaScript has received Stop, no endless loop is in its way. A training that draws its figure
# at the end takes 1 s, and 20 s on a machine that has much else to do. A cell that waits ends only
# with the kernel and all variables, so it has time to end by itself.
RECEIVED_SECONDS = 30

# How often an error that no code catches is shown; a timer may throw it without end.
MAX_UNCAUGHT = 3

# Deno ends JavaScript that runs within milliseconds. A cell that waits, or is in native code, does
# not notice.
TERMINATE_SECONDS = 2

# The inner kernel ends at its start if another process takes one of its ports just then.
MAX_STARTS = 3

# How long the proxy waits for answers to its own silent requests, which take milliseconds.
QUERY_SECONDS = 5

# Requests whose clients are remembered; more are never open at once.
MAX_SENDERS = 10_000

AFTER_DOT = re.compile(r"\.\s*[\w$]*$")

NOTHING_LISTENS = (
    "Stop found no loop that listens, so the cell runs on. If it still runs in %d s, the kernel is "
    "restarted and all variables are lost. fit, evaluate, download and imageFolder listen."
)

IN_A_STEP = "Stop: the cell is in the middle of a step. If it still runs in %d s, it is ended there."

# Sent to the inner kernel at its start.
PREPARE = pathlib.Path(__file__).with_name("prepare_kernel.js").read_text(encoding="utf-8")

# Its value comes back as the message of an error: a silent request has no other result.
READ_STACK = """throw JSON.stringify(
  globalThis[Symbol.for("resnet-lab.stacks")].get(%s) ?? null
);"""


class Proxy:
    """Clients on one side, the inner kernel on the other."""

    def __init__(self, deno: str, connection: dict, inner: InnerKernel) -> None:
        self.deno = deno
        self.connection = connection
        self.signer = Signer(connection["key"], connection.get("signature_scheme", "hmac-sha256"))
        self.context = zmq.asyncio.Context()
        self.clients = {
            channel: self._bind(channel, kind)
            for channel, kind in (
                ("shell", zmq.ROUTER),
                ("control", zmq.ROUTER),
                ("stdin", zmq.ROUTER),
                ("iopub", zmq.PUB),
                ("hb", zmq.ROUTER),
            )
        }
        self.inner = inner
        self.inner_sockets: dict[str, zmq.asyncio.Socket] = {}
        self.inner_tasks: list[asyncio.Task] = []
        # Whether this proxy has ended the inner kernel, and starts another.
        self.restarting = False
        self.ready = False
        self.starts = 1
        # Requests on the shell channel that the inner kernel has not received yet.
        self.queue: deque[Message | Execution] = deque()
        self.current: Execution | None = None
        # The cell that runs or ran last. Errors of callbacks are shown below it.
        self.latest: Execution | None = None
        # Whether something in JavaScript listens to Stop.
        self.listens = False
        self.executions: dict[str, Execution] = {}
        self.number = 0
        # The identities of the clients of requests, by the request's id. The inner kernel keeps
        # only the identity of this proxy.
        self.senders: dict[str, list[bytes]] = {}
        # Requests of this proxy itself: their replies do not go to a client.
        self.own: dict[str, asyncio.Future] = {}
        self.own_seen: set[str] = set()
        # Cells that have run, by the name of their script.
        self.scripts: dict[str, Cell] = {}
        # How often each error that no code catches has come, by its frames or its cell.
        self.uncaught: Counter[str] = Counter()
        self.uncaught_lock = asyncio.Lock()
        # Cells that count for the language server, in the order in which they ran last.
        self.history: dict[str, str] = {}
        self.help = LanguageHelp()
        self.background: set[asyncio.Task] = set()
        self.ended: asyncio.Future = asyncio.get_running_loop().create_future()

    def _bind(self, channel: str, kind: int) -> zmq.asyncio.Socket:
        socket = self.context.socket(kind)
        # Nothing is dropped: a cell may print faster than a client reads.
        socket.set_hwm(0)
        socket.linger = 1000
        if kind == zmq.ROUTER:
            # A client that connects again with its identity takes over from its old connection.
            socket.router_handover = 1
        transport, ip, port = (
            self.connection[name] for name in ("transport", "ip", f"{channel}_port")
        )
        socket.bind(f"tcp://{ip}:{port}" if transport == "tcp" else f"{transport}://{ip}-{port}")
        return socket

    # --- Life -----------------------------------------------------------------------------------

    async def run(self) -> int:
        """Serves until the inner kernel ends, and returns its exit code."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.stop)
        self.spawn(self.serve_clients("shell", self.on_shell))
        self.spawn(self.serve_clients("control", self.on_control))
        self.spawn(self.serve_clients("stdin", self.on_stdin))
        self.spawn(self.answer_heartbeats())
        self.connect_inner()
        self.spawn(self.help.start(self.deno))
        try:
            code = await self.ended
        except BaseException:
            self.inner.kill()
            raise
        # The last messages of the inner kernel are still under way.
        await asyncio.sleep(0.1)
        for task in self.background:
            task.cancel()
        await self.help.stop()
        for socket in self.inner_sockets.values():
            socket.close(linger=0)
        for socket in self.clients.values():
            socket.close()
        self.context.term()
        return code

    def spawn(self, work) -> asyncio.Task:
        """Runs a coroutine beside the others. If it fails, so does the proxy."""
        task = asyncio.create_task(work)
        self.background.add(task)

        def done(task: asyncio.Task) -> None:
            self.background.discard(task)
            if not task.cancelled() and task.exception() and not self.ended.done():
                self.ended.set_exception(task.exception())

        task.add_done_callback(done)
        return task

    def connect_inner(self) -> None:
        """Connects with the inner kernel."""
        # The same identity on all channels: the inner kernel asks for input on stdin from the
        # sender of the request on shell.
        identity = uuid.uuid4().bytes
        for channel, kind in (
            ("shell", zmq.DEALER),
            ("control", zmq.DEALER),
            ("stdin", zmq.DEALER),
            ("iopub", zmq.SUB),
        ):
            socket = self.context.socket(kind)
            socket.set_hwm(0)
            socket.linger = 0
            if kind == zmq.DEALER:
                socket.routing_id = identity
            else:
                socket.subscribe(b"")
            socket.connect(self.inner.url(channel))
            self.inner_sockets[channel] = socket
        self.inner_tasks = [
            self.spawn(self.watch_inner(self.inner)),
            self.spawn(self.serve_inner("shell", self.on_inner_reply)),
            self.spawn(self.serve_inner("iopub", self.on_inner_output)),
            self.spawn(self.serve_inner("control", self.on_inner_control)),
            self.spawn(self.serve_inner("stdin", self.on_inner_stdin)),
            self.spawn(self.prepare_inner()),
        ]

    def disconnect_inner(self) -> None:
        """Ends all connections with an inner kernel that has ended or will be killed."""
        self.ready = False
        _, *others = self.inner_tasks
        for task in others:
            task.cancel()
        for socket in self.inner_sockets.values():
            socket.close()
        self.inner_sockets.clear()
        self.own.clear()

    async def prepare_inner(self) -> None:
        """Waits until the inner kernel answers, and prepares it. Then requests may pass."""
        # The subscription takes effect a moment after the first replies. Without it the first
        # outputs would be lost.
        while True:
            message = self.request(PREPARE)
            await self.own[message]
            for _ in range(20):
                if message in self.own_seen:
                    break
                await asyncio.sleep(0.005)
            else:
                continue
            break
        self.inner.forget_connection_file()
        self.ready = True
        self.advance()

    async def watch_inner(self, inner: InnerKernel) -> None:
        code = await asyncio.get_running_loop().run_in_executor(None, inner.wait)
        if self.restarting or self.ended.done():
            return
        if not self.ready and self.starts < MAX_STARTS:
            self.starts += 1
            self.disconnect_inner()
            self.inner = InnerKernel(self.deno, self.connection)
            self.connect_inner()
        else:
            self.ended.set_result(code)

    # --- Messages of clients --------------------------------------------------------------------

    async def serve_clients(self, channel: str, handle) -> None:
        while True:
            multipart = await self.clients[channel].recv_multipart()
            try:
                message = read_message(multipart)
                if not self.signer.is_genuine(message):
                    raise ValueError("the signature is wrong")
                self.senders[message.header["msg_id"]] = message.identities
                if len(self.senders) > MAX_SENDERS:
                    self.senders.pop(next(iter(self.senders)))
                handle(message)
            except (ValueError, KeyError, TypeError) as error:
                # As the inner kernel does.
                print(f"Ignored a message on {channel}: {error!r}", file=sys.stderr)

    async def answer_heartbeats(self) -> None:
        while True:
            multipart = await self.clients["hb"].recv_multipart()
            # Deno's word.
            self.clients["hb"].send_multipart([*multipart[:-1], b"pong"])

    def on_shell(self, message: Message) -> None:
        kind = message.header["msg_type"]
        if kind == "execute_request":
            self.number += 1
            self.queue.append(Execution(message, self.number))
        elif kind in ("complete_request", "inspect_request") and self.help.is_on:
            self.spawn(self.answer(message, kind))
            return
        else:
            self.queue.append(message)
        self.advance()

    def on_control(self, message: Message) -> None:
        if message.header["msg_type"] == "interrupt_request":
            self.stop()
            self.send("control", "interrupt_reply", {"status": "ok"}, message)
        else:
            self.to_inner("control", message)

    def on_stdin(self, message: Message) -> None:
        # An answer that comes after Stop would answer the question of a later cell.
        if self.current is not None and self.current.asks:
            self.current.asks = False
            self.to_inner("stdin", message)

    def advance(self) -> None:
        """Passes requests on until a cell runs. Cells pass one at a time, so that Stop can end the
        queue; all requests keep their order."""
        while self.ready and self.queue and self.current is None:
            item = self.queue.popleft()
            if isinstance(item, Message):
                self.to_inner("shell", item)
            elif item.aborted:
                self.abort(item)
            else:
                self.execute(item)

    def execute(self, execution: Execution) -> None:
        self.current = execution
        self.executions[execution.id] = execution
        if len(self.executions) > 100:
            self.executions.pop(next(iter(self.executions)))
        execution.last_output = time.monotonic()
        message = execution.message
        if execution.code.strip():
            self.scripts[execution.script] = Cell(execution.code, 0)
            content = {**message.content, "code": execution.code_to_run}
            message = self.signer.with_content(message, content)
        self.to_inner("shell", message)
        if not execution.silent:
            self.latest = execution
            self.spawn(self.check(execution))

    def abort(self, execution: Execution) -> None:
        """Answers a request that was in the queue at Stop, as ipykernel does."""
        self.publish("status", {"execution_state": "busy"}, execution.header)
        self.send("shell", "execute_reply", {"status": "aborted"}, execution.message)
        self.publish("status", {"execution_state": "idle"}, execution.header)

    def to_inner(self, channel: str, message: Message) -> None:
        # There are no sockets during a restart. What comes then would not survive it either.
        if channel in self.inner_sockets:
            self.inner_sockets[channel].send_multipart(message._replace(identities=[]).multipart())

    def send(self, channel: str, kind: str, content: dict, request: Message) -> None:
        reply = self.signer.make(kind, content, request.header, request.identities)
        self.clients[channel].send_multipart(reply.multipart())

    def publish(self, kind: str, content: dict, parent: dict) -> None:
        self.clients["iopub"].send_multipart(self.signer.make(kind, content, parent).multipart())

    # --- Messages of the inner kernel -----------------------------------------------------------

    async def serve_inner(self, channel: str, handle) -> None:
        while True:
            message = read_message(await self.inner_sockets[channel].recv_multipart())
            try:
                await handle(message)
            except Exception as failure:
                # The unchanged message is better than none.
                print(f"Reading a message on {channel} failed: {failure!r}", file=sys.stderr)
                if channel == "iopub":
                    self.clients[channel].send_multipart(message.multipart())
                else:
                    self.reply(channel, message)

    def reply(self, channel: str, message: Message) -> None:
        """Sends a message of the inner kernel to the client whose request it answers."""
        sender = self.senders.get(message.parent_id)
        if sender is not None:
            self.clients[channel].send_multipart(message._replace(identities=sender).multipart())

    async def on_inner_control(self, message: Message) -> None:
        if not self.is_own(message):
            self.reply("control", message)

    async def on_inner_stdin(self, message: Message) -> None:
        if self.current is not None:
            self.current.asks = True
            if self.current.stopped:
                self.spawn(self.end_question(self.current))
                return
        self.reply("stdin", message)

    async def on_inner_reply(self, message: Message) -> None:
        if self.is_own(message):
            return
        execution = self.executions.get(message.parent_id)
        if execution is None or execution.replied.is_set():
            self.reply("shell", message)
        else:
            execution.answered.set()
            self.spawn(self.finish(execution, message))

    async def finish(self, execution: Execution, reply: Message) -> None:
        """Sends the reply to a cell, completed if it is an error."""
        try:
            reply = await self.completed(execution, reply)
        except Exception as failure:
            # The unchanged reply is better than none.
            print(f"Completing a reply failed: {failure!r}", file=sys.stderr)
        self.reply("shell", reply)
        execution.replied.set()
        self.leave(execution)

    async def completed(self, execution: Execution, reply: Message) -> Message:
        content = reply.content
        if content["status"] == "error":
            execution.failure = content["evalue"]
            if content["traceback"]:
                reply = await self.with_explanation(execution, reply)
            else:
                error = await self.explain_silence(execution)
                self.publish("error", error, execution.header)
                reply = self.signer.with_content(reply, {**content, **error})
        # V8 refuses a cell as a whole, for example one that declares a name twice.
        refused = content.get("ename") == "SyntaxError" and len(content["traceback"]) == 1
        if execution.parsed and not refused and not execution.silent:
            # A cell that runs again moves to the end.
            self.history.pop(execution.cell_id, None)
            self.history[execution.cell_id] = execution.code
        return reply

    def leave(self, execution: Execution) -> None:
        if self.current is execution and execution.replied.is_set() and execution.idle:
            self.current = None
            self.advance()

    async def on_inner_output(self, message: Message) -> None:
        kind = message.header["msg_type"]
        if kind.startswith("resnet_lab_"):
            self.on_told(kind.removeprefix("resnet_lab_"), message.content)
            return
        parent = message.parent_id
        if parent in self.own:
            self.own_seen.add(parent)
            return
        execution = self.executions.get(parent)
        if execution is not None:
            message = await self.on_cell_output(execution, message)
        self.clients["iopub"].send_multipart(message.multipart())
        if execution is not None:
            self.leave(execution)

    def on_told(self, kind: str, content: dict) -> None:
        """Handles what prepare_kernel.js tells."""
        if kind == "listens":
            self.listens = content["listens"]
        elif kind == "uncaught" and self.latest is not None:
            self.spawn(self.show_uncaught(self.latest, content))
        elif kind == "stop_received" and self.current is not None:
            self.current.received_stop = True
        elif kind == "stop_noticed" and self.current is not None:
            self.current.noticed_stop = True

    async def on_cell_output(self, execution: Execution, message: Message) -> Message:
        kind = message.header["msg_type"]
        if kind == "execute_input":
            content = message.content
            execution.execution_count = content["execution_count"]
            if execution.script in self.scripts:
                self.scripts[execution.script].execution_count = content["execution_count"]
            return self.signer.with_content(message, {**content, "code": execution.code})
        if kind == "error":
            return await self.with_explanation(execution, message)
        if kind == "status":
            if message.content["execution_state"] == "idle":
                # The reply may lead to an error message, which must come before.
                try:
                    await asyncio.wait_for(execution.answered.wait(), QUERY_SECONDS)
                    await execution.replied.wait()
                except asyncio.TimeoutError:
                    execution.replied.set()
                execution.idle = True
        else:
            execution.note_output()
        return message

    # --- Requests of the proxy itself -----------------------------------------------------------

    def is_own(self, reply: Message) -> bool:
        """Whether it answers a request of the proxy itself, which then has its result."""
        result = self.own.get(reply.parent_id)
        if result is not None and not result.done():
            result.set_result(reply.content)
        return result is not None

    def request(self, code: str) -> str:
        """Sends a silent request to the inner kernel, and returns its id, a key of `own`."""
        content = {
            **{"code": code, "silent": True, "store_history": False, "user_expressions": {}},
            **{"allow_stdin": False, "stop_on_error": False},
        }
        message = self.signer.make("execute_request", content, {})
        name = message.header["msg_id"]
        self.own[name] = asyncio.get_running_loop().create_future()
        self.to_inner("shell", message)
        return name

    async def recorded_stack(self, traceback: list[str]) -> Stack:
        """Returns what prepare_kernel.js knows of a stack."""
        name = self.request(READ_STACK % json.dumps("\n".join(traceback)))
        reply = await asyncio.wait_for(self.own[name], QUERY_SECONDS)
        return stack_of(json.loads(reply["evalue"]), traceback)

    # --- Errors ---------------------------------------------------------------------------------

    async def with_explanation(self, execution: Execution, message: Message) -> Message:
        """Returns the message with the learner's lines, and the whole stack in its metadata."""
        content = message.content
        stack = "\n".join(content["traceback"])
        if stack not in execution.explanations:
            execution.explanations[stack] = asyncio.create_task(self.explain(execution, content))
        error, whole = await execution.explanations[stack]
        return self.signer.with_content(message, {**content, **error}, {"stack": whole})

    async def explain(self, execution: Execution, content: dict) -> tuple[dict, list[str]]:
        error = {name: content[name] for name in ("ename", "evalue", "traceback")}
        try:
            stack = await self.recorded_stack(content["traceback"])
            explained = await runtime_error(
                self.deno, error, stack, execution.script, self.scripts
            )
            return explained, stack.lines
        except Exception as failure:
            # An error as the kernel shows it is better than none.
            print(f"Explaining an error failed: {failure!r}", file=sys.stderr)
            return error, content["traceback"]

    async def show_uncaught(self, execution: Execution, content: dict) -> None:
        """Shows an error that no code catches: one of a callback or of a promise."""
        lines = content["stack"].split("\n")
        stack = stack_of(content["recorded"], lines)
        key = repr(stack.frames or execution.script)
        self.uncaught[key] += 1
        count = self.uncaught[key]
        if count > MAX_UNCAUGHT:
            return
        # One after the other, so that they are shown in their order.
        async with self.uncaught_lock:
            error = {"ename": content["name"], "evalue": content["message"], "traceback": lines}
            try:
                error = await runtime_error(
                    self.deno, error, stack, execution.script, self.scripts
                )
            except Exception as failure:
                # An error as JavaScript shows it is better than none.
                print(f"Explaining an error failed: {failure!r}", file=sys.stderr)
            lines = [*error["traceback"], f"… {content['origin']}"]
            if count == MAX_UNCAUGHT:
                lines.append("… more errors like this one are not shown")
            self.publish("error", {**error, "traceback": lines}, execution.header)

    async def explain_silence(self, execution: Execution) -> dict:
        """Returns the error of a cell that failed without a message of the inner kernel."""
        if execution.terminated:
            return STOPPED
        result = await transpile(self.deno, execution.code)
        if isinstance(result, SyntaxProblem):
            execution.parsed = False
            return syntax_error(result, execution.code)
        # V8 also gives up a promise that nothing can fulfil any more.
        return STOPPED if execution.stopped else REFUSED

    # --- Stop -----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ends the cell that runs and the queue: Jupyter's Stop."""
        self.inner.interrupt()
        for item in self.queue:
            if isinstance(item, Execution):
                item.aborted = True
        if self.current is not None and not self.current.stopped:
            self.current.stopped = True
            # What an earlier Stop has led to.
            self.current.received_stop = self.current.noticed_stop = False
            if self.current.asks:
                self.spawn(self.end_question(self.current))
            self.spawn(self.end_after_stop(self.current))

    async def end_question(self, execution: Execution) -> None:
        """Ends a cell that waits for an answer of the learner, as `prompt` does."""
        execution.asks = False
        # Deno ends JavaScript when it runs again, which needs an answer. Without the first, the
        # cell would go on with the answer.
        await self.terminate(execution)
        self.to_inner("stdin", self.signer.make("input_reply", {"value": ""}, execution.header))

    async def end_after_stop(self, execution: Execution) -> None:
        """Ends a cell that does not end by itself after Stop, and says so beforehand."""
        execution.note_output()
        stopped = time.monotonic()
        # A module whose first run is ended would stay broken.
        may_listen = self.listens or "import" in execution.code

        async def runs_after(seconds: float) -> bool:
            try:
                left = stopped + seconds - time.monotonic()
                await asyncio.wait_for(execution.answered.wait(), max(0, left))
                return False
            except asyncio.TimeoutError:
                return True

        if not await runs_after(BLOCKED_SECONDS):
            return
        limit = max(STOP_SECONDS, STOP_PAUSES * execution.longest_pause)
        if execution.received_stop:
            limit = RECEIVED_SECONDS
            if not execution.noticed_stop:
                self.say(execution, NOTHING_LISTENS, limit - BLOCKED_SECONDS)
        elif may_listen:
            self.say(execution, IN_A_STEP, limit - BLOCKED_SECONDS)
        else:
            await self.terminate(execution)
        if not await runs_after(limit):
            return
        # It has received Stop after its step.
        if execution.received_stop and not await runs_after(max(limit, RECEIVED_SECONDS)):
            return
        await self.terminate(execution)
        if await runs_after(time.monotonic() - stopped + TERMINATE_SECONDS):
            await self.restart_inner(execution)

    def say(self, execution: Execution, text: str, seconds: float) -> None:
        """Prints a line below a cell."""
        line = {"name": "stderr", "text": f"{text % seconds}\n"}
        self.publish("stream", line, execution.header)

    async def terminate(self, execution: Execution) -> None:
        """Lets Deno end JavaScript that runs, and waits until it has heard; the variables stay."""
        execution.terminated = True
        message = self.signer.make("interrupt_request", {}, {})
        name = message.header["msg_id"]
        self.own[name] = asyncio.get_running_loop().create_future()
        self.to_inner("control", message)
        try:
            await asyncio.wait_for(self.own[name], TERMINATE_SECONDS)
        except asyncio.TimeoutError:
            pass

    async def restart_inner(self, execution: Execution) -> None:
        """Replaces the inner kernel, whose cell does not end, by a fresh one."""
        self.restarting = True
        self.inner.kill()
        await self.inner_tasks[0]
        self.disconnect_inner()
        self.scripts.clear()
        self.history.clear()
        self.listens = False
        reply = {"status": "error", "execution_count": execution.execution_count, **RESTARTED}
        self.publish("error", RESTARTED, execution.header)
        self.send("shell", "execute_reply", reply, execution.message)
        self.publish("status", {"execution_state": "idle"}, execution.header)
        execution.replied.set()
        self.current = None
        self.inner = InnerKernel(self.deno, self.connection)
        self.restarting = False
        self.starts = 1
        self.connect_inner()

    # --- The language server --------------------------------------------------------------------

    async def answer(self, request: Message, kind: str) -> None:
        """Answers Tab and Shift+Tab, also while a cell runs."""
        answer = await self.help.answer(kind, list(self.history.items()), request.content)
        if answer is None:
            code, cursor = request.content["code"], request.content["cursor_pos"]
            # The inner kernel knows the members of values while the program runs. All that it says
            # about other places is the list of global names.
            if kind == "inspect_request" or AFTER_DOT.search(code[:cursor]):
                self.queue.append(request)
                self.advance()
                return
            answer = {"status": "ok", "matches": [], "metadata": {}}
            answer |= {"cursor_start": cursor, "cursor_end": cursor}
        header = request.header
        self.publish("status", {"execution_state": "busy"}, header)
        self.send("shell", kind.replace("request", "reply"), answer, request)
        self.publish("status", {"execution_state": "idle"}, header)
        if self.current is not None:
            # JupyterLab shows the last status, also if another request has caused it.
            self.publish("status", {"execution_state": "busy"}, self.current.header)

    async def check(self, execution: Execution) -> None:
        """Shows what the compiler says about a cell."""
        cells = [(name, code) for name, code in self.history.items() if name != execution.cell_id]
        errors = await self.help.check([*cells, (execution.cell_id, execution.code)])
        if not execution.parsed:
            return
        errors = [each for each in errors if not repeats(each, execution)]
        text = ""
        for index, each in enumerate(errors):
            text += f"warning: line {each.line}: {each.message}\n"
            if index + 1 == len(errors) or errors[index + 1].line != each.line:
                text += f"    {excerpt(execution.code, each.line, each.column)}\n"
        if text == "":
            return
        self.publish("stream", {"name": "stderr", "text": text}, execution.header)


def repeats(diagnostic, execution: Execution) -> bool:
    """Whether an error of the compiler only repeats the one with which the cell has failed: it is
    about a name that the other tells, and gives no better advice."""
    code, failure = execution.code.split("\n"), execution.failure
    if failure is None or diagnostic.line > len(code) or diagnostic.line != diagnostic.end_line:
        return False
    name = code[diagnostic.line - 1][diagnostic.column - 1 : diagnostic.end_column - 1]
    if not re.fullmatch(r"[\w$]+", name):
        return False
    advises = "Did you" in diagnostic.message and "Did you" not in failure
    return bool(re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", failure)) and not advises


def serve(deno: str, connection: dict, inner: InnerKernel) -> None:
    """Runs the proxy until the inner kernel ends, and ends in the same way."""

    async def main() -> int:
        return await Proxy(deno, connection, inner).run()

    try:
        code = asyncio.run(main())
    finally:
        inner.forget_connection_file()
    sys.stdout.flush()
    sys.stderr.flush()
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
