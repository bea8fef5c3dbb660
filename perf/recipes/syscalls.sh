#!/bin/bash
# syscalls.sh [PID] [SECONDS]: system calls of a running server by number and by time, each thread's with perf, all together with strace.
# Packages: linux-perf and a mounted tracefs, root; else strace, which slows the server down several times while it runs.
# What goes through io_uring is no system call: reads, writes and syncs of shards show as io_uring_enter. /metrics counts syncs.
set -euo pipefail
pid=${1:-$(pgrep -o -x skein)} seconds=${2:-10}
if command -v perf >/dev/null && [ -e /sys/kernel/tracing/events/raw_syscalls ]; then
  perf trace -s -p "$pid" -- sleep "$seconds" 2>&1
elif command -v strace >/dev/null; then
  timeout -s INT "$seconds" strace -f -c -S time -p "$pid" 2>&1 | grep -v -E 'attached$|detached' || true
else
  echo "apt-get install linux-perf (and mount -t tracefs none /sys/kernel/tracing), or strace" >&2
  exit 1
fi
