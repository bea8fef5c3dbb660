//! Levels of the log for parts of the server: `skein_store=debug, skein_serve=warn`.

use crate::table::LogLevel;

/// The parts with their levels, or what is wrong, to be shown behind the setting's name.
///
/// # Errors
/// Words for the operator.
pub fn module_levels(text: &str) -> Result<Vec<(&str, LogLevel)>, String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(module_level).collect()
}

fn module_level(entry: &str) -> Result<(&str, LogLevel), String> {
    let (module, level) =
        entry.split_once('=').ok_or_else(|| format!("\"{entry}\" has no level: write skein_store=debug"))?;
    let (module, level) = (module.trim(), level.trim());
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let known = levels.into_iter().zip(LogLevel::WORDS).find(|(_, word)| **word == level);
    let is_module = !module.is_empty()
        && module.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:".contains(&b));
    match (is_module, known) {
        (true, Some((level, _))) => Ok((module, level)),
        (false, _) => Err(format!("\"{module}\" is no part of the server: write skein_store=debug")),
        (true, None) => Err(format!("\"{level}\" is no level: write one of {}", LogLevel::WORDS.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_levels() {
        assert_eq!(module_levels(""), Ok(vec![]));
        let two = Ok(vec![("skein_store", LogLevel::Debug), ("skein_serve::lmtp", LogLevel::Error)]);
        assert_eq!(module_levels(" skein_store=debug , skein_serve::lmtp = error,"), two);
        for (bad, why) in
            [("skein_store", "has no level"), ("=info", "no part"), ("a b=info", "no part"), ("a=loud", "no level")]
        {
            assert!(module_levels(bad).is_err_and(|error| error.contains(why)), "{bad}");
        }
    }
}
