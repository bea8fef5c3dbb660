//! For who writes dialogs: `SKEIN_DIALOGS_WRITE=name cargo test --test imap_dialogs in_plain -- --exact` puts what the server says
//! now in place of the file's `S` lines (`all` for every file). What then stands there is read and judged before it is believed.

use std::time::Duration;

use crate::Player;
use crate::read::{self, Dialog, Step, What};

/// A server that has said nothing for so long has said all.
const SILENCE: Duration = Duration::from_millis(150);

/// A wrong password is answered late.
const SILENCES_MAX: u32 = 30;

fn wanted() -> Option<String> {
    std::env::var("SKEIN_DIALOGS_WRITE").ok().filter(|name| !name.is_empty())
}

pub fn on() -> bool {
    wanted().is_some()
}

pub fn wants(name: &str) -> bool {
    wanted().is_none_or(|wanted| wanted == "all" || wanted.split(',').any(|one| one == name))
}

pub fn write(player: &mut Player<'_>, dialog: &Dialog) {
    player.client.socket().set_read_timeout(Some(SILENCE)).expect("a socket");
    let path = read::folder().join(format!("{}.txt", dialog.name));
    let text = std::fs::read_to_string(&path).expect("the dialog");
    let (mut written, mut kind) = (String::new(), ' ');
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with("S: ")).peekable();
    while let Some((index, line)) = lines.next() {
        written += &format!("{line}\n");
        while let Some((_, repeated)) = lines.next_if(|(_, line)| line.starts_with("S+ ")) {
            written += &format!("{repeated}\n");
        }
        for step in dialog.steps.iter().filter(|step| step.line == index + 1) {
            match &step.what {
                What::Client(bytes) => player.say(bytes),
                What::Other(of, command) => player.change(*of, command),
                // It stays, whatever is told now.
                What::Server(_) | What::Repeated(_) => {}
            }
        }
        kind = line.chars().next().filter(|kind| matches!(kind, 'C' | 'O' | 'E')).unwrap_or(kind);
        let next = lines.peek().map_or("", |(_, next)| next);
        let goes_on = line.starts_with('L') && kind == 'C' && next.starts_with("C:");
        let unfinished = next.starts_with('L') && !line.ends_with("{}") || goes_on;
        let is_greeting = line == "T: greeting" || line == "T: plain";
        if unfinished || !line.starts_with(['C', 'O', 'E', 'L']) && !is_greeting {
            continue;
        }
        let old = dialog.steps.iter().skip_while(|step| step.line <= index + 1).map_while(|step| match &step.what {
            What::Server(pattern) => Some(pattern),
            _ => None,
        });
        let mut old: Vec<&String> = old.collect();
        old.reverse();
        let mut patience = if kind == 'C' { SILENCES_MAX } else { 1 };
        while patience > 0 {
            let Ok(told) = player.hear() else {
                patience -= 1;
                continue;
            };
            patience = 1;
            let repeats = |step: &Step| matches!(&step.what, What::Repeated(p) if player.names.clone().agree(p, &told));
            if dialog.steps.iter().any(repeats) {
                continue;
            }
            let kept = old.pop().filter(|old| player.names.agree(old, &told));
            let line = kept.map_or_else(|| named(player, &told), String::clone);
            written += &format!("S: {line}\n");
        }
    }
    std::fs::write(path, written).expect("the dialog");
}

/// `told` with names for what differs from run to run.
fn named(player: &mut Player<'_>, told: &str) -> String {
    let mut line = told.to_string();
    for (before, name) in
        [("UIDVALIDITY ", "validity"), ("APPENDUID ", "validity"), ("COPYUID ", "validity"), ("MAILBOXID (", "id")]
    {
        let Some(at) = line.find(before).map(|at| at + before.len()) else { continue };
        let end = line[at..].find([' ', ']', ')']).map_or(line.len(), |end| at + end);
        let known = player.names.0.iter().find(|(_, value)| **value == line[at..end]).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let count = player.names.0.keys().filter(|known| known.starts_with(name)).count();
            let name = if count == 0 { name.to_string() } else { format!("{name}{}", count + 1) };
            player.names.0.insert(name.clone(), line[at..end].to_string());
            name
        });
        line.replace_range(at..end, &format!("{{{name}}}"));
    }
    for (before, after) in [("[CAPABILITY ", ']'), ("* CAPABILITY ", '\n')] {
        let Some(at) = line.find(before).map(|at| at + before.len()) else { continue };
        let end = line[at..].find(after).map_or(line.len(), |end| at + end);
        line.replace_range(at..end, "{capabilities}");
    }
    // The longest first: they may hold others.
    let mut names: Vec<(String, String)> = player.names.0.clone().into_iter().collect();
    names.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    let long = |(name, value): &(String, String)| value.len() >= 16 || matches!(&**name, "user" | "other");
    names.into_iter().filter(long).fold(line, |line, (name, value)| line.replace(&value, &format!("{{{name}}}")))
}
