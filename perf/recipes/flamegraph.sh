#!/bin/bash
# flamegraph.sh [PID] [SECONDS] [FILE.svg]: where a running server spends its CPU, by sampling 99 times a second. The server goes on.
# Packages: linux-perf; inferno (cargo install inferno), else the folded stacks are left as FILE.folded for any drawer of flame graphs.
# The release build has line tables and symbols, but no frame pointers: stacks are unwound from 16 KiB of each sample's stack.
# Without performance counters (most virtual machines) the clock is sampled.
set -euo pipefail
pid=${1:-$(pgrep -o -x skein)} seconds=${2:-30} out=${3:-skein.svg}
command -v perf >/dev/null || { echo "apt-get install linux-perf" >&2; exit 1; }
data=$(mktemp --suffix .perf)
trap 'rm -f "$data" "$data.txt"' EXIT
event=cycles
perf stat -e cycles true 2>&1 | grep -q 'not supported' && event=cpu-clock
perf record -q -F 99 -e "$event" --call-graph dwarf,16384 -p "$pid" -o "$data" -- sleep "$seconds"
echo "samples of each thread:"
perf report -i "$data" --stdio --no-children -g none -s comm 2>/dev/null | grep -v '^#' | grep -v '^$'
perf script -i "$data" > "$data.txt" 2>/dev/null
if command -v inferno-collapse-perf >/dev/null; then
  inferno-collapse-perf "$data.txt" 2>/dev/null | inferno-flamegraph --title "skein $pid, $seconds s" > "$out"
  echo "$out"
else
  # A sample is a line that begins at the margin with the thread's name, and its stack below, innermost first.
  awk '/^[^ \t]/ { name = $1; depth = 0; next }
       /^[ \t]+[0-9a-f]+ / { sub(/^[ \t]+[0-9a-f]+ /, ""); sub(/ \([^()]*\)$/, ""); sub(/\+0x[0-9a-f]+$/, ""); gsub(/;/, ":"); frame[depth++] = $0; next }
       /^$/ && name != "" { line = name; for (i = depth - 1; i >= 0; i--) line = line ";" frame[i]; count[line]++; name = "" }
       END { for (line in count) print line, count[line] }' "$data.txt" | sort > "${out%.svg}.folded"
  echo "${out%.svg}.folded (cargo install inferno; inferno-flamegraph < ${out%.svg}.folded > $out)"
fi
