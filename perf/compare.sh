#!/bin/bash
# compare.sh [--peer PATH] [--rounds N] [--scale X] [--servers skein,dovecot] [--from FILES] [--list] [--dry] [SCENARIO ..]
# Skein (release build, or $SKEIN_BIN) and Debian's Dovecot (sdbox, its default syncs) in alternation on this machine, through the
# scenarios of perf/scenarios/: one table, appended to perf/results/. A scenario is named, or by how it begins: 'lmtp-*'.
# --peer names the binary of another Dovecot 2.3. Run it as root on a quiet machine, with 12 GB free under $TMPDIR.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --peer ]; then
  export SKEIN_DOVECOT=$2
  shift 2
fi
case " $* " in
  *" --list "* | *" --servers skein "*) ;;
  *) [ -x "${SKEIN_DOVECOT:-/usr/sbin/dovecot}" ] ||
       { echo "no Dovecot: apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl, or --servers skein" >&2; exit 1; } ;;
esac
packages=(-p skein-load)
[ -n "${SKEIN_BIN:-}" ] || packages+=(-p skein)
cargo build --release --quiet "${packages[@]}"
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export SKEIN_BIN=${SKEIN_BIN:-$target/release/skein}
ulimit -n "$(ulimit -Hn)"
exec "$target/release/skein-load" compare "$@"
