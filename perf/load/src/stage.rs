//! A server on which a scenario plays: with its settings and its mail, in a control group of its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use skein_testkit::Server;
use skein_testkit::server::{Kind, Ports};

use crate::cgroup::Group;
use crate::fill::Mail;
use crate::meter::Meter;

/// A server is at rest when it has used less than a tenth of a core for so long.
const SETTLE_SAMPLE: Duration = Duration::from_secs(1);
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// A server that can be stopped while the other one is measured, and keeps its mail.
pub struct Stage {
    server: Server,
    runs: bool,
    /// Ends after the server: the kernel removes no group in which somebody lives.
    group: Option<Group>,
}

impl Stage {
    /// Starts a server of `kind` with `more` settings, and gives it its mail.
    ///
    /// # Errors
    /// Of the mail.
    pub fn new(kind: Kind, more: &str, mail: Option<&Mail>) -> Result<Stage, String> {
        let server = Server::start_kind_with(kind, more);
        let group = Group::around(server.pid());
        let stage = Stage { server, runs: true, group };
        match mail {
            Some(mail) => {
                stage.explained(mail.fill(stage.imap()))?;
                stage.settle();
                Ok(stage)
            }
            None => Ok(stage),
        }
    }

    /// Waits until the server has done what an import leaves to do (snapshots, packs), a minute at most: that is measured where mail comes, not
    /// where it is read.
    fn settle(&self) {
        let until = Instant::now() + SETTLE_MAX;
        while Instant::now() < until {
            let meter = Meter::start(self.server.pid());
            #[expect(
                clippy::disallowed_methods,
                reason = "no shard runs here, and the time itself is what is waited for"
            )]
            std::thread::sleep(SETTLE_SAMPLE);
            if meter.used().cpu_seconds < SETTLE_SAMPLE.as_secs_f64() / 10.0 {
                return;
            }
        }
    }

    /// Starts it when it was stopped.
    pub fn start(&mut self) {
        if !self.runs {
            self.server.restart();
            self.group = Group::around(self.server.pid());
            self.runs = true;
        }
    }

    /// Stops it; its mail stays.
    ///
    /// # Errors
    /// When it did not stop well.
    pub fn stop(&mut self) -> Result<(), String> {
        if !self.runs {
            return Ok(());
        }
        let status = self.server.stop();
        self.runs = false;
        self.group = None;
        // The floor has nothing to put in order, and just dies.
        if status.success() || self.kind() == Kind::Floor {
            Ok(())
        } else {
            self.explained(Err(format!("the server stopped with {status}")))
        }
    }

    /// Which program it is.
    pub fn kind(&self) -> Kind {
        self.server.kind()
    }

    /// The root of its process tree, while it runs.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Where it listens for IMAP.
    pub fn imap(&self) -> SocketAddr {
        self.ports().imap
    }

    /// Where it listens.
    pub fn ports(&self) -> &Ports {
        self.server.ports()
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A failure with the last that the server said.
    pub fn explained<T>(&self, result: Result<T, String>) -> Result<T, String> {
        result.map_err(|why| {
            let log = self.server.log();
            let lines: Vec<&str> = log.lines().collect();
            format!("{why}\nthe server's log ends:\n{}", lines[lines.len().saturating_sub(5)..].join("\n"))
        })
    }
}
