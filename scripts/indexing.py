"""Microsoft's worker library indexes the app: the functions and bindings that the worker would report to the host.

``index_app`` does it in this process. Run as a program, with the folder of the app, the folder of its packages and the
folder of the worker library, it does it with nothing else on the path, and prints the result as its last line. Start
that as ``python -I -S -B``, so that neither ``.venv`` nor the current folder is on the path.
"""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import Any

type Bindings = list[dict[str, Any]]


class _Message(SimpleNamespace):
    """Replaces a protobuf message: in Azure the worker gives its message types to the worker library."""

    inout = 2  # as in the worker protocol: in 0, out 1, inout 2
    out = 1


def index_app() -> dict[str, Bindings]:
    """Return the bindings of each function of the importable ``function_app``, as the worker reports them to the host.

    Raise whatever the import of the app or the worker library raises.
    """
    # Not at the top of the module: the program finds the library only after it has set the path.
    from azure_functions_runtime.bindings.meta import load_binding_registry  # noqa: PLC0415
    from azure_functions_runtime.functions import Registry  # noqa: PLC0415
    from azure_functions_runtime.loader import index_function_app, process_indexed_function  # noqa: PLC0415

    messages = SimpleNamespace(BindingInfo=_Message, RpcFunctionMetadata=_Message, RpcRetryOptions=_Message)
    load_binding_registry()
    functions = index_function_app("function_app.py")
    results, _ = process_indexed_function(messages, Registry(), functions, ".")
    return {result.name: [json.loads(binding) for binding in result.raw_bindings] for result in results}


def main(app: str, packages: str, worker: str) -> None:
    """Index the app in the folder ``app`` and print the functions as JSON in one line."""
    sys.path[:0] = [packages]  # before the standard library, as the worker does it in Azure
    sys.path += [app, worker]
    os.chdir(app)
    print(json.dumps(index_app()))


if __name__ == "__main__":
    main(*sys.argv[1:])
