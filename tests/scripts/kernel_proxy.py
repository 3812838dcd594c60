"""Runs scenarios against the project's kernel and the bare Deno kernel for kernel_proxy_test.ts.

    python kernel_proxy.py SCENARIO [ARGUMENT …]     prints what came back as JSON
    python kernel_proxy.py latency                   times 50 cells on both kernels
    python kernel_proxy.py compare NOTEBOOK …        runs notebooks on both kernels, at smoke scale
"""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time

import zmq
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

SECONDS = 60
ROOT = str(pathlib.Path(__file__).resolve().parents[2])
BARE_ARGV = ["/bin/sh", "-c", 'trap "" INT; exec "$0" "$@"']
BARE_ARGV += [str(pathlib.Path(sys.executable).with_name("deno"))]
BARE_ARGV += ["jupyter", "--kernel", "--conn", "{connection_file}"]


class Kernel:
    """A kernel and one client."""

    # Whether the client answers questions.
    answers = True

    def __init__(self, bare=False, cwd=None, argv=None, **env):
        specs = KernelSpecManager()
        if bare or argv:
            self.folder = tempfile.TemporaryDirectory()
            spec = pathlib.Path(self.folder.name, "deno")
            spec.mkdir()
            text = {"argv": argv or BARE_ARGV, "display_name": "x", "language": "typescript"}
            (spec / "kernel.json").write_text(json.dumps(text))
            specs = KernelSpecManager(kernel_dirs=[self.folder.name])
        self.manager = KernelManager(kernel_name="deno", kernel_spec_manager=specs)
        self.manager.start_kernel(cwd=cwd or ROOT, env={**os.environ, **env}, stderr=sys.stderr)
        try:
            self.client = self.new_client()
        except BaseException:
            self.manager.shutdown_kernel(now=True)
            raise

    def new_client(self):
        # With an identity of its own, unlike those that the manager makes.
        file = self.manager.connection_file
        client = BlockingKernelClient(connection_file=file, parent=self.manager)
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=SECONDS)
        return client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    @property
    def pid(self):
        return self.manager.provisioner.process.pid

    def inner_pid(self):
        """The process of Deno below the proxy."""
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if int(parent) == self.pid and b"jupyter" in (folder / "cmdline").read_bytes():
                    return int(folder.name)
            except OSError:
                continue
        raise LookupError("there is no inner kernel")

    def send(self, code, cell_id=None, **options):
        message = self.client.session.msg("execute_request", {
            **{"code": code, "silent": False, "store_history": True, "user_expressions": {}},
            **{"allow_stdin": True, "stop_on_error": True},
            **options,
        })
        message["metadata"]["cellId"] = cell_id or code
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def stop(self):
        """Stop, once all requests have arrived: it is a signal, and overtakes messages."""
        time.sleep(0.2)
        self.manager.interrupt_kernel()

    def collect(self, ids, until=None, seconds=SECONDS, late=0.4):
        """Collects messages until each request has its reply and the kernel is idle.

        Calls `until(message)` for each message.
        """
        seen = {name: [] for name in ids}
        open_ends = {(name, end) for name in ids for end in ("reply", "idle")}
        end = time.monotonic() + seconds
        channels = {
            "iopub": self.client.iopub_channel,
            "shell": self.client.shell_channel,
            "stdin": self.client.stdin_channel,
        }
        poller = zmq.Poller()
        for channel in channels.values():
            poller.register(channel.socket, zmq.POLLIN)
        while time.monotonic() <= end:
            ready = {socket for socket, _ in poller.poll(20)}
            for name, channel in channels.items():
                if channel.socket not in ready:
                    continue
                message = channel.get_msg(timeout=SECONDS)
                parent = message["parent_header"].get("msg_id")
                if until:
                    until(message)
                if parent not in seen:
                    continue
                kind, content = message["msg_type"], message["content"]
                seen[parent].append({
                    **{"channel": name, "type": kind, **content},
                    **{"of message": message["metadata"], "at": time.time()},
                })
                if name == "shell":
                    open_ends.discard((parent, "reply"))
                if kind == "status" and content["execution_state"] == "idle":
                    open_ends.discard((parent, "idle"))
                if kind == "input_request" and self.answers:
                    self.client.input("from the learner")
                if not open_ends:
                    # Deno may send an output after the word that the cell is done.
                    end = time.monotonic() + late
        return seen

    def run(self, code, late=0.15, **options):
        name = self.send(code, **options)
        return self.collect([name], late=late)[name]

    def ask(self, kind, content):
        message = self.client.session.msg(kind, content)
        self.client.shell_channel.send(message)
        name = message["header"]["msg_id"]
        return self.collect([name])[name]


