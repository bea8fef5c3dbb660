#!/bin/bash
# offcpu.sh [PID] [SECONDS]: how long the threads of a running server were off the CPU, and what for: waiting to be run though
# they could (others have the cores), or asleep (idle, or waiting for a disk). "taken" is how often the kernel gave the core to another.
# Packages: none beyond /proc (schedstat); with bpftrace and a mounted tracefs, root, also the longest waits in microseconds.
set -euo pipefail
pid=${1:-$(pgrep -o -x skein)} seconds=${2:-10}
# schedstat(5): ns on the CPU, ns runnable and not run, times run. status: how often it gave the CPU up, and how often it was taken.
look() {
  for task in "/proc/$pid"/task/*; do
    name=$(cat "$task/comm" 2>/dev/null) || continue
    echo "${task##*/} ${name// /_} $(cat "$task/schedstat") $(awk '/ctxt_switches/ { printf "%s ", $2 }' "$task/status")"
  done
}
before=$(look)
began=$(cut -d' ' -f1 /proc/uptime)
if command -v bpftrace >/dev/null && [ -e /sys/kernel/tracing/events/sched ]; then
  timeout -s INT "$seconds" bpftrace -q -e '
    tracepoint:sched:sched_wakeup { @woken[args->pid] = nsecs; }
    tracepoint:sched:sched_switch /@woken[args->next_pid]/ {
      @us_from_woken_to_running[args->next_comm] = hist((nsecs - @woken[args->next_pid]) / 1000); delete(@woken[args->next_pid]); }
    END { clear(@woken); }' || true
else
  sleep "$seconds"
fi
after=$(look)
# On a busy machine a second of sleep is more than one.
seconds=$(awk -v began="$began" '{ print $1 - began }' /proc/uptime)
join <(sort <<<"$before") <(sort <<<"$after") | awk -v seconds="$seconds" '
  BEGIN { printf "%-16s %8s %8s %8s %10s %10s\n", "thread", "on CPU", "waiting", "asleep", "gave up/s", "taken/s" }
  { on = ($9 - $3) / 1e9; waiting = ($10 - $4) / 1e9; asleep = seconds - on - waiting
    printf "%-16s %7.1f%% %7.1f%% %7.1f%% %10.0f %10.0f\n", $2, 100 * on / seconds, 100 * waiting / seconds, 100 * (asleep > 0 ? asleep : 0) / seconds, ($12 - $6) / seconds, ($13 - $7) / seconds }' |
  { read -r head; echo "$head"; sort -k2 -rn; }
