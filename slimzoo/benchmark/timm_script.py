"""One turn of timm on PyTorch, run by the Python of an environment that has both.

Like `worker`, it reads a request from standard input and answers on standard output. Of
ours it imports only `clock`, which stands beside it. Images are random numbers that are
made once: there is no input to wait for.
"""

import contextlib
import json
import os
import sys
import types
from typing import Any

from clock import Answer, Clock, Request


def _load_timm() -> tuple[Any, Any]:
    """Imports torch and timm, beside a torchvision that may not fit this PyTorch."""
    import torch

    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, AttributeError):
        # torchvision's operators are missing, and timm's models need none of them.
        for name in [n for n in sys.modules if n.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        boxes = "(Tensor dets, Tensor scores, {}float iou_threshold) -> Tensor"
        library.define("nms" + boxes.format(""))
        library.define("qnms" + boxes.format(""))
        _load_timm.library = library  # When it is deleted, so are its definitions.
        stub = types.ModuleType("torchvision._meta_registrations")
        sys.modules["torchvision._meta_registrations"] = stub
    import timm

    return torch, timm


def _measure(request: Request) -> Answer:
    torch, timm = _load_timm()
    clock = Clock(request)
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    torch.manual_seed(request["seed"] or 0)
    name, arguments = request["elsewhere"]
    classes, batch = 1001, request["batch_size"]
    model = timm.create_model(name, num_classes=classes, **arguments)
    model = model.to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, *request["image_size"])
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(classes, (batch,))
    is_bfloat16 = request["precision"] == "bfloat16"

    def precision():
        return (
            torch.autocast("cpu", torch.bfloat16)
            if is_bfloat16
            else contextlib.nullcontext()
        )

    if request["mode"] == "inference":
        model.eval()

        def step():
            with torch.inference_mode(), precision():
                model(images)

    else:
        model.train()
        optimizer = torch.optim.RMSprop(
            model.parameters(), 0.01, alpha=0.9, momentum=0.9, eps=1.0
        )

        def step():
            optimizer.zero_grad()
            with precision():
                loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()

    step()
    while not clock.tick(batch):
        step()
    versions = {"torch": torch.__version__, "timm": timm.__version__}
    return {**(clock.result() or {}), **versions}


def main() -> None:
    """Answers one request."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)
        request = json.load(sys.stdin)
        if request["threads"]:
            cores = sorted(os.sched_getaffinity(0))[: request["threads"]]
            os.sched_setaffinity(0, cores)
        json.dump(_measure(request), output)


if __name__ == "__main__":
    main()
