#!/bin/bash
# heartbeat.sh HOST:PORT [SECONDS]: gaps in the heartbeats of the shards, from /metrics (listeners.http). In every second, for each
# shard: how many 5 ms timers rang more than 5, 25 and 100 ms late, and how late the worst was at most. A gap is time in which no client of the shard was
# served: a computation without a yield, a page of a map that was read from a slow disk, or a core that others have.
# Packages: curl.
set -euo pipefail
addr=${1:?HOST:PORT of listeners.http} seconds=${2:-30}
look() { curl -sf "http://$addr/metrics" | grep '^skein_shard_late_seconds_bucket' | sed -E 's/.*shard="([^"]*)".*le="([^"]*)"[^ ]* /\1 \2 /'; }
before=$(look)
printf '%-8s %-8s %8s %8s %8s %8s  %s\n' second shard beats '>5 ms' '>25 ms' '>100 ms' 'worst at most'
for ((at = 1; at <= seconds; at++)); do
  sleep 1
  now=$(look)
  paste -d' ' <(echo "$before") <(echo "$now") | awk -v at="$at" '
    # shard le count shard le count; counts are cumulative, +Inf comes last.
    { n = $6 - $3; if ($2 == "+Inf") all[$1] = n; else { if ($2 == 0.005) five[$1] = n; if ($2 == 0.025) more[$1] = n; if ($2 == 0.1) most[$1] = n }
      if (n > last[$1]) worst[$1] = $2; last[$1] = n }
    END { for (shard in all) printf "%-8s %-8s %8d %8d %8d %8d  %s s\n", at, shard, all[shard], all[shard] - five[shard], all[shard] - more[shard], all[shard] - most[shard], worst[shard] }' | sort -k2 -V
  before=$now
done
