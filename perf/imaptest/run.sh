#!/bin/bash
# run.sh [--secs N] [--clients N] [--users N] [-- imaptest words...]
# imaptest's default stress, each time against a fresh Skein: many clients on few users; first with every flag owned, then also with
# checkpoints that compare what the clients see. Prints rates and each error line; fails when there is one. imaptest is not part
# of this project: install it, or name it in $IMAPTEST.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p skein -p skein-load
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export SKEIN_BIN=${SKEIN_BIN:-$target/release/skein}
# Checkpoints need owned messages: without them imaptest itself trips over messages that other clients expunged.
stresses=("own_flags" "own_msgs own_flags checkpoint=10")
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; stresses=("$*"); break ;;
    *) options+=("$1"); shift ;;
  esac
done
failed=0
for words in "${stresses[@]}"; do
  echo "=== imaptest $words"
  # shellcheck disable=SC2086
  "$target/release/skein-load" stress "${options[@]}" -- $words || failed=1
done
exit $failed