def comparable(messages, mask=False):
    """The messages of each channel in order, without times.

    Deno sends outputs from several threads: the word that a cell is done, and its result, come in
    either order. With `mask`, numbers do not count, and a display counts as it is at the end: how
    often a training updates it depends on the time.
    """
    texts = []
    for message in last_displays(messages) if mask else messages:
        parts = {name: value for name, value in message.items() if name not in ("at", "channel")}
        text = json.dumps(parts, sort_keys=True)
        if mask:
            # A table is as wide as its numbers.
            text = re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?", "#", text))
        texts.append((message["channel"], text))
    # Streams are cut anywhere.
    streams = "".join(
        f"{message['name']}: {message['text']}" for message in messages if message["type"] == "stream"
    )
    rest = sorted(text for text in texts if '"type": "stream"' not in text[1])
    streams = re.sub(r"std(out|err): ", "", streams)
    return [*rest, ("streams", re.sub(r"\d", "#", streams) if mask else streams)]


def last_displays(messages):
    """The messages with the last one only of each display, which has a random id. The picture is
    left out, because measured times may be in it."""
    rest, displays = [], {}
    for message in messages:
        name = message.get("transient", {}).get("display_id")
        if name is None:
            rest.append(message)
        else:
            data = {kind: value for kind, value in message["data"].items() if kind != "image/png"}
            number = list(displays).index(name) if name in displays else len(displays)
            displays[name] = {**message, "type": "display", "data": data, "transient": number}
    return [*rest, *displays.values()]


CELLS = [
    "1 + 1",
    "console.log('a'); console.error('b'); 'c'",
    "const kept: number = 7;\nkept",
    "kept * 6",
    "console.log('x'.repeat(1_000_000))",
    "for (let i = 0; i < 2000; i++) console.log(i)",
    "prompt('Your name?')",
    "confirm('Sure?')",
    "{ a: 1, b: [2] }",
    "{ a: 1 };",
    "// only a comment",
    "interface A { b: number }",
    "  ",
    "if (kept) kept + 1",
    "let other = 5; // no value",
    "new Promise(() => {})",
    "Promise.resolve(6);",
    "5; /* an open comment",
    "import { join } from 'node:path';",
    "join('a', 'b') // at the end",
    "await Deno.jupyter.display({ 'text/plain': 'x', 'text/html': '<b>x</b>' }, { raw: true })",
    "await Deno.jupyter.broadcast('display_data', { data: { 'text/plain': '1' }, metadata: {}, "
    "transient: { display_id: 'q' } }, { buffers: [new Uint8Array([1, 2, 3])] })",
    "await Deno.jupyter.broadcast('update_display_data', { data: { 'text/plain': '2' }, metadata: {}, "
    "transient: { display_id: 'q' } })",
    # The text of stacks stays as it is, also of long ones and of those in files.
    "function deep(n: number): string { return n > 0 ? deep(n - 1) : new Error('m').stack! }\ndeep(30)",
    "try { new URL('x') } catch (error) { console.log(error.stack) }",
    "console.log(new RangeError('printed', { cause: new Error('inner') }))",
    "class Odd extends Error { override name = 'Odd' }\nconst odd = new Odd('before'); "
    "odd.message = 'after'; [odd.stack, new Error().stack]",
    "const plain = { toString: () => 'no' }; Error.captureStackTrace(plain); plain.stack",
    "await import('node:fs').then((fs) => { try { fs.readFileSync('/none') } catch (e) { return e.stack } })",
]


