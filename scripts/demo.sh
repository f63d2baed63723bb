#!/usr/bin/env bash
# From pictures to a frozen classifier in some three minutes, without a network.
# Everything is written below DEMO_DIR; what an earlier demo left there is removed.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # Where sh is asked to run it.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${DEMO_DIR:-build/demo}

run() {
  printf '\n$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

# TensorFlow's own tools talk a lot; what they say matters when they fail.
quietly() {
  run "$@" 2>"$dir/stderr.txt" || { cat "$dir/stderr.txt" >&2; exit 1; }
}

rm -rf "$dir"/{data,train,eval,pictures}
mkdir -p "$dir"
run python download_and_convert_data.py --dataset_name=shapes --dataset_dir="$dir/data"
run python train_image_classifier.py --train_dir="$dir/train" \
  --dataset_name=shapes --dataset_dir="$dir/data" \
  --model_name=mobilenet_v1_025 --train_image_size=64 --preprocessing_name=cifarnet \
  --optimizer=adam --opt_epsilon=1e-8 --learning_rate=0.01 \
  --learning_rate_decay_type=polynomial --num_epochs_per_decay=16 \
  --batch_size=32 --max_number_of_steps=2000 --log_every_n_steps=200 --seed=1
run python eval_image_classifier.py --checkpoint_path="$dir/train" \
  --eval_dir="$dir/eval" --dataset_dir="$dir/data"
run python export_inference_graph.py --model_name=mobilenet_v1_025 --image_size=64 \
  --dataset_name=shapes --output_file="$dir/graph.pb"
quietly python -m tensorflow.python.tools.freeze_graph \
  --input_graph="$dir/graph.pb" --input_binary=true \
  --input_checkpoint="$dir/train/model.ckpt-2000" \
  --output_node_names=MobilenetV1/Predictions/Reshape_1 \
  --output_graph="$dir/train/frozen.pb"
quietly python -c "from datasets import download_and_convert_shapes; \
download_and_convert_shapes.write_samples('$dir/pictures')"
run python classify_image.py --graph="$dir/train/frozen.pb" "$dir/pictures"

printf '\nOn %s\n' "$(python -c "import json
results = json.load(open('$dir/eval/metrics.json'))
print(f'{results[\"count\"]} test pictures: top-1 {results[\"top_1\"]:.1%}')")"
printf 'What it got wrong is in %s, to look at in a browser.\n' "$dir/eval/report.html"
