"""The benchmark process of a system in Python; ../serve.ts is its counterpart in TypeScript."""

import json
import sys
import time


def parse_arguments():
    """Returns the workload on the command line and the flags after it."""
    return json.loads(sys.argv[1]), sys.argv[2:]


def serve(version, tasks, parameters):
    """
    Reads lines such as `train 3` from standard input, runs that many steps of the task, and answers
    each line with the time in JSON. The first line of a task sets the task up.
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
