#!/bin/bash
# run.sh [--secs N] [--clients N] [--users N] [--tests DIR] [-- imaptest words...]
# imaptest's default stress, each time against a fresh Skein: many clients on few users; first with every flag owned, then also with
# checkpoints that compare what the clients see; then its scripted tests where --tests (or $IMAPTEST_TESTS) says where they are, and the profile
# of this folder. Prints rates, counts and each error line; fails when there is one. imaptest is not part of this project: install it, or name it
# in $IMAPTEST (README.md).
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p skein -p skein-load
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export SKEIN_BIN=${SKEIN_BIN:-$target/release/skein}
# Checkpoints need owned messages: without them imaptest itself trips over messages that other clients expunged.
stresses=("own_flags" "own_msgs own_flags checkpoint=10")
tests=${IMAPTEST_TESTS:-}
profile=yes
secs=30
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; stresses=("$*") profile=; break ;;
    --tests) tests=$2; shift 2 ;;
    --secs) secs=$2; shift 2 ;;
    *) options+=("$1"); shift ;;
  esac
done
failed=0
for words in "${stresses[@]}"; do
  echo "=== imaptest $words"
  # shellcheck disable=SC2086
  "$target/release/skein-load" stress --secs "$secs" "${options[@]}" -- $words || failed=1
done
if [ -n "$tests" ]; then
  echo "=== imaptest test=$tests"
  "$target/release/skein-load" scripted --tests "$tests" || failed=1
fi
if [ -n "$profile" ]; then
  echo "=== imaptest profile=perf/imaptest/profile.conf"
  "$target/release/skein-load" stress --secs "$secs" --clients 200 --users 200 --profile perf/imaptest/profile.conf || failed=1
fi
exit $failed
