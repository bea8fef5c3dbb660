//! One FETCH line, item by item.

use super::text;
use crate::imap::{BinarySection, BodySection, FetchItem, Partial, PreviewForm, SectionText};
use skein_base::{Flags, Guid, KeywordMask, ModSeq, Seq, Uid};

/// Where a FETCH line stands. It borrows nothing: between two items the buffer may be drained to the socket.
///
/// ```
/// # use skein_proto::imap::response::FetchLine;
/// # use skein_base::{Seq, Uid};
/// let mut out = Vec::new();
/// let mut line = FetchLine::begin(&mut out, Seq(12));
/// line.uid(&mut out, Uid(7));
/// line.ready(&mut out, "ENVELOPE", b"(NIL)");
/// line.end(&mut out);
/// assert_eq!(out, b"* 12 FETCH (UID 7 ENVELOPE (NIL))\r\n");
/// ```
#[must_use = "a FETCH line must be ended"]
#[derive(Debug)]
pub struct FetchLine {
    empty: bool,
}

impl FetchLine {
    /// `* 12 FETCH (`
    pub fn begin(out: &mut Vec<u8>, seq: Seq) -> FetchLine {
        out.extend_from_slice(b"* ");
        text::number(out, u64::from(seq.0));
        out.extend_from_slice(b" FETCH (");
        FetchLine { empty: true }
    }

    /// `* 25996 UIDFETCH (`, once UIDONLY is enabled (RFC 9586 §3.3).
    pub fn begin_uid(out: &mut Vec<u8>, uid: Uid) -> FetchLine {
        out.extend_from_slice(b"* ");
        text::number(out, u64::from(uid.0));
        out.extend_from_slice(b" UIDFETCH (");
        FetchLine { empty: true }
    }

    /// `UID 7`
    pub fn uid(&mut self, out: &mut Vec<u8>, uid: Uid) {
        self.name(out, "UID ");
        text::number(out, u64::from(uid.0));
    }

    /// `FLAGS (\Seen $Label1 \Recent)`
    pub fn flags<S: AsRef<str>>(
        &mut self,
        out: &mut Vec<u8>,
        flags: Flags,
        keywords: KeywordMask,
        names: &[S],
        recent: bool,
    ) {
        self.name(out, "FLAGS ");
        text::flags(out, flags, keywords, names, recent);
    }

    /// `MODSEQ (624140003)` (RFC 7162 §3.1.4.2)
    pub fn modseq(&mut self, out: &mut Vec<u8>, modseq: ModSeq) {
        self.name(out, "MODSEQ (");
        text::number(out, modseq.0);
        out.push(b')');
    }

    /// `INTERNALDATE "17-Jul-1996 02:44:25 +0000"`
    pub fn internal_date(&mut self, out: &mut Vec<u8>, unix_seconds: i64) {
        self.name(out, "INTERNALDATE ");
        text::internal_date(out, unix_seconds);
    }

    /// `SAVEDATE "01-Jan-2015 00:00:00 +0000"` (RFC 8514)
    pub fn save_date(&mut self, out: &mut Vec<u8>, unix_seconds: i64) {
        self.name(out, "SAVEDATE ");
        text::internal_date(out, unix_seconds);
    }

    /// `EMAILID (M00112233445566778899aabbccddeeff)` (RFC 8474)
    pub fn email_id(&mut self, out: &mut Vec<u8>, guid: Guid) {
        self.name(out, "EMAILID (M");
        guid.0.iter().for_each(|byte| text::hex(out, *byte));
        out.push(b')');
    }

    /// `X-GUID 00112233445566778899aabbccddeeff`, as Dovecot tells it
    pub fn guid(&mut self, out: &mut Vec<u8>, guid: Guid) {
        self.name(out, "X-GUID ");
        guid.0.iter().for_each(|byte| text::hex(out, *byte));
    }

    /// `PREVIEW "text"` (RFC 8970 §3), `PREVIEW (FUZZY "text")`, `SNIPPET (FUZZY "text")`; NIL when there is none at hand.
    pub fn preview(&mut self, out: &mut Vec<u8>, form: PreviewForm, preview: Option<&[u8]>) {
        let is_plain = form == PreviewForm::Preview;
        self.name(out, if form == PreviewForm::SnippetFuzzy { "SNIPPET " } else { "PREVIEW " });
        out.extend_from_slice(if is_plain { b"" } else { b"(FUZZY " });
        text::nstring(out, preview);
        out.extend_from_slice(if is_plain { b"" } else { b")" });
    }

