#!/bin/bash
# shards.sh [PID] [SECONDS] [STEP]: a timeline, a line a step: CPU of each shard with the threads that block for
# it, and of all other threads (100 is one core), and what
# the process read from and wrote to the disk. One shard at 100 beside idle ones has a user, or several, who are too busy for it.
# Packages: none.
set -euo pipefail
pid=${1:-$(pgrep -o -x skein)} seconds=${2:-30} step=${3:-1}
ticks=$(getconf CLK_TCK)
# A line "thread ticks" for each shard, one for the rest, and "zread_bytes", "zwrite_bytes", which sort behind them.
look() {
  for stat in "/proc/$pid"/task/*/stat; do cat "$stat" 2>/dev/null || true; done |
    sed -E 's/^[0-9]+ \((.*)\) /\1\t/' |
    awk -F'\t' '{ split($2, f, " "); name = $1 ~ /^shard-/ ? $1 : "others"; sum[name] += f[12] + f[13] } END { for (name in sum) print name, sum[name] }' | sort -V
  awk '/^(read|write)_bytes/ { print "z" $1, $2 }' "/proc/$pid/io"
}
before=$(look)
awk 'BEGIN { printf "%-10s", "second" } { printf "%12s", $1 ~ /^z/ ? ($1 ~ /read/ ? "read MB/s" : "write MB/s") : $1 } END { print "" }' <<<"$before"
for ((at = step; at <= seconds; at += step)); do
  sleep "$step"
  now=$(look)
  join <(sort <<<"$before") <(sort <<<"$now") | sort -V | awk -v at="$at" -v step="$step" -v ticks="$ticks" '
    BEGIN { printf "%-10s", at }
    { printf "%12.1f", ($3 - $2) / step / ($1 ~ /^z/ ? 1e6 : ticks / 100) } END { print "" }'
  before=$now
done
