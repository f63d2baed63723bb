#!/usr/bin/env bash
# Inception v1 on flowers: the classifier for 3000 steps, then all layers for 1000.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # Where sh is asked to run it.
source "$(dirname "${BASH_SOURCE[0]}")/recipe.sh"
MODEL=inception_v1
finetune_on_flowers 3000 "--learning_rate=0.01" \
  1000 "--learning_rate=0.001" "$@"
