"""One turn: reads a request in JSON from standard input, answers on standard output.

The answer has what `Clock.result` gives and what the contender adds, or `error`, a
sentence. Everything else that the process prints goes to standard error.
"""

import importlib
import json
import os
import sys

from slimbase import quiet
from slimbase.errors import UserError
from slimzoo.benchmark.clock import Answer, Clock, Request, cores

_MODULES = {
    "ours": "slimzoo.benchmark.ours",
    "classic": "slimzoo.benchmark.classic",
    "onnxruntime": "slimzoo.benchmark.ours",
    "openvino": "slimzoo.benchmark.ours",
    "keras": "slimzoo.benchmark.keras_path",
    "machine": "slimzoo.benchmark.machine",
}


def answer(request: Request) -> Answer:
    """Calls the function `measure_<mode>` of a contender's module.

    Args:
      request: what `turns._request` makes.

    Raises:
      UserError: for mistakes that the user can correct.
    """
    quiet.start_tensorflow()
    module = importlib.import_module(_MODULES[request["contender"]])
    clock = Clock(request)
    more = getattr(module, f"measure_{request['mode']}")(request, clock) or {}
    if request["contender"] == "machine":
        return more
    if (measured := clock.result()) is None:
        raise UserError(
            f"it ended before {request['warmup_steps']} steps of warm-up and one more: "
            "give more pictures, or a smaller --warmup_steps or --batch_size"
        )
    return measured | more


def main() -> None:
    """Answers one request."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)  # Libraries print to standard output too.
        request = json.load(sys.stdin)
        if request["threads"]:
            # Before TensorFlow counts the cores.
            os.sched_setaffinity(0, cores()[: request["threads"]])
        try:
            result = answer(request)
        except UserError as error:
            result = {"error": str(error)}
        json.dump(result, output)


if __name__ == "__main__":
    main()
