#!/usr/bin/env bash
# LeNet on MNIST: 20,000 steps of plain gradient descent at a fixed rate.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # Where sh is asked to run it.
source "$(dirname "${BASH_SOURCE[0]}")/recipe.sh"
MODEL=lenet
TRAIN_DIR=${TRAIN_DIR:-/tmp/lenet-model}
use_dataset mnist test
train "$TRAIN_DIR" --preprocessing_name=lenet --batch_size="${BATCH_SIZE:-50}" \
  --max_number_of_steps="${STEPS:-20000}" --learning_rate=0.01 --optimizer=sgd \
  --learning_rate_decay_type=fixed --weight_decay=0 --save_interval_secs=60 \
  --save_summaries_secs=60 --log_every_n_steps=100 "$@"
evaluate "$TRAIN_DIR"
