# Completes the installed commands in bash 4 or later: `source scripts/completion.bash`.
# Flags are those that --help lists, networks those of list_models.

_slimzoo() {
  local word=${COMP_LINE:0:COMP_POINT} flags
  word=${word##*[[:space:]]}
  COMPREPLY=()
  case $word in
    --model_name=*) _slimzoo_networks "${word#*=}" ;;
    --*=*) _slimzoo_files "${word#*=}" ;;
    -*)
      flags=$("$1" --help | sed -nE 's/^  (--)\[no\]([[:alnum:]_]+).*/\1\2 \1no\2/p
        s/^  (--[[:alnum:]_]+=).*/\1/p; s/^  (--help) .*/\1/p')
      mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
      [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null || true
      ;;
    *)
      if [[ ${1##*/} == list_models ]]; then
        _slimzoo_networks "$word"
      else
        _slimzoo_files "${2-$word}"
      fi
      ;;
  esac
  return 0
}

_slimzoo_networks() {
  mapfile -t COMPREPLY < <(
    compgen -W "$(list_models --format=csv | cut -d, -f1 | tail -n +2)" -- "$1"
  )
}

_slimzoo_files() {
  compopt -o filenames 2>/dev/null || true  # A slash behind directories, spaces escaped.
  mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

complete -F _slimzoo train_image_classifier eval_image_classifier export_inference_graph \
  classify_image download_and_convert_data average_checkpoints check_dataset download_checkpoint list_models benchmark
