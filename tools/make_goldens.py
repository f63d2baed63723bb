"""Packs records of what networks must be into nets/goldens.

A record states, as JSON, a network's variables, end points and values for a stated
filling; nets/zoo_test.py says how it is compared.

    python tools/make_goldens.py RECORDS_DIR lenet mobilenet_v1 ...
"""

import argparse
import gzip
import json
import pathlib

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "nets" / "goldens"


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def main():
    """Reads RECORDS_DIR/<name>.json, writes nets/goldens/<name>.json.gz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records_dir", type=pathlib.Path)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    GOLDENS.mkdir(exist_ok=True)
    for name in args.names:
        record = json.loads((args.records_dir / f"{name}.json").read_text())
        text = json.dumps(_rounded(record), separators=(",", ":"))
        packed = gzip.compress(text.encode(), mtime=0)
        (GOLDENS / f"{name}.json.gz").write_bytes(packed)
        print(f"{name}: {len(packed)} bytes")


if __name__ == "__main__":
    main()
