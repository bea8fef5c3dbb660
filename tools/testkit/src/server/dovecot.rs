//! How Debian's Dovecot (2.3) is started: sdbox, a sync for every change, any user with the test password.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fs};

use super::{PASSWORD, Ports};
use crate::program;

/// The user that mail belongs to; Debian's dovecot-core makes it. Dovecot refuses to open mail as root.
const MAIL_USER: &str = "dovecot";

static MAILDIR: AtomicBool = AtomicBool::new(false);

/// From now on Dovecots of this process keep mail as Maildir, and beside it what they told POP3 clients.
pub fn use_maildir() {
    MAILDIR.store(true, Ordering::Relaxed);
}

/// Dovecot in the foreground with everything below `folder` and settings that end with `more`.
pub fn command(folder: &Path, ports: &Ports, more: &str) -> Command {
    let mail = folder.join("data");
    fs::create_dir_all(&mail).expect("the folder is writable");
    chown(&mail, Some(mail_uid()), None).expect("Dovecot is started as root");
    make_certificate(folder);
    let config = folder.join("dovecot.conf");
    fs::write(&config, settings(folder, &mail, ports) + more).expect("the folder is writable");
    let mut command = Command::new(binary());
    command.args(["-F", "-c"]).arg(config);
    command
}

/// The installed Dovecot, or the one of the same 2.3 that `SKEIN_DOVECOT` names.
///
/// # Panics
/// When there is none.
pub fn binary() -> PathBuf {
    let installed = ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"].map(PathBuf::from);
    let named = env::var_os("SKEIN_DOVECOT").map(PathBuf::from);
    let found = named.into_iter().chain(installed).find(|p| p.is_file());
    found.expect("Dovecot is installed: apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd")
}

fn mail_uid() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find_map(|l| l.strip_prefix(MAIL_USER)?.strip_prefix(":x:"));
    line.and_then(|l| l.split(':').next()?.parse().ok()).expect("dovecot-core is installed")
}

fn make_certificate(folder: &Path) {
    if folder.join("cert.pem").is_file() {
        return;
    }
    let mut openssl = Command::new("openssl");
    openssl
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost".split(' '));
    openssl.args(["-keyout", "key.pem", "-out", "cert.pem"]).current_dir(folder);
    program::run(&mut openssl, b"").expect_ok("openssl");
}

/// Limits are raised to what the tests need; `mail_fsync` is Dovecot's default unless `SKEIN_PEER_FSYNC` says otherwise.
fn settings(folder: &Path, mail: &Path, ports: &Ports) -> String {
    let (folder, mail) = (folder.display(), mail.display());
    let (format, uidl) = match MAILDIR.load(Ordering::Relaxed) {
        true => ("maildir", "pop3_save_uidl = yes\npop3_uidl_format = %g\n"),
        false => ("sdbox", ""),
    };
    let fsync = env::var("SKEIN_PEER_FSYNC").unwrap_or_else(|_| "optimized".into());
    format!(
        "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/server.log\n\
         listen = 127.0.0.1\nprotocols = imap pop3 lmtp\nssl = yes\nssl_cert = <{folder}/cert.pem\nssl_key = <{folder}/key.pem\n\
         disable_plaintext_auth = no\nmail_uid = {MAIL_USER}\nmail_gid = {MAIL_USER}\nfirst_valid_uid = 1\n\
         mail_home = {mail}/%n\nmail_location = {format}:~/mail\nmail_fsync = {fsync}\nauth_username_format = %n\n\
         namespace inbox {{\n inbox = yes\n separator = /\n}}\n\
         passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
         userdb {{\n driver = static\n args = uid={MAIL_USER} gid={MAIL_USER} home={mail}/%n allow_all_users=yes\n}}\n\
         pop3_lock_session = yes\nprotocol pop3 {{\n mail_max_userip_connections = 20000\n}}\n\
         service pop3-login {{\n service_count = 0\n client_limit = 10000\n process_min_avail = 2\n process_limit = 2\n\
         inet_listener pop3 {{\n port = {}\n }}\n inet_listener pop3s {{\n port = {}\n ssl = yes\n }}\n}}\n\
         protocol imap {{\n mail_max_userip_connections = 20000\n imap_metadata = yes\n}}\n\
         mail_attribute_dict = file:%h/dovecot-attributes\n\
         default_vsz_limit = 1G\n{uidl}\
         service imap-login {{\n service_count = 0\n client_limit = 10000\n process_min_avail = 2\n process_limit = 2\n\
         inet_listener imap {{\n port = {}\n }}\n inet_listener imaps {{\n port = {}\n ssl = yes\n }}\n}}\n\
         service lmtp {{\n process_limit = 200\n service_count = 1000\n inet_listener lmtp {{\n port = {}\n }}\n}}\n\
         service imap {{\n process_limit = 12000\n service_count = 1000\n}}\n\
         service pop3 {{\n process_limit = 12000\n service_count = 1000\n}}\n\
         service anvil {{\n client_limit = 25000\n}}\nservice auth {{\n client_limit = 50000\n}}\n\
         service stats {{\n client_limit = 40000\n}}\n",
        ports.pop3.port(),
        ports.pop3s.port(),
        ports.imap.port(),
        ports.imaps.port(),
        ports.lmtp.port(),
    )
}
