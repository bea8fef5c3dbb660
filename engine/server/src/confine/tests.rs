//! A process of its own is confined and tells what it still can do.

use super::*;
use skein_config::Config;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Set for the process that is confined: where its data is.
const CONFINED: &str = "SKEIN_TEST_CONFINED";

fn settings(folder: &Path, user: &str) -> Config {
    let text = format!(
        "data_dir = 'data'\nsafety.user = '{user}'\n[auth]\nsources = [{{ driver = 'static', users = 'a', password = 'b' }}]\n"
    );
    Config::parse(&text, &folder.join("skein.toml")).expect("it is right")
}

/// What a hole in the server would be tried for, each with how it ended.
fn attempts(folder: &Path) -> String {
    let mut told = String::new();
    let mut tell = |what: &str, result: io::Result<()>| {
        let end = result.map_or_else(|error| format!("{:?}", error.kind()), |()| "done".to_owned());
        writeln!(told, "{what}: {end}").expect("a String takes every write");
    };
    tell("exec", Command::new("/bin/true").status().map(drop));
    tell("shadow", fs::read("/etc/shadow").map(drop));
    tell("passwd", fs::read("/etc/passwd").map(drop));
    tell("outside", fs::write(folder.join("outside"), "x"));
    tell("settings", fs::read(folder.join("skein.toml")).map(drop));
    tell("change settings", fs::write(folder.join("skein.toml"), "x"));
    tell(
        "data",
        fs::write(folder.join("data/new"), "x")
            .and_then(|()| fs::rename(folder.join("data/new"), folder.join("data/newer"))),
    );
    tell("chroot", rustix::process::chroot("/proc").map_err(io::Error::from));
    tell("root", nix::unistd::setuid(nix::unistd::Uid::from_raw(0)).map_err(io::Error::from));
    tell("ring", skein_runtime::check_io_uring().map_err(io::Error::other));
    tell("thread", std::thread::spawn(|| fs::read("/etc/passwd")).join().expect("it ends").map(drop));
    let status = fs::read_to_string("/proc/thread-self/status").expect("every thread has one");
    for name in ["Uid:", "Gid:", "Groups:", "CapEff:", "CapPrm:", "CapBnd:", "NoNewPrivs:", "Seccomp:"] {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?");
        writeln!(told, "{name} {}", line.trim().replace('\t', " ")).expect("a String takes every write");
    }
    told
}

fn confined(folder: &Path, user: &str) -> String {
    let config = settings(folder, user);
    begin(&config).expect("begin");
    if let Some(becoming) = Becoming::find(&config).expect("the user is there") {
        becoming.give(&config.data_dir).expect("the folder can be given");
        becoming.become_user().expect("root may");
    }
    let confined = finish(&config).expect("finish");
    format!("{confined:?}\n{}", attempts(folder))
}

fn run(user: &str) -> String {
    let folder = std::env::temp_dir().join(format!("skein-confine-{user}-{}", std::process::id()));
    for part in ["", "data", "data/log"] {
        fs::create_dir_all(folder.join(part)).expect("the folder is ours");
    }
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    fs::write(folder.join("skein.toml"), "").expect("the folder is ours");
    fs::write(folder.join("data/log/old"), "as root").expect("the folder is ours");
    let mut child = Command::new(std::env::current_exe().expect("it runs"));
    child.args(["--exact", "confine::tests::little_is_left", "--nocapture"]);
    child.env(CONFINED, format!("{user}:{}", folder.display()));
    let output = child.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    if !user.is_empty() {
        let owner =
            |path: &str| std::os::unix::fs::MetadataExt::uid(&fs::metadata(folder.join(path)).expect("it is there"));
        assert_eq!(["data", "data/log", "data/log/old", "data/newer"].map(owner), [65534; 4]);
    }
    fs::remove_dir_all(&folder).expect("ours");
    told
}

#[test]
fn little_is_left() {
    if let Ok(told) = std::env::var(CONFINED) {
        let (user, folder) = told.split_once(':').expect("the parent wrote it");
        println!("{}", confined(Path::new(folder), user));
        return;
    }
    let expect = |told: &str, lines: &[&str]| {
        for line in lines {
            assert!(told.lines().any(|told| told == *line), "{line}\n{told}");
        }
    };
    let always = [
        "exec: PermissionDenied",
        "shadow: PermissionDenied",
        "passwd: PermissionDenied",
        "thread: PermissionDenied",
        "outside: PermissionDenied",
        "change settings: PermissionDenied",
        "chroot: PermissionDenied",
        "settings: done",
        "data: done",
        "ring: done",
        "NoNewPrivs: 1",
        "Seccomp: 2",
    ];
    let told = run("");
    expect(&told, &["Confined { landlock: true, seccomp: true }"]);
    expect(&told, &always);
    if rustix::process::geteuid().is_root() {
        let told = run("nobody");
        expect(&told, &always);
        expect(&told, &["root: PermissionDenied", "Uid: 65534 65534 65534 65534", "Gid: 65534 65534 65534 65534"]);
        expect(
            &told,
            &["Groups: 65534", "CapEff: 0000000000000000", "CapPrm: 0000000000000000", "CapBnd: 0000000000000000"],
        );
    }
}

#[test]
fn users_that_can_not_be() {
    let folder = Path::new("/nowhere");
    let error = Becoming::find(&settings(folder, "no-such-user")).expect_err("no user");
    assert!(error.to_string().contains("this machine has no user no-such-user"), "{error}");
    let mut config = settings(folder, "nobody");
    config.safety.group = "no-such-group".into();
    let error = Becoming::find(&config).expect_err("no group");
    assert!(error.to_string().contains("this machine has no group no-such-group"), "{error}");
    assert!(Becoming::find(&settings(folder, "")).expect("nobody is asked for").is_none());
}
