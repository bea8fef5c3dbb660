//! The name that a message calls itself by, for the log.

/// Characters of a Message-ID that the log shows; longer ones are cut.
const CHARS_MAX: usize = 200;

/// The value of the first Message-ID in a header of which `head` is the beginning; `None` when there is none in it.
pub fn message_id(head: &[u8]) -> Option<String> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_at_checked("message-id".len()) else { continue };
        let Some(value) = value.trim_ascii_start().strip_prefix(b":") else { continue };
        if !name.eq_ignore_ascii_case(b"message-id") {
            continue;
        }
        // Some programs fold right behind the colon (RFC 5322 §2.2.3).
        let folded = lines.next_if(|next| value.trim_ascii().is_empty() && next.starts_with(b" "));
        let value = folded.unwrap_or(value).trim_ascii();
        let text = String::from_utf8_lossy(value).chars().take(CHARS_MAX).collect::<String>();
        return (!text.is_empty()).then_some(text);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_of_the_header_and_none_of_the_body() {
        for (head, expect) in [
            ("Subject: x\r\nMessage-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\n", Some("<a@b>")),
            ("message-id:<a@b>\nX: y\n\n", Some("<a@b>")),
            ("Message-Id :\r\n <folded@b>\r\n\r\n", Some("<folded@b>")),
            ("Message-ID: <cut", Some("<cut")),
            ("Message-ID:\r\nX: y\r\n\r\n", None),
            ("Message-IDs: <a@b>\r\n\r\nMessage-ID: <body@b>\r\n", None),
            ("", None),
        ] {
            assert_eq!(message_id(head.as_bytes()).as_deref(), expect, "{head:?}");
        }
        let long = format!("Message-ID: <{}>\r\n", "é".repeat(5000));
        assert_eq!(message_id(long.as_bytes()).unwrap().chars().count(), CHARS_MAX);
    }
}
