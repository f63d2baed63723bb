#!/usr/bin/env bash
# Inception v3 on flowers: the classifier for 1000 steps, then all layers for 500.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # Where sh is asked to run it.
source "$(dirname "${BASH_SOURCE[0]}")/recipe.sh"
MODEL=inception_v3
finetune_on_flowers 1000 "--learning_rate=0.01 --learning_rate_decay_type=fixed" \
  500 "--learning_rate=0.0001 --learning_rate_decay_type=fixed" "$@"
