#!/bin/bash
# compare.sh [--rounds N] [--messages N] [--idle N] [--secs N] [--servers skein,dovecot] [--dry]
# Skein (release build) and Debian's Dovecot (sdbox, its default syncs) in alternation on this machine: one table, and lines in
# perf/results/compare.tsv. Run it as root on a quiet machine. imaptest takes part when it is installed or $IMAPTEST names it.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v dovecot >/dev/null || [[ "$*" == *--servers\ skein* ]] ||
  { echo "no Dovecot: apt-get install dovecot-imapd dovecot-lmtpd, or --servers skein" >&2; exit 1; }
cargo build --release --quiet -p skein -p skein-load
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export SKEIN_BIN=${SKEIN_BIN:-$target/release/skein}
ulimit -n "$(ulimit -Hn)"
exec "$target/release/skein-load" compare "$@"
