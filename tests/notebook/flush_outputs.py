"""Executes short cells in the Deno kernel, all asked for at once, and prints how many did not get their outputs in order."""

import sys
from collections import defaultdict
from queue import Empty

from jupyter_client.manager import start_new_kernel

CELLS = 60
manager, client = start_new_kernel(kernel_name="deno", cwd=sys.argv[1])
try:
    client.execute_interactive(sys.argv[2], timeout=60, output_hook=lambda message: None)
    asked = {client.execute('console.log("a");\nconsole.log("b");\n1 + 1;') for _ in range(CELLS)}
    for _ in asked:
        client.get_shell_msg(timeout=60)
    seen = defaultdict(list)
    while True:
        try:
            message = client.get_iopub_msg(timeout=1)
        except Empty:
            break
        content = message["content"]
        what = content.get("execution_state") or content.get("text") or message["msg_type"]
        seen[message["parent_header"].get("msg_id")].append(what)
    expected = ["busy", "execute_input", "a\n", "b\n", "execute_result", "idle"]
    print(sum(seen[cell] != expected for cell in asked))
finally:
    manager.shutdown_kernel(now=True)
