#!/usr/bin/env bash
# Downloads the archives of ImageNet's ILSVRC 2012, 155 GB, and counts the images.
#
#   ./datasets/download_imagenet.sh [DIRECTORY=./imagenet-data] [SYNSETS=./synsets.txt]
#
# They are not unpacked: download_and_convert_data.py --dataset_name=imagenet reads them
# as they are. Run it again after an interruption, and it goes on where it ended.
# SYNSETS, one per line, are the classes to be counted; all, if there is no such file.
#
# The environment can say:
#   IMAGENET_USERNAME, IMAGENET_ACCESS_KEY
#                      of an account (https://image-net.org/signup.php); asked for if
#                      missing, sent to IMAGENET_URL alone
#   IMAGENET_URL       where the archives are
#   IMAGENET_MD5SUMS   file of their checksums, as md5sum writes them
#   IMAGENET_SPACE_GB  disk space to insist on, what is downloaded already included
#   IMAGENET_RECORDS   directory that holds DIRECTORY and records, which count as well
#   PYTHON             the interpreter
set -euo pipefail

url=${IMAGENET_URL:-https://image-net.org/data/ILSVRC/2012}
sums='1d675b47d978889d74fa0da5fadfb00e  ILSVRC2012_img_train.tar
29b22e2961454d5413ddabcf34fc5622  ILSVRC2012_img_val.tar'
attempts=6
not_found=44

fail() {
  echo "error: $*" >&2
  exit 1
}

bytes() {
  if [[ -f $1 ]]; then wc -c <"$1"; else echo 0; fi
}

md5_of() {
  if command -v md5sum >/dev/null; then md5sum <"$1" | cut -c1-32; else md5 -q "$1"; fi
}

# A line of curl's configuration, which, unlike its arguments, nobody else can see.
credentials() {
  local both=$IMAGENET_USERNAME:$IMAGENET_ACCESS_KEY
  both=${both//\\/\\\\}
  printf 'user = "%s"\n' "${both//\"/\\\"}"
}

# check NAME FILE: whether FILE is what was published as NAME.
check() {
  local expected
  expected=$(awk -v name="$1" '$2 == name {print $1}' <<<"$sums")
  if [[ -n $expected ]]; then
    echo "Checking $1"
    [[ $(md5_of "$2") == "$expected" ]]
  else
    gzip -t "$2" 2>/dev/null
  fi
}

# fetch NAME: downloads it unless it is there; returns $not_found if there is none.
fetch() {
  local name=$1 part=$dir/.$1.partial meter=(--silent --show-error)
  local code status size failures=0
  if [[ -f $dir/$name ]]; then
    echo "$name is there already"
    return
  fi
  [[ ! -t 2 ]] || meter=()
  echo "Downloading $name"
  while true; do
    size=$(bytes "$part")
    status=0
    code=$(curl --config <(credentials) --fail --location --continue-at - \
      --connect-timeout 60 --speed-limit 1 --speed-time 60 ${meter[@]+"${meter[@]}"} \
      --output "$part" --write-out '%{http_code}' "$url/$name") || status=$?
    # 416: there is nothing behind what we have.
    [[ $status != 0 && $code != 416 ]] || break
    case $code in
      401 | 403) fail "$url does not accept the user name or the access key" ;;
      404 | 410) return "$not_found" ;;
    esac
    # It may be an answer in place of the file; what is here may be 100 GB.
    [[ $status != 33 ]] || fail "$url cannot go on with $name in the middle. If that" \
      "lasts, delete $part to begin anew."
    (($(bytes "$part") <= size)) || failures=0
    ((++failures < attempts)) || fail "$name could not be downloaded from $url." \
      "Run this again later: it goes on where it ended."
    sleep $((2 ** (failures - 1)))
  done
  if ! check "$name" "$part"; then
    rm -f "$part"
    fail "what $url sent as $name is not what was published. It is deleted; is the" \
      "account allowed to download it? If so, run this again."
  fi
  mv "$part" "$dir/$name"
}

check_space() {
  local needed free present space
  needed=${IMAGENET_SPACE_GB:-500}
  free=$(df -Pk "$dir" | awk 'NR == 2 {print $4}')
  present=$(du -sk "${IMAGENET_RECORDS:-$dir}" | cut -f1)
  space=$(((free + present) * 1024 / 1000000000))
  ((space >= needed)) || fail "$dir has space for $space GB; archives and records" \
    "together need $needed GB. Choose another directory, or set IMAGENET_SPACE_GB."
}

ask_for_account() {
  if [[ -z ${IMAGENET_USERNAME:-} ]]; then
    printf 'User name at image-net.org: ' >&2
    read -r IMAGENET_USERNAME || fail "set IMAGENET_USERNAME"
  fi
  if [[ -z ${IMAGENET_ACCESS_KEY:-} ]]; then
    printf 'Access key or password: ' >&2
    read -rs IMAGENET_ACCESS_KEY || fail "set IMAGENET_ACCESS_KEY"
    echo >&2
  fi
  [[ -n $IMAGENET_USERNAME && -n $IMAGENET_ACCESS_KEY ]] ||
    fail "without an account there is no download: https://image-net.org/signup.php"
  [[ $IMAGENET_USERNAME$IMAGENET_ACCESS_KEY != *[[:cntrl:]]* ]] ||
    fail "the user name or the access key has a character that cannot be"
}

(($# <= 2)) || fail "usage: $0 [DIRECTORY] [SYNSETS]"
dir=${1:-./imagenet-data}
synsets=${2:-./synsets.txt}
[[ $# -lt 2 || -f $synsets ]] || fail "there is no file $synsets"
if [[ -f $synsets ]]; then
  synsets=$(cd "$(dirname "$synsets")" && pwd)/${synsets##*/}
else
  synsets=''
fi
command -v curl >/dev/null || fail "curl is missing; install it"
mkdir -p "$dir" || fail "cannot make $dir"
dir=$(cd "$dir" && pwd)
if [[ -n ${IMAGENET_MD5SUMS:-} ]]; then
  [[ -r $IMAGENET_MD5SUMS ]] || fail "cannot read $IMAGENET_MD5SUMS"
  sums=$(<"$IMAGENET_MD5SUMS")
fi

boxes='ILSVRC2012_bbox_train_v2.tar.gz ILSVRC2012_bbox_val_v3.tgz'
pictures='ILSVRC2012_img_val.tar ILSVRC2012_img_train.tar'
missing=''
for name in $boxes $pictures; do
  [[ -f $dir/$name ]] || missing+=" $name"
done
if [[ -n $missing ]]; then
  check_space
  ask_for_account
fi
for name in $boxes; do
  fetch "$name" || { [[ $? == "$not_found" ]] && echo "There is no $name; going on"; }
done
for name in $pictures; do
  fetch "$name" || fail "there is no $url/$name"
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
"${PYTHON:-python}" - "$dir" "$synsets" <<'END'
import sys

from slimbase import quiet

quiet.start_tensorflow()
from datasets import download_and_convert_imagenet

directory, synsets_file = sys.argv[1:]
counts = download_and_convert_imagenet.count(directory, synsets_file or None)
print(*(f"{count:,} {split} images" for split, count in counts.items()), sep=", ")
END
