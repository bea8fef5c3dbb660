//! Names of annotations as clients write them (RFC 5464 §3.2.1).

use crate::limits::METADATA_NAME_BYTES_MAX;

/// The one spelling of an annotation's name, in lower case: names are compared without regard to case.
///
/// # Errors
/// In words: what is wrong with it.
pub fn metadata_name(name: &str) -> Result<String, &'static str> {
    if name.len() > METADATA_NAME_BYTES_MAX {
        return Err("Entry name is too long");
    }
    if !name.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        return Err("Entry name may hold printable ASCII only");
    }
    if name.contains(['*', '%']) {
        return Err("Entry name must not hold * or %");
    }
    let name = name.to_ascii_lowercase();
    let mut levels = name.split('/');
    if levels.next() != Some("") || !matches!(levels.next(), Some("private" | "shared")) {
        return Err("Entry name must begin with /private or /shared");
    }
    match levels.any(str::is_empty) {
        true => Err("Entry name has an empty level"),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(metadata_name("/Private/Comment").as_deref(), Ok("/private/comment"));
        assert_eq!(metadata_name("/shared").as_deref(), Ok("/shared"));
        for wrong in [
            "",
            "/",
            "private/comment",
            "/other/comment",
            "/privates/x",
            "/private/",
            "/private//x",
            "//private/x",
            "/private/*",
            "/private/%",
            "/private/\u{e4}",
            "/private/\n",
        ] {
            assert!(metadata_name(wrong).is_err(), "{wrong:?}");
        }
        let longest = format!("/private/{}", "x".repeat(METADATA_NAME_BYTES_MAX - 9));
        assert!(metadata_name(&longest).is_ok() && metadata_name(&format!("{longest}x")).is_err());
    }
}