def passes(argument):
    """All that both kernels must do alike, apart from the language server."""
    os.environ["RESNET_LAB_CHECK"] = "off"

    def seen(bare):
        with Kernel(bare) as kernel:
            results = [comparable(kernel.run(code, late=0.5)) for code in CELLS]
            results.append(comparable(kernel.run("kept + 1", silent=True)))
            results.append(comparable(kernel.run("kept + 1", store_history=False)))
            for kind, content in (
                ("kernel_info_request", {}),
                ("comm_info_request", {}),
                ("comm_open", {"comm_id": "1", "target_name": "t", "data": {}}),
                ("is_complete_request", {"code": "f("}),
                ("history_request", {"hist_access_type": "tail", "n": 3, "output": False, "raw": True}),
                ("complete_request", {"code": "Deno.jup", "cursor_pos": 8}),
                ("inspect_request", {"code": "Deno", "cursor_pos": 2, "detail_level": 0}),
            ):
                results.append(comparable(kernel.ask(kind, content)))
            # The queue goes on after an error, as the bare kernel's does.
            ids = [kernel.send(code) for code in ("throw 1", "'next'", "'last'")]
            queued = kernel.collect(ids)
            results.append([comparable(queued[name]) for name in ids[1:]])
            kernel.client.control_channel.send(
                kernel.client.session.msg("shutdown_request", {"restart": False})
            )
            reply = kernel.client.control_channel.get_msg(timeout=SECONDS)["content"]
            results.append([reply, kernel.manager.provisioner.process.wait(SECONDS)])
            return results

    with concurrent.futures.ThreadPoolExecutor() as pool:
        bare, proxied = pool.map(seen, (True, False))
    return [
        {"cell": cell, "bare": one, "proxied": other}
        for cell, one, other in zip([*CELLS, *map(str, range(99))], bare, proxied)
        if one != other
    ]


def cells_of(path, count=None):
    notebook = json.loads(pathlib.Path(path).read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [cell for cell in cells if cell.strip()][:count]


def notebook(path, count=6, mask=True):
    """The first cells of a notebook on both kernels: those whose messages differ."""
    codes = cells_of(path, int(count))

    def seen(bare):
        with Kernel(bare, cwd=str(pathlib.Path(path).parent), RESNET_LAB_SCALE="smoke") as kernel:
            return [comparable(kernel.run(code, late=0.5), mask=mask) for code in codes]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        bare, proxied = pool.map(seen, (True, False))
    return [
        {"cell": code, "bare": one, "proxied": other}
        for code, one, other in zip(codes, bare, proxied)
        if one != other
    ]


def errors(argument):
    """Runs the cells of a JSON list in one kernel, and returns the messages of each."""
    with Kernel() as kernel:
        return [kernel.run(code) for code in json.loads(argument)]


def stop(argument):
    """Stop while a cell of a training runs and three are queued."""
    before, training, *queued = json.loads(argument)
    with Kernel() as kernel:
        kernel.run(before)
        ids = [kernel.send(code) for code in (training, *queued)]
        stopped = []

        def until(message):
            if message["msg_type"] == "stream" and not stopped:
                stopped.append(True)
                kernel.stop()

        seen = kernel.collect(ids, until)
        return {"cells": [seen[name] for name in ids], "after": kernel.run("'usable'")}


def endless(argument):
    """Stop of a cell that never ends, and the cells after it."""
    with Kernel() as kernel:
        kernel.run("let kept = 42;")
        ids = [kernel.send(argument), kernel.send("'queued'")]
        stopped = []

        def until(message):
            if message["msg_type"] == "stream" and not stopped:
                stopped.append(time.time())
                kernel.stop()

        seen = kernel.collect(ids, until)
        cells = [seen[name] for name in ids]
        return {
            "cells": cells,
            "seconds": cells[0][-1]["at"] - stopped[0],
            "after": kernel.run("typeof kept"),
            "import": kernel.run("const { join } = await import('node:path'); join('a', 'b')"),
        }


def stops(argument):
    """Runs cells in one kernel: a list of [code, seconds until Stop] as JSON. The seconds count
    from the first output with a text; with null there is no Stop."""
    results = []
    with Kernel() as kernel:
        for code, seconds in json.loads(argument):
            timers = []

            def until(message):
                if seconds is not None and message["msg_type"] == "stream" and not timers:
                    timers.append(threading.Timer(seconds, kernel.manager.interrupt_kernel))
                    timers[0].start()

            request = kernel.send(code)
            start = time.time()
            messages = kernel.collect([request], until, late=1)[request]
            for message in messages:
                message["at"] -= start
            results.append(messages)
    return results


def question(argument):
    """Stop of a cell that waits for an answer, the cells after it, and an answer that is late."""
    with Kernel() as kernel:
        kernel.run("let kept = 42;")
        ids = [kernel.send(argument), kernel.send("'queued'")]
        stopped = []

        def until(message):
            if message["msg_type"] == "input_request" and not stopped:
                stopped.append(time.time())
                kernel.stop()

        kernel.answers = False
        seen = kernel.collect(ids, until)
        cells = [seen[name] for name in ids]
        kernel.client.input("too late")
        kernel.answers = True
        return {
            "cells": cells,
            "seconds": cells[0][-1]["at"] - stopped[0],
            "after": kernel.run("typeof kept"),
            "next": kernel.run("prompt('Again?')"),
        }


def many(argument):
    """Several calls of a scenario at once: a list of [name, argument] as JSON."""
    calls = json.loads(argument)
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: SCENARIOS[call[0]](call[1]), calls))