    /// `THREADID NIL`: messages are not put into threads (RFC 8474 §5.3).
    pub fn thread_id(&mut self, out: &mut Vec<u8>) {
        self.name(out, "THREADID NIL");
    }

    /// `RFC822.SIZE 44827`
    pub fn size(&mut self, out: &mut Vec<u8>, bytes: u64) {
        self.name(out, "RFC822.SIZE ");
        text::number(out, bytes);
    }

    /// An item whose value is rendered already: `ENVELOPE`, `BODY`, `BODYSTRUCTURE`.
    pub fn ready(&mut self, out: &mut Vec<u8>, name: &str, value: &[u8]) {
        self.name(out, name);
        out.push(b' ');
        out.extend_from_slice(value);
    }

    /// `BODY[1.2]<0> {342}` and CRLF; the caller writes that many bytes next.
    pub fn section(&mut self, out: &mut Vec<u8>, section: &BodySection, bytes: u64) {
        self.section_name(out, section);
        text::literal_head(out, bytes);
    }

    /// `BODY[9] NIL`: the message has no such part.
    pub fn section_nil(&mut self, out: &mut Vec<u8>, section: &BodySection) {
        self.section_name(out, section);
        out.extend_from_slice(b"NIL");
    }

    /// `RFC822.HEADER {342}` and CRLF, for RFC822, RFC822.HEADER, RFC822.TEXT, and sections too; the caller writes
    /// that many bytes next.
    pub fn body(&mut self, out: &mut Vec<u8>, item: &FetchItem, bytes: u64) {
        match item {
            FetchItem::Section(section) => return self.section(out, section, bytes),
            FetchItem::Rfc822 { .. } => self.name(out, "RFC822 "),
            FetchItem::Rfc822Header => self.name(out, "RFC822.HEADER "),
            FetchItem::Rfc822Text { .. } => self.name(out, "RFC822.TEXT "),
            other => panic!("{other:?} has no body"),
        }
        text::literal_head(out, bytes);
    }

    /// `BODY[HEADER.FIELDS (From)] `, for [`FetchLine::section_named`] of many messages.
    pub fn name_of_section(section: &BodySection) -> Vec<u8> {
        let mut name = Vec::new();
        FetchLine { empty: true }.section_name(&mut name, section);
        name
    }

    /// As [`FetchLine::section`], by the name that [`FetchLine::name_of_section`] gave.
    pub fn section_named(&mut self, out: &mut Vec<u8>, name: &[u8], bytes: u64) {
        self.name(out, "");
        out.extend_from_slice(name);
        text::literal_head(out, bytes);
    }

    /// `BINARY[1]<0> {342}` and CRLF, or `~{342}` when there are NULs in what the caller writes next (RFC 3516 §4.3).
    pub fn binary(&mut self, out: &mut Vec<u8>, section: &BinarySection, bytes: u64, has_nul: bool) {
        self.binary_name(out, "BINARY[", &section.path, section.partial);
        out.extend_from_slice(if has_nul { b"~" } else { b"" });
        text::literal_head(out, bytes);
    }

    /// `BINARY[9] NIL`: the message has no such part.
    pub fn binary_nil(&mut self, out: &mut Vec<u8>, section: &BinarySection) {
        self.binary_name(out, "BINARY[", &section.path, section.partial);
        out.extend_from_slice(b"NIL");
    }

    /// `BINARY.SIZE[1] 342`
    pub fn binary_size(&mut self, out: &mut Vec<u8>, path: &[u32], bytes: u64) {
        self.binary_name(out, "BINARY.SIZE[", path, None);
        text::number(out, bytes);
    }

    /// `)` and CRLF.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    fn name(&mut self, out: &mut Vec<u8>, name: &str) {
        if !self.empty {
            out.push(b' ');
        }
        self.empty = false;
        out.extend_from_slice(name.as_bytes());
    }

    fn section_name(&mut self, out: &mut Vec<u8>, section: &BodySection) {
        self.name(out, "BODY[");
        part_numbers(out, &section.path);
        if !section.path.is_empty() && section.text != SectionText::All {
            out.push(b'.');
        }
        match &section.text {
            SectionText::All => {}
            SectionText::Header => out.extend_from_slice(b"HEADER"),
            SectionText::Text => out.extend_from_slice(b"TEXT"),
            SectionText::Mime => out.extend_from_slice(b"MIME"),
            SectionText::HeaderFields(names) => fields(out, "HEADER.FIELDS (", names),
            SectionText::HeaderFieldsNot(names) => fields(out, "HEADER.FIELDS.NOT (", names),
        }
        section_end(out, section.partial);
    }

    fn binary_name(&mut self, out: &mut Vec<u8>, name: &str, path: &[u32], partial: Option<Partial>) {
        self.name(out, name);
        part_numbers(out, path);
        section_end(out, partial);
    }
}

