#!/bin/bash
# deb.sh [OUT]    builds the Debian package skein_VERSION_ARCH.deb into OUT (target/package) and prints its path
#
# Needs cargo, dpkg-dev and binutils; root is not needed. $SKEIN_BIN: a release binary that is there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"

target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
out=${1:-$target/package}
if [ -z "${SKEIN_BIN:-}" ]; then
  cargo build --release --quiet -p skein
  SKEIN_BIN=$target/release/skein
fi
version=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"name":"skein","version":"\([^"]*\)".*/\1/')
arch=$(dpkg --print-architecture)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 0755 "$stage"
tree=$stage/skein
umask 022
mkdir -p "$tree"/{DEBIAN,usr/bin,etc/skein,usr/share/doc/skein,lib/systemd/system}

# Names of functions stay for perf; the tables of source lines do not.
objcopy --strip-debug "$SKEIN_BIN" "$tree/usr/bin/skein"
chmod 0755 "$tree/usr/bin/skein"
install -m 0644 "$here/skein.service" "$tree/lib/systemd/system/skein.service"
install -m 0640 "$here/skein.toml" "$tree/etc/skein/skein.toml"
install -m 0644 LICENSE-MIT "$tree/usr/share/doc/skein/copyright"
install -m 0644 README.md "$tree/usr/share/doc/skein/README.md"

if "$SKEIN_BIN" help man >/dev/null 2>&1; then
  mkdir -p "$tree/usr/share/man/man1"
  "$SKEIN_BIN" man "$tree/usr/share/man/man1"
  gzip -9n "$tree"/usr/share/man/man1/*
fi
if "$SKEIN_BIN" help completions >/dev/null 2>&1; then
  mkdir -p "$tree"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
  "$SKEIN_BIN" completions bash >"$tree/usr/share/bash-completion/completions/skein"
  "$SKEIN_BIN" completions zsh >"$tree/usr/share/zsh/vendor-completions/_skein"
  "$SKEIN_BIN" completions fish >"$tree/usr/share/fish/vendor_completions.d/skein.fish"
fi

# dpkg-shlibdeps reads the libraries from the binary and their packages from this machine.
mkdir -p "$stage/debian"
printf 'Source: skein\n\nPackage: skein\nArchitecture: any\n' >"$stage/debian/control"
depends=$(cd "$stage" && dpkg-shlibdeps -O --ignore-missing-info skein/usr/bin/skein 2>/dev/null | sed -n 's/^shlibs:Depends=//p')

cat >"$tree/DEBIAN/control" <<CONTROL
Package: skein
Version: $version
Architecture: $arch
Maintainer: The Skein maintainers <skein@skein.example>
Installed-Size: $(du -sk "$tree" | cut -f1)
Depends: ${depends:-libc6}, adduser
Recommends: ca-certificates
Provides: imap-server
Section: mail
Priority: optional
Description: mail store for many mailboxes: IMAP, POP3 and LMTP
 One binary, one core per shard, io_uring, one log per shard with one sync
 for everything that gathered meanwhile.
CONTROL
echo /etc/skein/skein.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  install -m 0755 "$here/$script" "$tree/DEBIAN/$script"
done

mkdir -p "$out"
package=$out/skein_${version}_$arch.deb
dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
echo "$package"
