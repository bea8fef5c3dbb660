#!/bin/bash
# check.sh PACKAGE    installs the package in a clean Debian root and lives with it: install, start as its unit would, log in, stop,
# upgrade, remove, purge. Needs root, debootstrap and a reachable Debian mirror. Nothing outside a temporary folder is touched:
# the server runs in a network namespace of its own, on its real ports.
set -euo pipefail
package=$(realpath "$1")

work=$(mktemp -d)
root=$work/root
cleanup() {
  umount "$root/proc" "$root/sys" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

say() { printf '== %s\n' "$*"; }

say "a clean root"
debootstrap --variant=minbase --include=adduser,openssl "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" >"$work/debootstrap.log" 2>&1 ||
  { tail -5 "$work/debootstrap.log"; exit 1; }
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
cp "$package" "$root/skein.deb"
in_root() { chroot "$root" "$@"; }

say "install"
in_root apt-get install -y --no-install-recommends /skein.deb >"$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }
in_root dpkg -s skein | grep -q '^Status: install ok installed'
[ "$(in_root stat -c '%U %a' /var/lib/skein)" = "skein 700" ]
in_root skein config check /etc/skein/skein.toml
in_root test -s /usr/share/man/man1/skein-adm-search.1.gz
in_root grep -q 'complete -F _skein' /usr/share/bash-completion/completions/skein
in_root test -s /usr/share/zsh/vendor-completions/_skein -a -s /usr/share/fish/vendor_completions.d/skein.fish
echo 'anna:{PLAIN}a word' >>"$root/etc/skein/users"

cat >"$root/live.sh" <<'LIVE'
#!/bin/bash
# In a network namespace: what the unit does, and a client.
set -euo pipefail
setpriv --reuid skein --regid skein --init-groups --inh-caps=-all,+net_bind_service --ambient-caps=+net_bind_service --no-new-privs \
  /usr/bin/skein serve --config /etc/skein/skein.toml >/tmp/serve.log 2>&1 &
server=$!
trap 'kill -KILL "$server" 2>/dev/null || true' EXIT
for _ in $(seq 300); do
  grep -q 'Skein is ready' /tmp/serve.log && break
  kill -0 "$server" || { cat /tmp/serve.log; exit 1; }
  read -rt 0.1 <> <(:) || true
done
grep -q 'Skein is ready' /tmp/serve.log || { cat /tmp/serve.log; exit 1; }
# Its folder in /proc is root's, as it leaves no core file; its status tells who it is.
[ "$(awk '/^Uid:/ { print $2 }' "/proc/$server/status")" = "$(id -u skein)" ]
exec 3<>/dev/tcp/127.0.0.1/24
printf 'LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n' >&3
printf 'Subject: from a package\r\n\r\nHello\r\n.\r\nQUIT\r\n' >&3
cat <&3 | tr -d '\r' >/tmp/lmtp.out
grep -q '^250 2.*' /tmp/lmtp.out
{ printf 'a LOGIN anna "a word"\nb SELECT INBOX\nc FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]\nd LOGOUT\n'; read -rt 5 <> <(:) || true; } |
  openssl s_client -quiet -crlf -connect 127.0.0.1:993 >/tmp/imap.out 2>/dev/null || true
grep -q 'Subject: from a package' /tmp/imap.out || { cat /tmp/imap.out /tmp/lmtp.out /tmp/serve.log; exit 1; }
kill -TERM "$server"
wait "$server"
trap - EXIT
LIVE
chmod +x "$root/live.sh"

say "start, deliver, read, stop"
unshare --net sh -c "ip link set lo up && chroot '$root' /live.sh"

say "upgrade to the same version, and the mail is still there"
in_root dpkg -i /skein.deb >/dev/null
grep -q '^anna:' "$root/etc/skein/users"
unshare --net sh -c "ip link set lo up && chroot '$root' /live.sh"

say "remove and purge keep the mail"
in_root dpkg --purge skein >/dev/null
[ ! -e "$root/usr/bin/skein" ] && [ ! -e "$root/etc/skein" ] && [ -d "$root/var/lib/skein/accounts" ]
say "all well"
