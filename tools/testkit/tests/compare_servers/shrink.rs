//! The shortest commands that are still answered differently.

use super::pair::Pair;

/// Sessions that the search may use.
const TRIES_MAX: usize = 400;

/// What is left of `told`, whose last command is answered differently, and both answers to its last one.
pub fn shortest(pair: &Pair, told: Vec<Vec<u8>>) -> String {
    let mut told = told;
    let Some(mut shown) = difference(pair, &mut told) else {
        return format!("differs only sometimes: {}", shown(&told));
    };
    let (mut size, mut tries) = (told.len() / 2, 0);
    // What is enabled stays: nothing is compared that needs it and does not have it.
    let enabled = told.iter().take_while(|command| command.starts_with(b"ENABLE ")).count();
    while size > 0 {
        let mut at = enabled;
        while at < told.len() && tries < TRIES_MAX {
            tries += 1;
            let mut fewer = told.clone();
            fewer.drain(at..(at + size).min(told.len()));
            match difference(pair, &mut fewer) {
                Some(lines) => (told, shown) = (fewer, lines),
                None => at += size,
            }
        }
        size /= 2;
    }
    format!("{}\n{}", self::shown(&told), shown.join("\n"))
}

/// Tells `commands` to new users; cuts them after the first that is answered differently.
fn difference(pair: &Pair, commands: &mut Vec<Vec<u8>>) -> Option<Vec<String>> {
    let mut session = pair.session();
    for at in 0..commands.len() {
        let (differing, same) = session.step(&commands[at]);
        if !differing.is_empty() {
            commands.truncate(at + 1);
            return Some(differing);
        }
        if !same {
            return None;
        }
    }
    None
}

fn shown(commands: &[Vec<u8>]) -> String {
    commands.iter().map(|c| c[..c.len().min(3000)].escape_ascii().to_string()).collect::<Vec<_>>().join("\n")
}
