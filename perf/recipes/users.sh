#!/bin/bash
# users.sh LOG ..: the sessions that ended, added up for each user from the server's log (level info): who asks most, and who is sent most.
# What happens now: skein adm top, skein adm who. Packages: none.
set -euo pipefail
[ $# -gt 0 ] || { echo "users.sh LOG ..  (or -, as from journalctl -u skein -o cat)" >&2; exit 2; }
cat "$@" | awk '
  / session ended / && / user=/ {
    delete field
    for (i = 1; i <= NF; i++) if (split($i, pair, "=") == 2) field[pair[1]] = pair[2]
    user = field["user"]; sessions[user]++; commands[user] += field["commands"]; sent[user] += field["bytes_out"]; taken[user] += field["bytes_in"]; seconds[user] += field["seconds"]
  }
  END {
    for (user in sessions)
      printf "%-32s %9d %11d %12.1f %12.1f %10d\n", user, sessions[user], commands[user], sent[user] / 1e6, taken[user] / 1e6, seconds[user]
  }' | sort -k3 -rn | { printf '%-32s %9s %11s %12s %12s %10s\n' user sessions commands 'MB sent' 'MB taken' seconds; head -40; }
