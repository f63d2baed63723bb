#!/usr/bin/env bash
# A published MobileNet v1 as a frozen graph and as .tflite, and what they say of a photo.
#
#   ./scripts/export_mobilenet.sh 1.0|0.75|0.50|0.25 224|192|160|128 [CHECKPOINT]
#
# Without CHECKPOINT the published one is downloaded. The environment can say:
#   EXPORT_DIR   where everything is written
#   IMAGE        the photo; without one, nothing is classified
#   PYTHON       the interpreter
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # Where sh is asked to run it.
set -euo pipefail

usage() {
  echo "usage: $0 1.0|0.75|0.50|0.25 224|192|160|128 [CHECKPOINT]" >&2
  exit 2
}

[[ $# == 2 || $# == 3 ]] || usage
case $1 in
  1.0) MODEL=mobilenet_v1 ;;
  0.75) MODEL=mobilenet_v1_075 ;;
  0.50) MODEL=mobilenet_v1_050 ;;
  0.25) MODEL=mobilenet_v1_025 ;;
  *) usage ;;
esac
case $2 in
  224 | 192 | 160 | 128) SIZE=$2 ;;
  *) usage ;;
esac
# Paths are the caller's, not those of the checkout.
CHECKPOINT=${3:+$(realpath -m "$3")}
IMAGE=${IMAGE:+$(realpath -m "$IMAGE")}
EXPORT_DIR=$(realpath -m "${EXPORT_DIR:-/tmp/$MODEL-$SIZE}")
source "$(dirname "${BASH_SOURCE[0]}")/recipe.sh"

if [[ -z $CHECKPOINT ]]; then
  CHECKPOINT=$("$PYTHON" download_checkpoint.py --model_name="$MODEL" \
    --image_size="$SIZE" --checkpoint_dir="$EXPORT_DIR/checkpoints")
fi
facts=(--model_name="$MODEL" --image_size="$SIZE")

# export_as FORMAT FILE FLAGS...
export_as() {
  run "$PYTHON" export_inference_graph.py "${facts[@]}" \
    --checkpoint_path="$CHECKPOINT" --format="$1" --output_file="$EXPORT_DIR/$2" "${@:3}"
}

export_as frozen "$MODEL.pb" --fold_batch_norm
export_as tflite "$MODEL.tflite"
export_as tflite "${MODEL}_dynamic.tflite" --quantization=dynamic
for file in "$MODEL.pb" "$MODEL.tflite" "${MODEL}_dynamic.tflite"; do
  if [[ -n $IMAGE ]]; then
    run "$PYTHON" classify_image.py "${facts[@]}" --graph="$EXPORT_DIR/$file" "$IMAGE"
  fi
done
