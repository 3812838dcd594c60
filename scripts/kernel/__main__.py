"""The kernel that Jupyter starts: python -I scripts/kernel CONNECTION_FILE.

It is Deno's Jupyter kernel behind a proxy, which passes all messages through and adds what the
kernel lacks; see proxy.py.
"""

import json
import pathlib
import sys

from inner_kernel import InnerKernel

if __name__ == "__main__":
    connection = json.loads(pathlib.Path(sys.argv[1]).read_text())
    # Set-up puts Deno beside the Python of the virtual environment.
    deno = str(pathlib.Path(sys.executable).with_name("deno"))
    inner = InnerKernel(deno, connection)
    # Imported only now: this takes as long as the start of Deno.
    from proxy import serve

    serve(deno, connection, inner)
