//! What shells and `man` know of the commands, made of the commands themselves.

use clap::Command;
use std::io::Write;
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
    // Into memory first: what can not be written is no panic.
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "skein", &mut text);
    let mut out = crate::words::Stdout::lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
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
