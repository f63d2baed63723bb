#!/usr/bin/env bash
# Trains on one machine as on a cluster: one parameter server and two workers.
# Besides what recipe.sh lists, the environment can set DATASET, MODEL, IMAGE_SIZE,
# SYNC=1, for the mean of the workers' gradients, and PORT, the first of three.
# Ctrl-C stops all in order; started again, training goes on.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # Where sh is asked to run it.
. "$(dirname "$0")/recipe.sh"

use_dataset "${DATASET:-shapes}" test
port=${PORT:-2222}
command=(
  "$PYTHON" train_image_classifier.py
  --ps_hosts="localhost:$port"
  --worker_hosts="localhost:$((port + 1)),localhost:$((port + 2))"
  --dataset_name="$DATASET" --dataset_dir="$DATASET_DIR"
  --train_dir="${TRAIN_DIR:-/tmp/$DATASET-models/cluster}"
  --model_name="${MODEL:-mobilenet_v1_025}" --train_image_size="${IMAGE_SIZE:-64}"
  --batch_size="${BATCH_SIZE:-32}" --max_number_of_steps="${STEPS:-500}"
)
if [[ ${SYNC:-0} != 0 ]]; then
  command+=(--sync_replicas --replicas_to_aggregate=2)
fi

# The chief writes its last checkpoint through the parameter server, which goes last.
stop() {
  trap - EXIT
  kill "${workers[@]}" 2>/dev/null || true
  wait "${workers[@]}" 2>/dev/null || true
  kill "$server" 2>/dev/null || true
}

set -m  # Gives each its own process group: Ctrl-C reaches this script alone.
"${command[@]}" --job_name=ps --task=0 "$@" &
server=$!
workers=()
for task in 0 1; do
  "${command[@]}" --job_name=worker --task="$task" "$@" &
  workers+=($!)
done
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
wait "${workers[0]}"  # The chief: without it, the other would wait for its return.
wait "${workers[1]}"
wait "$server"
