"""Executes notebooks in the Deno kernel, from top to bottom.

run.ts writes its options to stdin, as JSON.
"""

import json
import os
import pathlib
import queue
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

# Fixed, so that a notebook changes only with its cells and their outputs. main() adds the version
# of TypeScript that the kernel reports, without which JupyterLab changes a notebook on opening.
METADATA = {
    "kernelspec": {"name": "deno", "display_name": "Deno", "language": "typescript"},
    "language_info": {
        "name": "typescript",
        "file_extension": ".ts",
        "mimetype": "text/x.typescript",
        "codemirror_mode": "typescript",
        "pygments_lexer": "typescript",
        "nbconvert_exporter": "script",
    },
}


def show(text: str = "", end: str = "\n") -> None:
    print(text, end=end, flush=True)


def first_line(source: str) -> str:
    lines = [line.strip() for line in source.splitlines()]
    return next((line for line in lines if line and not line.startswith("//")), lines[0])[:60]


def checks_in(notebook) -> int:
    """Counts the checked claims of the notebook: lines on stdout that begin with a tick."""
    return sum(
        line.startswith("✓ ")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
        for line in output.text.splitlines()
    )


def exercise_text(cell) -> str:
    """Returns the text that an exercise shows; its first letter is ○, ✓ or ✗."""
    texts = [
        output.data.get("text/plain", "")
        for output in cell.outputs
        if output.output_type in ("execute_result", "display_data")
    ]
    return texts[-1] if texts else "The cell shows no exercise."


def reason_of(cell, error: Exception, kernel_errors: str) -> str:
    if isinstance(error, CellExecutionError):
        traces = [output.traceback for output in cell.outputs if output.output_type == "error"]
        return "\n".join(traces[-1]) if traces else str(error)
    if isinstance(error, CellTimeoutError):
        return "The cell took longer than the time limit (--timeout)."
    return f"The kernel died. Its last output:\n{kernel_errors[-2000:].strip()}"


def execute(notebook, path: pathlib.Path, solutions: list, timeout: float):
    """Executes the cells in place, then the solutions of exercises, which are not kept.

    The solutions come last, so that the outputs of all cells are those that a learner gets who
    solves nothing. Returns the failed cell, its name and the reason, or None.
    """
    client = NotebookClient(
        notebook,
        kernel_name=METADATA["kernelspec"]["name"],
        resources={"metadata": {"path": str(path.parent)}},
        timeout=timeout,
        record_timing=False,
        coalesce_streams=True,
        shutdown_kernel="immediate",
    )

    async def add_late_outputs(cell, cell_index, execute_reply) -> None:
        """Deno 2.9 may send outputs of a cell after the message that the cell is done."""
        while True:
            try:
                message = await client.kc.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                return
            if message["msg_type"] != "status":
                client.process_message(message, cell, cell_index)

    client.on_cell_executed = add_late_outputs
    names = {}

    def run(cell, index: int, name: str):
        start = time.perf_counter()
        show(f"  {name} {first_line(cell.source):60} ", end="")
        try:
            client.execute_cell(cell, index)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            show("failed")
            errors.seek(0)
            return cell, name, reason_of(cell, error, errors.read())
        show(f"{time.perf_counter() - start:7.1f} s")
        return None

    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        with client.setup_kernel(stderr=errors):
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type != "code" or not cell.source.strip():
                    continue
                names[index] = f"[{len(names) + 1}]"
                if failure := run(cell, index, names[index]):
                    return failure
            for solution in solutions:
                cell = nbformat.v4.new_code_cell(solution["code"])
                notebook.cells.append(cell)
                name = f"solution of {names.get(solution['exercise'], 'an empty cell')}"
                failure = run(cell, len(notebook.cells) - 1, name)
                notebook.cells.pop()
                if failure:
                    return failure
                if not exercise_text(cell).startswith("✓ "):
                    return cell, name, f"It must solve its exercise: {exercise_text(cell)}"
    notebook.metadata = nbformat.from_dict(METADATA)
    return None


def write(notebook, path: pathlib.Path) -> None:
    """Writes the notebook completely or not at all."""
    part = path.with_name(f".{path.name}.part")
    nbformat.write(notebook, part)
    os.replace(part, path)


def main() -> bool:
    options = json.load(sys.stdin)
    METADATA["language_info"]["version"] = options["typescript"]
    rows = []
    for one in options["notebooks"]:
        path = pathlib.Path(one["path"])
        show(f"\n{path.name}")
        notebook = nbformat.read(path, as_version=4)
        start = time.perf_counter()
        failure = execute(notebook, path, one["solutions"], options["timeout"])
        seconds = time.perf_counter() - start
        if failure:
            cell, name, reason = failure
            show(f"\n{path.name}, cell {name}:\n\n{cell.source}\n\n{reason}")
        elif options["write"]:
            write(notebook, path)
        code = sum(cell.cell_type == "code" for cell in notebook.cells)
        result = f"failed at cell {failure[1]}" if failure else "passed"
        rows.append((path.stem, code, f"{seconds:.1f}", checks_in(notebook), result))
    table = [("notebook", "cells", "seconds", "checks", "result"), *rows]
    width = max(len(row[0]) for row in table)
    show()
    for name, cells, seconds, checks, result in table:
        show(f"{name:{width}}  {cells:>5}  {seconds:>7}  {checks:>6}  {result}")
    failed = sum(row[4] != "passed" for row in rows)
    show(f"\nnotebooks: {len(rows) - failed} passed, {failed} failed")
    return failed == 0


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
