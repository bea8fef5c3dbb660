//! The server with one extension more: `skein-keep SETTINGS`.

use skein_config::Config;
use skein_example::Keep;
use skein_hooks::Maker;
use skein_server::{Start, load_settings};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

fn main() -> ExitCode {
    let config = match std::env::args_os().next_back().filter(|_| std::env::args_os().count() > 1) {
        Some(file) => load_settings(Path::new(&file)).map_err(|error| error.to_string()),
        None => Ok(Config::embedded_default()),
    };
    let keep: Maker = Arc::new(|| Rc::new(Keep));
    let ended = config.and_then(|config| {
        skein_server::run(config, Start::Alone, vec![keep], |_| println!("ready")).map_err(|error| error.to_string())
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
