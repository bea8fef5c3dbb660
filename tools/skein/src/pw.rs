//! `skein pw`: stored forms of passwords, made and checked.

use crate::{password, words};
use serde_json::json;
use skein_admin::adm::Code;
use skein_auth::{Hash, MAKE_SCHEMES, MakeError, make};
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 done, or it is the password; 64 usage, 65 the hash or password is not right, 77 it \
                        is not the password."
)]
pub struct Args {
    /// How it is stored; --list tells all.
    #[arg(long, short, default_value = MAKE_SCHEMES[0], conflicts_with_all = ["check", "list"])]
    scheme: String,
    /// Check a password against this stored form, {SCHEME}text.
    #[arg(long, short = 't', value_name = "HASH", conflicts_with = "list")]
    check: Option<String>,
    /// Take the password from standard input, without the line break at its end.
    #[arg(long)]
    stdin: bool,
    /// List the schemes that can be made, the best first.
    #[arg(long, conflicts_with = "stdin")]
    list: bool,
}

/// Runs the command and gives the exit code.
pub fn run(args: Args, json: bool) -> ExitCode {
    let done = match args.check {
        _ if args.list => list(json),
        Some(hash) => check(&hash, args.stdin, json),
        None => new_hash(&args.scheme, args.stdin).and_then(|hash| {
            let scheme = hash.split_once('}').map_or("", |(scheme, _)| &scheme[1..]);
            say(json, &json!({"scheme": scheme, "hash": hash}), &hash)
        }),
    };
    match done {
        Ok(code) => code,
        Err((code, text)) => {
            words::complain(format_args!("skein pw: {text}"));
            ExitCode::from(code.exit())
        }
    }
}

/// The stored form of a password that is asked for.
///
/// # Errors
/// No password, or none that could be stored.
pub fn new_hash(scheme: &str, stdin: bool) -> Result<String, (Code, String)> {
    // Before somebody types.
    if !MAKE_SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err((Code::Usage, MakeError::UnknownScheme(scheme.to_owned()).to_string()));
    }
    let password = password::read(stdin, true).map_err(|error| (Code::Usage, error.to_string()))?;
    let random = random().map_err(|error| (Code::Software, format!("no random bytes: {error}")))?;
    make(scheme, &password, random).map_err(|error| (Code::Data, error.to_string()))
}

fn check(hash: &str, stdin: bool, json: bool) -> Result<ExitCode, (Code, String)> {
    let hash = Hash::parse(hash).map_err(|error| (Code::Data, error.to_string()))?;
    let password = password::read(stdin, false).map_err(|error| (Code::Usage, error.to_string()))?;
    let matches = hash.matches(password.expose());
    say(json, &json!({"matches": matches}), if matches { "it is the password" } else { "it is not the password" })?;
    Ok(if matches { ExitCode::SUCCESS } else { ExitCode::from(Code::Denied.exit()) })
}

fn list(json: bool) -> Result<ExitCode, (Code, String)> {
    for scheme in MAKE_SCHEMES {
        say(json, &json!({"scheme": scheme}), scheme)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(json: bool, object: &serde_json::Value, text: &str) -> Result<ExitCode, (Code, String)> {
    let said = if json { words::line(&object.to_string()) } else { words::line(text) };
    said.map_err(|error| (Code::Data, format!("can not print: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

fn random() -> std::io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let got = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    if got == bytes.len() { Ok(bytes) } else { Err(std::io::Error::other("too few")) }
}
