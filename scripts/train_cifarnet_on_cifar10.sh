#!/usr/bin/env bash
# CifarNet on CIFAR-10: 100,000 steps, the rate divided by ten every 200 epochs.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # Where sh is asked to run it.
source "$(dirname "${BASH_SOURCE[0]}")/recipe.sh"
MODEL=cifarnet
TRAIN_DIR=${TRAIN_DIR:-/tmp/cifarnet-model}
use_dataset cifar10 test
train "$TRAIN_DIR" --preprocessing_name=cifarnet --batch_size="${BATCH_SIZE:-128}" \
  --max_number_of_steps="${STEPS:-100000}" --learning_rate=0.1 --optimizer=sgd \
  --learning_rate_decay_factor=0.1 --num_epochs_per_decay=200 --weight_decay=0.004 \
  --save_interval_secs=120 --save_summaries_secs=120 --log_every_n_steps=100 "$@"
evaluate "$TRAIN_DIR"
