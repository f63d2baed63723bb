"""Packs records of what networks must be into nets/goldens.

A record states, as JSON, a network's variables, end points and values for a stated
filling; nets/zoo_test.py says how it is compared. Records of the generative networks
go elsewhere, to where nets/gans_test.py reads them.

    python tools/make_goldens.py RECORDS_DIR lenet mobilenet_v1 ...
    python tools/make_goldens.py RECORDS_DIR dcgan_generator ... \\
        --output_dir nets/goldens_gans
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
    """Reads RECORDS_DIR/<name>.json, writes OUTPUT_DIR/<name>.json.gz."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_dir", type=pathlib.Path, default=GOLDENS)
    parser.add_argument("records_dir", type=pathlib.Path)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    args.output_dir.mkdir(exist_ok=True)
    for name in args.names:
        record = json.loads((args.records_dir / f"{name}.json").read_text())
        text = json.dumps(_rounded(record), separators=(",", ":"))
        packed = gzip.compress(text.encode(), mtime=0)
        (args.output_dir / f"{name}.json.gz").write_bytes(packed)
        print(f"{name}: {len(packed)} bytes")


if __name__ == "__main__":
    main()
