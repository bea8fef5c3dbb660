#!/bin/bash
# test.sh [--long] [nextest filter...]    every check of the project, with a summary at the end
#
# Installs what the tests drive (Debian, as root; others: install it yourself, what is missing is skipped), checks format and
# lints, builds the server in release mode and runs all tests, end to end ones included.
# --long: 200 crash rounds instead of 10, 100 streams of commands compared with Dovecot instead of 20, fifteen minutes of imaptest (when $IMAPTEST or imaptest is there), longer property tests,
# a look at licences, an hour of fuzzing for each target that reads what anyone can send and a minute for the others, SKEIN_FUZZ_SECONDS for each instead (a normal run only
# replays their corpora, among the tests).
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD

long=
[ "${1:-}" = --long ] && { long=1; shift; }

packages="binutils ca-certificates curl debootstrap dovecot-imapd dovecot-lmtpd dovecot-pop3d dpkg-dev e2fsprogs expect fetchmail fish gcc getmail6 groff gsasl haproxy isync libnet-ssleay-perl libsasl2-modules mount mpop openssl postfix procps prometheus python3 python3-venv swaks tar util-linux zsh zstd"
venv=${SKEIN_TEST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/skein-test-venv}
steps=() failed=0

# step NAME COMMAND...: runs it, remembers how it ended and how long it took
step() {
  local name=$1 began=$SECONDS result=ok
  shift
  printf '\n=== %s\n' "$name"
  "$@" || { result=FAILED; failed=1; }
  steps+=("$(printf '%-8s %5ds  %s' "$result" $((SECONDS - began)) "$name")")
}

skip() {
  printf '\n=== %s: skipped: %s\n' "$1" "$2"
  steps+=("$(printf '%-8s %6s  %s: %s' skipped '' "$1" "$2")")
}

missing_packages() {
  local package
  for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || printf '%s ' "$package"
  done
}

install_packages() {
  local missing
  missing=$(missing_packages)
  [ -z "$missing" ] && { echo "all there"; return; }
  echo "installing: $missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || return
  # Tests run a Postfix of their own; the system's stays without a configuration.
  echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

install_python() {
  "$venv/bin/python" -c 'import imapclient, prometheus_client, scramp' 2>/dev/null && { echo "all there"; return; }
  python3 -m venv "$venv" && "$venv/bin/pip" install -q imapclient prometheus_client scramp
}

run_imaptest() {
  perf/imaptest/run.sh --secs 300
}

# Fuzz targets that read what anyone can send.
foreign=" imap lmtp mime mutf7 pop3 sasl sets utf8 "

# What is found new stays in a folder of its own; a failing input is worth a file in the corpus, and a test beside its fix.
run_fuzzer() {
  local name=$1 found=${TMPDIR:-/tmp}/skein-fuzz seconds=60 dictionary
  [[ $foreign == *" $name "* ]] && seconds=3600
  mkdir -p "$found/$name" "$found/failing/$name"
  dictionary=tools/fuzz/dictionaries/$name.dict
  [ -f "$dictionary" ] && dictionary=-dict=$root/$dictionary || dictionary=
  # shellcheck disable=SC2086
  RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tools/fuzz --target-dir "$target/fuzz" "$name" "$found/$name" "$root/tools/fuzz/corpus/$name" -- \
    -max_total_time="${SKEIN_FUZZ_SECONDS:-$seconds}" -timeout=10 -verbosity=0 -artifact_prefix="$found/failing/$name/" $dictionary
}

# As many at a time as there are cores.
run_fuzzers() {
  RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir tools/fuzz --target-dir "$target/fuzz" || return 1
  export -f run_fuzzer
  export root target foreign
  cargo fuzz list --fuzz-dir tools/fuzz | xargs -P "$(nproc)" -I NAME bash -c 'run_fuzzer NAME'
}

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  step "install packages" install_packages
  step "install Python clients" install_python
  export SKEIN_TOOLS_REQUIRED=1
else
  skip "install" "not root on Debian: tests of missing programs are skipped"
fi
[ -x "$venv/bin/python" ] && export SKEIN_PYTHON=$venv/bin/python
cargo nextest --version >/dev/null 2>&1 || step "install nextest" cargo install cargo-nextest --locked

export SKEIN_CRASH_ROUNDS=10 profile=default
[ -n "$long" ] && export SKEIN_LONG=1 SKEIN_CRASH_ROUNDS=200 PROPTEST_CASES=4096 profile=long
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export SKEIN_BIN=${SKEIN_BIN:-$target/release/skein}

step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
cargo deny --version >/dev/null 2>&1 || [ -z "$long" ] || step "install cargo-deny" cargo install cargo-deny --locked
if cargo deny --version >/dev/null 2>&1; then
  step "licences, bans, sources" cargo deny --config "$root/.cargo/deny.toml" check licenses bans sources
else
  skip "licences, bans, sources" "cargo-deny is not installed"
fi
step "build the server" cargo build --release --quiet -p skein
step "tests" cargo nextest run --workspace --profile "$profile" "$@"
step "tests in documentation" cargo test --workspace --doc --quiet
if [ -n "$long" ]; then
  if [ -n "${IMAPTEST:-}" ] || command -v imaptest >/dev/null; then
    step "imaptest, three runs of five minutes" run_imaptest
  else
    skip "imaptest" "not installed (set IMAPTEST)"
  fi
  cargo fuzz --version >/dev/null 2>&1 || step "install cargo-fuzz" cargo install cargo-fuzz --locked
  if cargo fuzz --version >/dev/null 2>&1; then
    step "fuzzing" run_fuzzers
  else
    skip "fuzzing" "cargo-fuzz can not be installed"
  fi
fi

printf '\n=== summary after %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
printf '%s\n' "${steps[@]}"
exit $failed
