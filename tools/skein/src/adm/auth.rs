//! `adm auth`

use crate::password;
use clap::Subcommand;
use skein_admin::adm::{Hidden, Request};
use std::net::IpAddr;

#[derive(Subcommand)]
pub enum Command {
    /// Try a login without one: what each source of users says and what its rules make of it, asked anew and not from
    /// the cache. Nothing is counted as a guess. Exit code 77 means refused, 67 that no source knows the user.
    Test {
        /// The name as a client sends it, also as USER*MASTER.
        user: String,
        /// Whose mail is asked for, when USER is a master user (SASL's authorization identity).
        #[arg(long = "as", value_name = "OTHER")]
        authzid: Option<String>,
        /// The client's address, for allow_nets and for how long it would wait; without it: a Unix socket of this machine.
        #[arg(long, value_name = "ADDRESS")]
        from: Option<IpAddr>,
        /// Take the password from standard input, without the line break at its end; without it the terminal is asked.
        #[arg(long)]
        stdin: bool,
    },
}

impl Command {
    pub fn request(self) -> Result<Request, String> {
        let Command::Test { user, authzid, from, stdin } = self;
        let password = password::read(stdin, false).map_err(|error| error.to_string())?;
        let password = str::from_utf8(password.expose()).map_err(|_| "the password is no UTF-8".to_owned())?;
        Ok(Request::AuthTest { user, authzid, password: Hidden(password.to_owned()), from })
    }
}
