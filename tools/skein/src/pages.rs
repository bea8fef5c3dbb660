//! What shells and `man` know of the commands, made of the commands themselves.

use clap::Command;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Shells whose completions can be made.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Shell {
    /// To be sourced, or in bash-completion/completions/skein.
    Bash,
    /// As _skein in a folder of fpath.
    Zsh,
    /// As skein.fish in vendor_completions.d.
    Fish,
}

/// Prints the completions.
pub fn completions(command: &mut Command, shell: Shell) -> ExitCode {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: a reader that has gone is no panic.
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "skein", &mut text);
    match io::Write::write_all(&mut io::stdout(), &text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::fail(&format!("standard output: {error}")),
    }
}

/// Writes `skein.1`, `skein-adm.1`, `skein-adm-user.1` and so on.
pub fn man(command: Command, folder: &Path) -> ExitCode {
    let made = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::fail(&format!("{}: {error}", folder.display())),
    }
}
