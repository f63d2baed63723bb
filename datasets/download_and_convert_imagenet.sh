#!/usr/bin/env bash
# Downloads ImageNet's ILSVRC 2012 and converts it to TFRecords.
#
#   ./datasets/download_and_convert_imagenet.sh DATA_DIR
#
# The records go to DATA_DIR, the archives to DATA_DIR/raw-data, which is not needed any
# more afterwards. See download_imagenet.sh for what the environment can say.
set -euo pipefail

if (($# != 1)); then
  echo "usage: $0 DATA_DIR" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=${1%/}
# Written when all records are there.
if [[ ! -f $data/manifest.json ]]; then
  # An interrupted conversion has written some of what space is needed for.
  IMAGENET_RECORDS=$data "$here/download_imagenet.sh" "$data/raw-data"
fi
"${PYTHON:-python}" "$here/../download_and_convert_data.py" --dataset_name=imagenet \
  --dataset_dir="$data" --source_dir="$data/raw-data"