def clients(argument):
    """Two clients at once: each gets its own replies, and both get all outputs."""
    with Kernel() as kernel:
        first, second = kernel.client, kernel.new_client()
        requests = {}
        for i in range(10):
            for name, client in (("first", first), ("second", second)):
                requests[client.execute(f"'{name} {i}'")] = name
        result = {}
        for name, client in (("first", first), ("second", second)):
            replies = []
            while len(replies) < 10:
                reply = client.get_shell_msg(timeout=SECONDS)
                # A client may have asked for kernel_info more than once.
                if reply["msg_type"] == "execute_reply":
                    replies.append(reply)
            result[name] = {requests.get(reply["parent_header"]["msg_id"]) for reply in replies}
            outputs = 0
            while outputs < 20:
                message = client.get_iopub_msg(timeout=SECONDS)
                outputs += message["msg_type"] == "execute_result"
        second.stop_channels()
        return {name: sorted(map(str, names)) for name, names in result.items()}


LANGUAGE_SERVER = """
import asyncio, collections
Diagnostic = collections.namedtuple("Diagnostic", "line column end_line end_column message is_error")
class LanguageServer:
    async def start(self, deno, folder):
        await asyncio.sleep(1)
    async def check(self, cells):
        await asyncio.sleep(0.2)
        name, text = cells[-1]
        if "dies" in text:
            raise OSError("it died")
        if "colums" in text:
            at = text.index("colums") + 1
            return [Diagnostic(1, at, 1, at + 6, "there is no option colums", True)]
        if "long" in text:
            return [Diagnostic(1, 301, 1, 305, message, True) for message in ("first", "second")]
        if "wrong" not in text:
            return []
        before = " ".join(name for name, _ in cells[:-1])
        return [Diagnostic(2, 7, 2, 12, f"{name} is wrong after [{before}]", True),
                Diagnostic(1, 1, 1, 2, "a hint", False)]
    async def complete(self, cells, code, cursor_pos):
        if code != "c":
            return None
        return {"status": "ok", "matches": ["columns"], "metadata": {},
                "cursor_start": 0, "cursor_end": cursor_pos}
    async def inspect(self, cells, code, cursor_pos):
        return None
    async def stop(self):
        pass
"""


