//! The Debian package, built from the server under test and lived with in a clean Debian root.

use skein_testkit::temp::TempDir;
use skein_testkit::{program, server};
use std::process::Command;

/// A clean root is half a minute of unpacking on a quiet machine.
const CHECK_SECONDS_MAX: u64 = 600;

#[test]
fn the_package_installs_starts_and_leaves() {
    if !program::is_root("a clean root") {
        return;
    }
    let tools = ["debootstrap", "dpkg-shlibdeps", "objcopy", "unshare"];
    if !tools.iter().all(|name| program::find(name).is_some()) {
        return;
    }
    let folder = program::workspace().join("tools/package");
    let out = TempDir::new("package");
    let built =
        program::run(Command::new(folder.join("deb.sh")).arg(out.path()).env("SKEIN_BIN", server::skein_binary()), b"");
    let package = built.expect_ok("deb.sh").text();
    let mut check = Command::new(folder.join("check.sh"));
    let lived = program::run_within(CHECK_SECONDS_MAX, check.arg(package.trim()), b"").expect_ok("check.sh");
    assert!(lived.text().trim_end().ends_with("== all well"), "{}", lived.all_text());
}
