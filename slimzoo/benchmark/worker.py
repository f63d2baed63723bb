"""One turn: reads a request, JSON, from standard input; answers on standard output.

The answer is what `Clock.result` gives and what the contender adds, or `error`, a
sentence. Whatever else the process prints goes to standard error.
"""

import importlib
import json
import os
import sys
from typing import Any

_MODULES = {
    "ours": "slimzoo.benchmark.ours",
    "classic": "slimzoo.benchmark.classic",
    "onnxruntime": "slimzoo.benchmark.ours",
    "openvino": "slimzoo.benchmark.ours",
    "keras": "slimzoo.benchmark.keras_path",
    "machine": "slimzoo.benchmark.machine",
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Does what a request asks for; see `turns._request` for what is in one.

    Raises:
      UserError: for what the user can mend.
    """
    from slimbase import quiet
    from slimbase.errors import UserError
    from slimzoo.benchmark.clock import Clock

    quiet.start_tensorflow()
    measure = getattr(
        importlib.import_module(_MODULES[request["contender"]]), request["mode"]
    )
    clock = Clock(request)
    facts = measure(request, clock) or {}
    if request["contender"] == "machine":
        return facts
    if (measured := clock.result()) is None:
        raise UserError(
            f"it ended before {request['warmup_steps']} steps of warm-up and one more: "
            "give more pictures, or a smaller --warmup_steps or --batch_size"
        )
    return measured | facts


def main() -> None:
    """Answers one request."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)  # Libraries print to it, too.
        request = json.load(sys.stdin)
        if request["threads"]:
            from slimzoo.benchmark import clock

            # Before TensorFlow counts the cores.
            os.sched_setaffinity(0, clock.cores()[: request["threads"]])
        from slimbase.errors import UserError

        try:
            told = answer(request)
        except UserError as error:
            told = {"error": str(error)}
        json.dump(told, output)


if __name__ == "__main__":
    main()