def language(argument):
    """A language server that is not Deno's: what the proxy does with its answers."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "kernel")
        shutil.copytree(pathlib.Path(ROOT, "scripts", "kernel"), copy)
        (copy / "language_server.py").write_text(LANGUAGE_SERVER)
        argv = [sys.executable, "-I", str(copy), "{connection_file}"]
        with Kernel(argv=argv) as kernel:
            cells = [
                ("one", "const first = 1;"),
                ("two", "const second = 2;\nconst wrong = 3;\n'result';"),
                ("one", "const first = 5;"),
                ("none", "let = = ;"),
                ("silent", "4;"),
                ("three", "1;\n'wrong';"),
                ("four", "'the server dies'"),
                ("five", "throw new Error('wrong');"),
                ("six", "table({ colums: 3 });\nfunction table(o) { throw new Error('no colums') }"),
                ("seven", "const no = { colums: 3 };"),
                ("eight", "1;" + " " * 298 + '"long";' + " " * 98 + "2;"),
            ]
            results = []
            for name, code in cells:
                request = kernel.send(code, name, silent=name == "silent")
                results.append(kernel.collect([request], late=2 if name == "two" else 0.5)[request])
            long = kernel.send("await new Promise((done) => setTimeout(done, 1000)); 'long'")
            time.sleep(0.3)
            ask = kernel.client.session.msg("complete_request", {"code": "c", "cursor_pos": 1})
            kernel.client.shell_channel.send(ask)
            completion = ask["header"]["msg_id"]
            start = time.time()
            states = []

            def until(message):
                if message["msg_type"] == "status":
                    states.append(message["content"]["execution_state"])

            seen = kernel.collect([long, completion], until)
            inspection = kernel.ask("inspect_request", {"code": "c", "cursor_pos": 1})
            return {
                "cells": results,
                "completion": seen[completion],
                "seconds": seen[completion][0]["at"] - start,
                "states": states,
                "inspection": inspection,
                "unanswered": [
                    kernel.ask("complete_request", {"code": code, "cursor_pos": len(code)})
                    for code in ("f({ ", "Deno.jup")
                ],
            }


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def deaths(argument):
    """The end of one process ends the other in the same way."""
    result = {}
    for name, bare in (("bare", True), ("proxied", False)):
        with Kernel(bare) as kernel:
            kernel.client.execute("console.log('last words'); Deno.exit(3)")
            result[f"{name} exit"] = kernel.manager.provisioner.process.wait(SECONDS)
    with Kernel() as kernel:
        os.kill(kernel.inner_pid(), signal.SIGKILL)
        result["inner killed"] = kernel.manager.provisioner.process.wait(SECONDS)
    for number in (signal.SIGKILL, signal.SIGTERM):
        with Kernel() as kernel:
            inner = kernel.inner_pid()
            os.kill(kernel.pid, number)
            kernel.manager.provisioner.process.wait(SECONDS)
            end = time.monotonic() + 5
            while is_alive(inner) and time.monotonic() < end:
                time.sleep(0.02)
            result[f"inner lives after {number.name}"] = is_alive(inner)
    return result


# Its first choice of ports is taken by another process, as can happen between choice and use.
TAKEN_PORT = """
import runpy, socket, sys
sys.path.insert(0, {folder!r})
import inner_kernel
choose, other = inner_kernel.free_ports, socket.create_server(("127.0.0.1", 0))
choices = iter([[other.getsockname()[1]] * 5])
inner_kernel.free_ports = lambda count: next(choices, None) or choose(count)
runpy.run_path({folder!r}, run_name="__main__")
"""


def taken_port(argument):
    """The start of a kernel one of whose ports is taken."""
    folder = str(pathlib.Path(ROOT, "scripts", "kernel"))
    code = TAKEN_PORT.format(folder=folder)
    with Kernel(argv=[sys.executable, "-I", "-c", code, "{connection_file}"]) as kernel:
        return kernel.run("6 * 7")


def latency():
    """Milliseconds from sending a cell to its first output and to idle, medians of 50."""
    result = {}
    kernels = {"bare": Kernel(True), "proxied": Kernel()}
    times = {name: ([], []) for name in kernels}
    try:
        for i in range(50):
            for name, kernel in kernels.items():
                start = time.time()
                seen = kernel.run(f"console.log({i})")
                at = {message["type"]: message["at"] for message in seen}
                times[name][0].append(1000 * (at["stream"] - start))
                times[name][1].append(1000 * (max(at["status"], at["execute_reply"]) - start))
    finally:
        for kernel in kernels.values():
            kernel.__exit__()
    for name, (first, last) in times.items():
        result[name] = {
            "first output": round(statistics.median(first), 2),
            "done": round(statistics.median(last), 2),
        }
    for name, bare in (("bare", True), ("proxied", False)):
        starts = []
        for _ in range(3):
            start = time.time()
            with Kernel(bare) as kernel:
                kernel.run("1")
                starts.append(time.time() - start)
        result[name]["start in s"] = round(statistics.median(starts), 2)
    return result


def compare(*paths):
    """Prints where the kernels differ. Measured times do, where more than digits depend on them."""
    for path in paths:
        start = time.time()
        found = notebook(path, 10_000)
        print(f"\n{path}: {len(cells_of(path))} cells, {len(found)} differ, {time.time() - start:.0f} s")
        for each in found:
            print(f"  {each['cell'][:100]!r}")
            for bare, proxied in itertools.zip_longest(each["bare"], each["proxied"]):
                if bare != proxied:
                    one, other = str(bare), str(proxied)
                    place = len(os.path.commonprefix([one, other]))
                    near = slice(max(0, place - 40), place + 80)
                    print(f"    bare    {one[near]!r}\n    proxied {other[near]!r}", flush=True)


ALL = passes, notebook, errors, stop, endless, stops, question, many, clients, language, deaths, taken_port
SCENARIOS = {function.__name__: function for function in ALL}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    if name == "compare":
        compare(*arguments)
    elif name == "latency":
        print(json.dumps(latency()))
    else:
        print(json.dumps(SCENARIOS[name](*(arguments or [None]))))
