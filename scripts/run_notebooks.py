"""Executes notebooks in the Deno kernel, from top to bottom, and checks the types of their cells.

run.ts writes its options to stdin, as JSON.
"""

import asyncio
import json
import os
import pathlib
import queue
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

sys.path.insert(0, str(pathlib.Path(__file__).with_name("kernel")))
from errors import excerpt  # noqa: E402
from language_server import LanguageServer  # noqa: E402

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

# A check takes seconds, and longer while kernels use the same processor.
CHECK_SECONDS = 600

Problem = tuple[str, str, str]
"""The name of a cell, `[1]` or `solution of [1]`, its source, and what is wrong with it."""


def show(text: str = "", end: str = "\n") -> None:
    print(text, end=end, flush=True)


def first_line(source: str) -> str:
    lines = [line.strip() for line in source.splitlines()]
    return next((line for line in lines if line and not line.startswith("//")), lines[0])[:60]


def is_code(cell) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def sources_in(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if is_code(cell)]


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


class TypeChecks:
    """Checks of all cells of notebooks, by one language server for each folder."""

    def __init__(self) -> None:
        self._servers: dict[pathlib.Path, LanguageServer] = {}

    async def problems(self, path: pathlib.Path, notebook) -> list[Problem]:
        """Returns the errors of the compiler in a notebook."""
        sources = sources_in(notebook)
        if not sources:
            return []
        server = self._servers.get(path.parent)
        try:
            if server is None:
                server = self._servers[path.parent] = LanguageServer()
                deno = pathlib.Path(sys.executable).with_name("deno")
                await server.start(str(deno), str(path.parent), warm_up=False)
            cells = [(str(index), source) for index, source in enumerate(sources)]
            found = await asyncio.wait_for(server.check_all(cells), CHECK_SECONDS)
        except Exception as failure:
            return [("[1]", sources[0], f"The types could not be checked: {failure!r}")]
        return [
            (
                f"[{index + 1}]",
                sources[index],
                f"TypeScriptError: {error.message}\n"
                f"cell line {error.line}: {excerpt(sources[index], error.line)}",
            )
            for index, error in found
        ]

    async def stop(self) -> None:
        for server in self._servers.values():
            await server.stop()


@asynccontextmanager
async def kernel_for(client: NotebookClient, folder: pathlib.Path, errors):
    """Runs a kernel in the folder. `client` itself would catch Ctrl-C and go on."""
    client.km = AsyncKernelManager(kernel_name=METADATA["kernelspec"]["name"])
    try:
        await client.km.start_kernel(cwd=str(folder), stderr=errors)
        await client.async_start_new_kernel_client()
        yield
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        await client.km.shutdown_kernel(now=True)


async def execute(
    notebook, folder: pathlib.Path, solutions: list, timeout: float
) -> Problem | None:
    """Executes the cells in place, then the solutions of exercises, up to the first that fails.

    The solutions are not kept. They come last, so that no cell can use one: all outputs are as
    they are for a learner with empty exercises.
    """
    client = NotebookClient(notebook, timeout=timeout, record_timing=False, coalesce_streams=True)

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
    names: dict[int, str] = {}

    async def run_cell(cell, index: int, name: str) -> Problem | None:
        start = time.perf_counter()
        show(f"  {name} {first_line(cell.source):60} ", end="")
        try:
            await client.async_execute_cell(cell, index)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            show("failed")
            errors.seek(0)
            return name, cell.source, reason_of(cell, error, errors.read())
        show(f"{time.perf_counter() - start:7.1f} s")
        return None

    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        async with kernel_for(client, folder, errors):
            for index, cell in enumerate(notebook.cells):
                if not is_code(cell):
                    continue
                names[index] = f"[{len(names) + 1}]"
                if problem := await run_cell(cell, index, names[index]):
                    return problem
            for solution in solutions:
                cell = nbformat.v4.new_code_cell(solution["code"])
                notebook.cells.append(cell)
                name = f"solution of {names.get(solution['exercise'], 'an empty cell')}"
                problem = await run_cell(cell, len(notebook.cells) - 1, name)
                notebook.cells.pop()
                if problem:
                    return problem
                if not exercise_text(cell).startswith("✓ "):
                    return name, cell.source, f"It must solve its exercise: {exercise_text(cell)}"
    notebook.metadata = nbformat.from_dict(METADATA)
    return None


def write(notebook, path: pathlib.Path) -> None:
    """Writes the notebook completely or not at all."""
    part = path.with_name(f".{path.name}.part")
    nbformat.write(notebook, part)
    os.replace(part, path)


async def run(path: pathlib.Path, solutions: list, options: dict, types: TypeChecks) -> tuple:
    """Executes and checks a notebook. Returns its row of the table at the end."""
    show(f"\n{path.name}")
    notebook = nbformat.read(path, as_version=4)
    checking = asyncio.ensure_future(types.problems(path, notebook))
    # During the execution, the check would disturb the times that the notebook measures and stores.
    problems = await checking if options["write"] else []
    start = time.perf_counter()
    if not problems:
        failure = await execute(notebook, path.parent, solutions, options["timeout"])
        problems = [failure] if failure else await checking
    checking.cancel()
    seconds = time.perf_counter() - start
    for name, source, reason in problems:
        show(f"\n{path.name}, cell {name}:\n\n{source}\n\n{reason}")
    if options["write"] and not problems:
        write(notebook, path)
    code = sum(cell.cell_type == "code" for cell in notebook.cells)
    result = f"failed at cell {problems[0][0]}" if problems else "passed"
    return path.stem, code, f"{seconds:.1f}", checks_in(notebook), result


async def run_all(options: dict) -> list[tuple]:
    """Executes notebooks, one after the other. Returns the rows of the table."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, asyncio.current_task().cancel)
    types = TypeChecks()
    try:
        return [
            await run(pathlib.Path(notebook["path"]), notebook["solutions"], options, types)
            for notebook in options["notebooks"]
        ]
    finally:
        await types.stop()


def main() -> bool:
    options = json.load(sys.stdin)
    METADATA["language_info"]["version"] = options["typescript"]
    rows = asyncio.run(run_all(options))
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
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("\nStopped.")
