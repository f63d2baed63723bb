# Completes the installed commands in bash: `source scripts/completion.bash`.
# Flags are those that --help lists, networks those of list_models.

_slimzoo() {
  local word=${COMP_LINE:0:COMP_POINT}
  word=${word##*[[:space:]]}
  COMPREPLY=()
  case $word in
    --model_name=*)
      mapfile -t COMPREPLY < <(compgen -W "$(list_models --format=csv | cut -d, -f1 | tail -n +2)" -- "${word#*=}")
      ;;
    --*=*) mapfile -t COMPREPLY < <(compgen -f -- "${word#*=}") ;;
    -*)
      mapfile -t COMPREPLY < <(compgen -W "$("$1" --help \
        | sed -nE 's/^  (--)\[no\](\w+).*/\1\2 \1no\2/p; s/^  (--\w+=).*/\1/p; s/^  (--help) .*/\1/p')" -- "$word")
      ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
  esac
  [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null || true
}

complete -F _slimzoo train_image_classifier eval_image_classifier export_inference_graph \
  classify_image download_and_convert_data check_dataset download_checkpoint list_models benchmark
