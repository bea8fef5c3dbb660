//! A private Postfix: own config, queue and data, nothing of the system's is touched. Needs root.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::server::{Block, Server};
use crate::temp::TempDir;
use crate::wait::{self, PATIENCE};
use crate::{process, program};

/// A running Postfix that takes SMTP and delivers mail for `example.com` to a server's LMTP port.
#[derive(Debug)]
pub struct Postfix {
    folder: TempDir,
    smtp: SocketAddr,
    _ports: Block,
    master: u32,
}

impl Postfix {
    /// Starts it; `None`, with a printed line, when Postfix is not installed or this is not root.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(server: &Server) -> Option<Postfix> {
        Postfix::start_over(&format!("inet:127.0.0.1:{}", server.ports().lmtp.port()))
    }

    /// The same, its mail going to `destination`, as its lmtp(8) names it: `unix:PATH` for a socket.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_over(destination: &str) -> Option<Postfix> {
        program::is_root("Postfix").then_some(())?;
        let binary = program::find("postfix")?;
        let folder = TempDir::new("postfix");
        let ports = Block::take();
        let smtp = ports.addr(0);
        write_settings(&folder, smtp, destination);
        let mut start = Command::new(&binary);
        start.arg("-c").arg(folder.join("etc")).arg("start");
        // Its daemons keep the pipe open, so its output goes nowhere; its log file tells more anyway.
        let status = start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status();
        assert!(status.expect("postfix starts").success(), "postfix start: {}", log(folder.path()));
        let pid = || fs::read_to_string(folder.join("spool/pid/master.pid")).ok()?.trim().parse().ok();
        let master = wait::find(PATIENCE, pid).expect("Postfix writes its pid");
        assert!(wait::until(PATIENCE, || std::net::TcpStream::connect(smtp).is_ok()), "{}", log(folder.path()));
        Some(Postfix { folder, smtp, _ports: ports, master })
    }

    /// Where it takes mail.
    pub fn smtp(&self) -> SocketAddr {
        self.smtp
    }

    /// True when its queue is empty.
    pub fn is_done(&self) -> bool {
        let waiting = ["incoming", "active", "deferred", "maildrop"];
        waiting.iter().all(|q| is_empty(&self.folder.join("spool").join(q)))
    }

    /// Its log.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let tree = process::tree(self.master);
        process::signal(self.master, Signal::TERM);
        if !wait::until(PATIENCE, || !tree.iter().any(|&pid| process::is_alive(pid))) {
            tree.into_iter().for_each(|pid| process::signal(pid, Signal::KILL));
        }
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("mail.log")).unwrap_or_default()
}

fn is_empty(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return true };
    entries.flatten().all(|e| e.path().is_dir() && is_empty(&e.path()))
}

fn write_settings(folder: &TempDir, smtp: SocketAddr, destination: &str) {
    for part in ["etc", "spool", "data"] {
        fs::create_dir_all(folder.join(part)).expect("the folder is ours");
    }
    chown(folder.join("data"), Some(postfix_uid()), None).expect("root may");
    folder.write("etc/main.cf", main_cf(folder.path(), destination));
    folder.write("etc/master.cf", master_cf(smtp));
}

fn postfix_uid() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find_map(|l| l.strip_prefix("postfix:x:"));
    line.and_then(|l| l.split(':').next()?.parse().ok()).expect("the package makes the user")
}

fn main_cf(folder: &Path, destination: &str) -> String {
    let folder = folder.display();
    format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/spool\ndata_directory = {folder}/data\n\
         command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mx.example.com\nmydestination =\nmynetworks = 127.0.0.0/8\n\
         relay_domains = example.com\ntransport_maps = inline:{{ {{example.com = lmtp:{destination}}} }}\n\
         default_transport = error:no outside mail in tests\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
         smtpd_recipient_restrictions =\nmaillog_file = {folder}/mail.log\nmaillog_file_prefixes = {folder}\n\
         queue_run_delay = 2s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nlmtp_destination_recipient_limit = 50\n\
         disable_dns_lookups = yes\nsmtp_dns_support_level = disabled\nsmtputf8_enable = yes\nalias_maps =\nalias_database =\n\
         local_recipient_maps =\nmessage_size_limit = 52428800\n"
    )
}

fn master_cf(smtp: SocketAddr) -> String {
    format!(
        "{smtp} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\n\
         lmtp unix - - n - - lmtp\nerror unix - - n - - error\nretry unix - - n - - error\ndiscard unix - - n - - discard\n\
         anvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\ntlsmgr unix - - n 1000? 1 tlsmgr\nshowq unix n - n - - showq\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}
