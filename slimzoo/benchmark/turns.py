"""Running it: a process per turn, and contenders in turns."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import logging

from nets.registry import NETWORKS
from slimzoo.benchmark import machine, others, plan, results, samples
from slimzoo.benchmark.plan import Contest
from slimzoo.benchmark.results import Results, Row
from slimzoo.config.benchmark import BenchmarkConfig

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_WORKER = [sys.executable, "-m", "slimzoo.benchmark.worker"]
_TIMM_SCRIPT = pathlib.Path(__file__).with_name("timm_script.py")
_TAIL = 20  # Lines of a failed process's messages that are kept.
_MADE = "imagenet"  # The data set that made pictures pass for.

Answer = dict[str, Any]
Request = dict[str, Any]
Peaks = dict[tuple[str, int | None], float]  # By precision and threads.


def run(config: BenchmarkConfig, tell: Callable[[Results], None]) -> Results:
    """Measures all that `config` asks for.

    Args:
      config: options.
      tell: called with what there is after each contest, as all of it may take hours.

    Raises:
      UserError: for options that cannot be. What fails while it is measured is told
        in its row, instead.
    """
    contests = plan.contests(config)
    told = machine.describe()
    with _ending_on_sigterm(), _place(config, contests) as place:
        before = _peaks(config, contests, place)
        rows: list[Row] = []
        for number, contest in enumerate(contests, 1):
            logging.info("%d of %d: %s", number, len(contests), contest)
            rows += _hold(config, contest, place)
            tell(Results(told, before, config, _with_peaks(rows, before)))
        # Twice, as others may use the machine meanwhile.
        after = _peaks(config, contests, place)
    peaks = {key: max(before.get(key, 0), after.get(key, 0)) for key in before | after}
    found = Results(told, peaks, config, _with_peaks(rows, peaks))
    tell(found)
    return found


def _with_peaks(rows: list[Row], peaks: Peaks) -> list[Row]:
    return [
        dataclasses.replace(row, peak_gflops=peaks.get(row.computes)) for row in rows
    ]


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Ends in order, and so the process of the turn too."""
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _place(config: BenchmarkConfig, contests: list[Contest]) -> Iterator[Request]:
    """Where data is and scratch files go, as requests have it; made data goes again."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        place = {
            "scratch": scratch,
            "dataset_name": config.dataset_name,
            "dataset_dir": _absolute(config.dataset_dir),
            "train_split_name": config.train_split_name,
            "eval_split_name": config.eval_split_name,
            "source_dir": _absolute(config.source_dir),
        }
        wants_pictures = {contest.mode == "conversion" for contest in contests}
        if (False in wants_pictures and not config.dataset_dir) or (
            True in wants_pictures and not config.source_dir
        ):
            logging.info("Making %d pictures", config.num_pictures)
            made = pathlib.Path(scratch) / "data"
            made.mkdir()
            samples.write(made, _MADE, config.num_pictures, config.seed or 0)
            if not config.dataset_dir:
                place |= {
                    "dataset_name": _MADE,
                    "dataset_dir": str(made),
                    "train_split_name": "train",
                    "eval_split_name": "validation",
                }
            place["source_dir"] = place["source_dir"] or str(made / samples.FOLDER)
        yield place


def _absolute(path: str | None) -> str | None:
    return path and str(pathlib.Path(path).absolute())


def _peaks(config: BenchmarkConfig, contests: list[Contest], place: Request) -> Peaks:
    """GFLOP/s of matrix products, by precision and threads."""
    wanted = {
        (precision, contest.threads): contest
        for contest in contests
        if "precision" in plan.MODES[contest.mode].by
        for _, precision in contest.contestants
    }
    peaks = {}
    for (precision, threads), contest in wanted.items():
        told = ask(
            config, _request(config, contest, ("machine", precision), place, "peak")
        )
        if "error" in told:
            logging.warning("matrix products in %s: %s", precision, told["error"])
        else:
            peaks[precision, threads] = told["gflops"]
    return peaks


def _hold(
    config: BenchmarkConfig,
    contest: Contest,
    place: Request,
) -> list[Row]:
    """The rows of a contest: all contestants take a turn, then all the next one."""
    turns: dict[tuple[str, str], list[Answer]] = {c: [] for c in contest.contestants}
    errors: dict[tuple[str, str], str] = {}
    for number in range(1, config.repeats + 1):
        for who in contest.contestants:
            if who in errors:
                continue
            told = ask(config, _request(config, contest, who, place))
            if "error" in told:
                errors[who] = told["error"]
                news = results.in_short(told["error"])
            else:
                turns[who].append(told)
                speed = results.images_per_second(told)
                news = f"{speed:.1f} images/s" if speed else f"{told['seconds']:.1f} s"
            logging.info(
                "  turn %d of %d, %s: %s",
                number,
                config.repeats,
                " ".join(filter(None, who)),
                news,
            )
    multiply_adds = _multiply_adds(config, contest, place)
    return results.compare(
        [
            Row(
                contest,
                *who,
                turns=tuple(turns[who]),
                error=errors.get(who, ""),
                multiply_adds=multiply_adds,
            )
            for who in contest.contestants
        ]
    )


def _multiply_adds(
    config: BenchmarkConfig, contest: Contest, place: Request
) -> int | None:
    if "precision" not in plan.MODES[contest.mode].by:
        return None
    network = NETWORKS[contest.model_name]
    if contest.image_size == (network.image_size,) * 2:
        return network.multiply_adds
    told = ask(
        config, _request(config, contest, ("machine", "float32"), place, "count")
    )
    return told.get("multiply_adds")


def _request(
    config: BenchmarkConfig,
    contest: Contest,
    who: tuple[str, str],
    place: Request,
    mode: str | None = None,
) -> Request:
    """What a process is told: facts of the contest, options, and where things are."""
    facts = dataclasses.asdict(contest)
    del facts["contestants"]
    contender, precision = who
    elsewhere = {
        "keras": others.KERAS.get(contest.model_name),
        "timm": (others.TIMM.get(contest.model_name), {}),
    }
    return {
        **facts,
        **place,
        "mode": mode or contest.mode,
        "contender": contender,
        "precision": precision or "float32",
        "elsewhere": elsewhere.get(contender),
        "steps": config.steps,
        "seconds": config.seconds,
        "warmup_steps": config.warmup_steps,
        "seed": config.seed,
        "save_summaries_secs": config.save_summaries_secs,
    }


def ask(config: BenchmarkConfig, request: Request) -> Answer:
    """Runs a process for a request; its answer, or the `error` that ended it."""
    command, environment = _WORKER, dict(os.environ)
    if request["contender"] == "timm":
        command = [config.timm_python or "", str(_TIMM_SCRIPT)]
        # Its threads spin while they wait, which on a machine that others use too makes
        # it slower by a factor.
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if request["threads"]:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            environment[name] = str(request["threads"])
    # Files, as a full pipe would stop the process.
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=messages,
            start_new_session=True,  # So that what it starts ends with it.
        )
        content = json.dumps(request | {"started": time.time()}).encode()
        try:
            process.communicate(content, timeout=config.timeout_secs)
        except subprocess.TimeoutExpired:
            return {"error": f"it took more than --timeout_secs={config.timeout_secs}"}
        finally:
            _end(process)
        told.seek(0)
        messages.seek(0)
        answer, tail = told.read(), messages.read().decode(errors="replace")
    if process.returncode == 0:
        with contextlib.suppress(ValueError):
            return json.loads(answer)
    lines = [line for line in tail.splitlines() if line.strip()][-_TAIL:]
    return {"error": "\n".join([_how_it_ended(process.returncode), *lines])}


def _end(process: subprocess.Popen) -> None:
    """Ends a process, if it runs, and what it has started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"
