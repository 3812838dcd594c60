"""Runs cells in the project's Jupyter kernel for kernel_test.ts.

Reads one request per line as JSON, {"code", "interruptOn"?, "interruptIdle"?, "interruptAfter"?}, and answers each with one line of JSON,
{"outputs", "interruptedAt", "alive"}. With "interruptOn" it interrupts when the first message of that type comes from the cell,
with "interruptIdle" when the cell is done, with "interruptAfter" that many seconds after its start. Ends with its standard input, or when it takes too long; the kernel ends with it.
"""

import json
import queue
import signal
import sys
import time

from jupyter_client.manager import KernelManager

CELL_SECONDS = 60
ALL_SECONDS = 240


def execute(manager, client, code, interruptOn=None, interruptIdle=False, interruptAfter=None):
    outputs, interrupted_at, start = [], None, time.time()
    until = start + CELL_SECONDS
    cell, done = client.execute(code), False

    def interrupt():
        nonlocal interrupted_at
        manager.interrupt_kernel()
        interrupted_at = 1000 * time.time()

    while manager.is_alive():
        if time.time() > until:
            if done:
                break
            raise TimeoutError(f"After {CELL_SECONDS} s this cell was not done: {code}")
        if interruptAfter is not None and interrupted_at is None and time.time() - start >= interruptAfter:
            interrupt()
        try:
            message = client.get_iopub_msg(timeout=0.02)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != cell:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            # Outputs may come a little later than the word that the cell is done.
            done, until = True, time.time() + (1.5 if interruptIdle else 0.2)
            if interruptIdle:
                interrupt()
        elif kind not in ("status", "execute_input"):
            outputs.append({"type": kind, **content})
            if kind == interruptOn and interrupted_at is None:
                interrupt()
    return {"outputs": outputs, "interruptedAt": interrupted_at, "alive": manager.is_alive()}


def main():
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda number, frame: sys.exit(f"kernel.py: ended by signal {number}"))
    signal.alarm(ALL_SECONDS)
    manager = KernelManager(kernel_name="deno")
    manager.start_kernel()
    try:
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=CELL_SECONDS)
        for line in sys.stdin:
            print(json.dumps(execute(manager, client, **json.loads(line))), flush=True)
    finally:
        manager.shutdown_kernel(now=True)


main()
