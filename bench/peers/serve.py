"""The half of a bench that a system in Python runs; ../serve.ts is the same in TypeScript."""

import json
import sys
import time


def given():
    """The work on the command line, and the words after it."""
    return json.loads(sys.argv[1]), sys.argv[2:]


def serve(version, tasks, parameters):
    """
    Reads lines such as `train 3` until there are no more, does as many steps of that task, and answers each with a line of JSON: how
    long they took. A task is made ready when it is first asked for.
    """
    ready = {}
    for line in sys.stdin:
        task, steps = line.split()
        if task not in ready:
            ready[task] = tasks[task]()
        start = time.perf_counter()
        for _ in range(int(steps)):
            ready[task]()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "parameters": parameters(), "version": version}), flush=True)