fn part_numbers(out: &mut Vec<u8>, path: &[u32]) {
    for (i, part) in path.iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        text::number(out, u64::from(*part));
    }
}

fn section_end(out: &mut Vec<u8>, partial: Option<Partial>) {
    out.push(b']');
    if let Some(partial) = partial {
        out.push(b'<');
        text::number(out, partial.origin);
        out.push(b'>');
    }
    out.push(b' ');
}

fn fields(out: &mut Vec<u8>, head: &str, names: &[String]) {
    out.extend_from_slice(head.as_bytes());
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        text::astring(out, name.as_bytes());
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stand_in_one_line() {
        let mut out = Vec::new();
        let mut line = FetchLine::begin(&mut out, Seq(3));
        line.flags(&mut out, Flags::SEEN, KeywordMask(1), &["work"], true);
        line.modseq(&mut out, ModSeq(65402));
        line.internal_date(&mut out, 837_596_665);
        line.size(&mut out, 4286);
        line.body(&mut out, &FetchItem::Rfc822Text { peek: false }, 1);
        out.push(b'(');
        line.uid(&mut out, Uid(9));
        line.end(&mut out);
        let want = "* 3 FETCH (FLAGS (\\Seen work \\Recent) MODSEQ (65402) INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" \
                    RFC822.SIZE 4286 RFC822.TEXT {1}\r\n( UID 9)\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn without_a_number() {
        let mut out = Vec::new();
        let mut line = FetchLine::begin_uid(&mut out, Uid(25996));
        line.flags(&mut out, Flags::SEEN, KeywordMask(0), &[""; 0], false);
        line.end(&mut out);
        assert_eq!(out, b"* 25996 UIDFETCH (FLAGS (\\Seen))\r\n");
    }

    #[test]
    fn binary_sections_and_previews() {
        let section = |path, partial| BinarySection { path, partial, peek: true };
        let mut out = Vec::new();
        let mut line = FetchLine::begin(&mut out, Seq(1));
        line.binary(&mut out, &section(vec![1, 2], Some(Partial { origin: 7, bytes: 5 })), 2, true);
        out.extend_from_slice(b"\0a");
        line.binary(&mut out, &section(vec![], None), 1, false);
        out.push(b'x');
        line.binary_nil(&mut out, &section(vec![9], None));
        line.binary_size(&mut out, &[3], 12);
        line.preview(&mut out, PreviewForm::Preview, Some(b"say \"x\""));
        line.preview(&mut out, PreviewForm::PreviewFuzzy, None);
        line.preview(&mut out, PreviewForm::SnippetFuzzy, Some("ü".as_bytes()));
        line.guid(&mut out, Guid([0xab; 16]));
        line.end(&mut out);
        let want = "* 1 FETCH (BINARY[1.2]<7> ~{2}\r\n\0a BINARY[] {1}\r\nx BINARY[9] NIL BINARY.SIZE[3] 12 \
                    PREVIEW \"say \\\"x\\\"\" PREVIEW (FUZZY NIL) SNIPPET (FUZZY {2}\r\nü) \
                    X-GUID abababababababababababababababab)\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn sections_are_echoed() {
        let names = || vec!["From".to_string(), "X-(odd)".to_string()];
        let part = |origin| Some(Partial { origin, bytes: 5 });
        for (path, text, partial, want) in [
            (vec![], SectionText::All, None, "BODY[] "),
            (vec![1, 2], SectionText::All, part(0), "BODY[1.2]<0> "),
            (vec![], SectionText::Header, part(7), "BODY[HEADER]<7> "),
            (vec![4], SectionText::Mime, None, "BODY[4.MIME] "),
            (vec![4], SectionText::Text, None, "BODY[4.TEXT] "),
            (vec![], SectionText::HeaderFields(names()), None, "BODY[HEADER.FIELDS (From \"X-(odd)\")] "),
            (vec![2], SectionText::HeaderFieldsNot(names()), None, "BODY[2.HEADER.FIELDS.NOT (From \"X-(odd)\")] "),
        ] {
            let section = BodySection { path, text, partial, peek: true };
            let mut out = Vec::new();
            let mut line = FetchLine::begin(&mut out, Seq(1));
            line.section(&mut out, &section, 10);
            line.section_nil(&mut out, &section);
            line.end(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("* 1 FETCH ({want}{{10}}\r\n {want}NIL)\r\n"));
        }
    }
}
