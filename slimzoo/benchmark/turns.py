"""Runs the benchmark: a process for each turn, and contenders in turns."""

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

from absl import logging

from nets.registry import NETWORKS
from slimzoo.benchmark import machine, others, plan, results, samples
from slimzoo.benchmark.clock import Answer, Request
from slimzoo.benchmark.plan import Contest
from slimzoo.benchmark.results import ResultRow, Results
from slimzoo.config.benchmark import BenchmarkConfig

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_WORKER = [sys.executable, "-m", "slimzoo.benchmark.worker"]
_TIMM_SCRIPT = pathlib.Path(__file__).with_name("timm_script.py")
_TAIL = 20  # Lines of a failed process's messages that are kept.
_MADE = "imagenet"  # The data set whose files are imitated by made pictures.

Peaks = dict[tuple[str, int | None], float]  # By precision and threads.


def run(config: BenchmarkConfig, report: Callable[[Results], None]) -> Results:
    """Measures all that `config` asks for.

    Args:
      config: options.
      report: function that is called with the results so far after each contest, as a
        run may take hours.

    Raises:
      UserError: for wrong options. A failure while measuring is no exception; the row
        has it as `error`.
    """
    contests = plan.contests(config)
    description = machine.describe()
    with _ending_on_sigterm(), _place(config, contests) as place:
        before = _peaks(config, contests, place)
        rows: list[ResultRow] = []
        for number, contest in enumerate(contests, 1):
            logging.info("%d of %d: %s", number, len(contests), contest)
            rows += _hold(config, contest, place)
            report(Results(description, before, config, _with_peaks(rows, before)))
        # Measured twice, as others may use the machine at one of the times.
        after = _peaks(config, contests, place)
    peaks = {key: max(before.get(key, 0), after.get(key, 0)) for key in before | after}
    found = Results(description, peaks, config, _with_peaks(rows, peaks))
    report(found)
    return found


def _with_peaks(rows: list[ResultRow], peaks: Peaks) -> list[ResultRow]:
    return [
        dataclasses.replace(row, peak_gflops=peaks.get(row.computes)) for row in rows
    ]


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Makes SIGTERM raise SystemExit, so that the process of the turn is ended too."""
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _place(config: BenchmarkConfig, contests: list[Contest]) -> Iterator[Request]:
    """The part of requests that names data and scratch files.

    Makes pictures where the user gives none; these are deleted at the end.
    """
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
        answer = ask(
            config, _request(config, contest, ("machine", precision), place, "peak")
        )
        if "error" in answer:
            logging.warning("matrix products in %s: %s", precision, answer["error"])
        else:
            peaks[precision, threads] = answer["gflops"]
    return peaks


def _hold(config: BenchmarkConfig, contest: Contest, place: Request) -> list[ResultRow]:
    """The rows of a contest: all contestants take a turn, then all the next one."""
    turns: dict[tuple[str, str], list[Answer]] = {c: [] for c in contest.contestants}
    errors: dict[tuple[str, str], str] = {}
    for number in range(1, config.repeats + 1):
        for who in contest.contestants:
            if who in errors:
                continue
            answer = ask(config, _request(config, contest, who, place))
            if "error" in answer:
                errors[who] = answer["error"]
            else:
                turns[who].append(answer)
            name = " ".join(filter(None, who))
            logging.info(
                f"  turn {number} of {config.repeats}, {name}: {_summary(answer)}"
            )
    multiply_adds = _multiply_adds(config, contest, place)
    return results.compare(
        [
            ResultRow(
                contest,
                *who,
                turns=tuple(turns[who]),
                error=errors.get(who, ""),
                multiply_adds=multiply_adds,
            )
            for who in contest.contestants
        ]
    )


def _summary(answer: Answer) -> str:
    """The answer of a turn in a few words."""
    if "error" in answer:
        return results.in_short(answer["error"])
    speed = results.images_per_second(answer)
    return f"{speed:.1f} images/s" if speed else f"{answer['seconds']:.1f} s"


def _multiply_adds(
    config: BenchmarkConfig, contest: Contest, place: Request
) -> int | None:
    """Multiply-adds for one image; None where they do not matter or are unknown."""
    if "precision" not in plan.MODES[contest.mode].by:
        return None
    network = NETWORKS[contest.model_name]
    if contest.image_size == (network.image_size,) * 2:
        return network.multiply_adds
    answer = ask(
        config, _request(config, contest, ("machine", "float32"), place, "count")
    )
    return answer.get("multiply_adds")


def _request(
    config: BenchmarkConfig,
    contest: Contest,
    who: tuple[str, str],
    place: Request,
    mode: str | None = None,
) -> Request:
    """The request for a process: the contest's attributes, options, and paths."""
    attributes = dataclasses.asdict(contest)
    del attributes["contestants"]
    contender, precision = who
    elsewhere = {
        "keras": others.KERAS.get(contest.model_name),
        "timm": (others.TIMM.get(contest.model_name), {}),
    }
    return {
        **attributes,
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
    """Runs a process for a request; returns its answer, or `error`, why it has none."""
    command, environment = _WORKER, dict(os.environ)
    if request["contender"] == "timm":
        command = [config.timm_python or "", str(_TIMM_SCRIPT)]
        # PyTorch's threads spin while they wait, which on a machine that others use too
        # slows it down several times.
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if request["threads"]:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            environment[name] = str(request["threads"])
    # Files rather than pipes, as a full pipe would stop the process.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=messages,
            start_new_session=True,  # So that the processes it starts end with it.
        )
        content = json.dumps(request | {"started": time.time()}).encode()
        try:
            process.communicate(content, timeout=config.timeout_secs)
        except subprocess.TimeoutExpired:
            return {"error": f"it took more than --timeout_secs={config.timeout_secs}"}
        finally:
            _end(process)
        output.seek(0)
        messages.seek(0)
        answer, tail = output.read(), messages.read().decode(errors="replace")
    if process.returncode == 0:
        with contextlib.suppress(ValueError):
            return json.loads(answer)
    lines = [line for line in tail.splitlines() if line.strip()][-_TAIL:]
    return {"error": "\n".join([_how_it_ended(process.returncode), *lines])}


def _end(process: subprocess.Popen) -> None:
    """Ends a process, if it still runs, and the processes that it has started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"
