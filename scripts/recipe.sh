# Sourced by the recipes beside it: what they have in common.
#
# The environment can say otherwise than a recipe:
#   DATASET_DIR     records of the data set; made when they are missing
#   SOURCE_DIR      archives to make them from, instead of a download
#   TRAIN_DIR       checkpoints, and evaluations in eval/; all layers go to all/
#   CHECKPOINT_PATH, PRETRAINED_CHECKPOINT_DIR
#                   checkpoint to start from, or where the published one is or goes
#   STEPS, ALL_STEPS, BATCH_SIZE
#   PYTHON          the interpreter
# Arguments of a recipe are passed on to training: ./recipe.sh --seed=1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python}

run() {
  printf '\n$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

# use_dataset NAME EVALUATION_SPLIT
use_dataset() {
  DATASET=$1 SPLIT=$2
  DATASET_DIR=${DATASET_DIR:-/tmp/$DATASET}
  run "$PYTHON" download_and_convert_data.py --dataset_name="$DATASET" \
    --dataset_dir="$DATASET_DIR" ${SOURCE_DIR:+--source_dir="$SOURCE_DIR"}
}

# train TRAIN_DIR FLAGS...
train() {
  run "$PYTHON" train_image_classifier.py --model_name="$MODEL" \
    --dataset_name="$DATASET" --dataset_split_name=train \
    --dataset_dir="$DATASET_DIR" --train_dir="$@"
}

# evaluate TRAIN_DIR
evaluate() {
  run "$PYTHON" eval_image_classifier.py --checkpoint_path="$1" --eval_dir="$1/eval" \
    --dataset_name="$DATASET" --dataset_split_name="$SPLIT" \
    --dataset_dir="$DATASET_DIR" --model_name="$MODEL"
}

# finetune_on_flowers HEAD_STEPS HEAD_FLAGS ALL_STEPS ALL_FLAGS FLAGS...
# The classifier of MODEL alone first, then all layers from there.
finetune_on_flowers() {
  local head_steps=${STEPS:-$1} head=$2 all_steps=${ALL_STEPS:-$3} all=$4
  shift 4
  TRAIN_DIR=${TRAIN_DIR:-/tmp/flowers-models/$MODEL}
  use_dataset flowers validation
  local pretrained=${PRETRAINED_CHECKPOINT_DIR:-/tmp/checkpoints}
  if [[ -z ${CHECKPOINT_PATH:-} ]]; then
    CHECKPOINT_PATH=$pretrained/$MODEL.ckpt
    if ! compgen -G "$CHECKPOINT_PATH*" >/dev/null; then
      echo "There is no $CHECKPOINT_PATH: getting the published one" >&2
      CHECKPOINT_PATH=$("$PYTHON" download_checkpoint.py --model_name="$MODEL" \
        --checkpoint_dir="$pretrained") || {
        echo "Or put $MODEL.ckpt into $pretrained, or name it by CHECKPOINT_PATH." >&2
        exit 1
      }
    fi
  fi
  local common=(--batch_size="${BATCH_SIZE:-32}" --optimizer=rmsprop
    --weight_decay=0.00004 --save_interval_secs=60 --save_summaries_secs=60
    --log_every_n_steps=100)
  # $head and $all are lists of flags.
  # shellcheck disable=SC2086
  train "$TRAIN_DIR" --checkpoint_path="$CHECKPOINT_PATH" --finetune=head \
    --max_number_of_steps="$head_steps" "${common[@]}" $head "$@"
  evaluate "$TRAIN_DIR"
  # shellcheck disable=SC2086
  train "$TRAIN_DIR/all" --checkpoint_path="$TRAIN_DIR" \
    --max_number_of_steps="$all_steps" "${common[@]}" $all "$@"
  evaluate "$TRAIN_DIR/all"
}
