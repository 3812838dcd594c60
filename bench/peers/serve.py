"""The loop of a system in Python; ../serve.ts is the same in TypeScript."""

import json
import sys
import time


def parse_arguments():
    """The workload on the command line, and the flags after it."""
    return json.loads(sys.argv[1]), sys.argv[2:]


def serve(version, tasks, parameters):
    """
    Reads lines such as `train 3`, runs as many steps of that task, and answers each line with the
    time as JSON. A task is prepared at its first line.
    """
    prepared = {}
    for line in sys.stdin:
        task, steps = line.split()
        if task not in prepared:
            prepared[task] = tasks[task]()
        start = time.perf_counter()
        for _ in range(int(steps)):
            prepared[task]()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "parameters": parameters(), "version": version}), flush=True)
