//! `adm user`

use clap::Subcommand;
use skein_admin::adm::Request;

#[derive(Subcommand)]
pub enum Command {
    /// Users that have mail here.
    List {
        /// A name, or a pattern with * and ?.
        #[arg(default_value = "*")]
        users: String,
    },
    /// What is known of users.
    Info {
        /// A name, or a pattern with * and ?.
        users: String,
    },
}

impl Command {
    pub fn request(self) -> Request {
        match self {
            Command::List { users } => Request::UserList { users },
            Command::Info { users } => Request::UserInfo { users },
        }
    }
}
