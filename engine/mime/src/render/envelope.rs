//! ENVELOPE.

use super::address::{self, Address, addresses};
use super::string::{for_humans, nil, or_nil, unfolded};
use crate::header::{Field, fields};
use skein_base::limits::HEADER_BLOCK_BYTES_MAX;

/// Writes the ENVELOPE of the message that `header` is the header block of: `("date" "subject" ((from)) ..)`.
///
/// Of a field that may come once the last counts; address fields are joined. Sender and Reply-To default to From
/// (RFC 3501 §7.4.2). 8-bit text is passed on in literals.
pub fn envelope(header: &[u8], out: &mut Vec<u8>) {
    let mut found = Found::default();
    for field in fields(&header[..header.len().min(HEADER_BLOCK_BYTES_MAX)]) {
        found.note(&field);
    }
    found.write(out);
}

#[derive(Default)]
struct Found<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: Vec<Address<'a>>,
    sender: Vec<Address<'a>>,
    reply_to: Vec<Address<'a>>,
    to: Vec<Address<'a>>,
    cc: Vec<Address<'a>>,
    bcc: Vec<Address<'a>>,
    in_reply_to: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn note(&mut self, field: &Field<'a>) {
        // The length tells most fields apart before a byte is compared.
        let name = field.name;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let value = field.value;
        match name.len() {
            2 if is("To") => self.to.extend(addresses(value)),
            2 if is("Cc") => self.cc.extend(addresses(value)),
            3 if is("Bcc") => self.bcc.extend(addresses(value)),
            4 if is("From") => self.from.extend(addresses(value)),
            4 if is("Date") => self.date = Some(value),
            6 if is("Sender") => self.sender.extend(addresses(value)),
            7 if is("Subject") => self.subject = Some(value),
            8 if is("Reply-To") => self.reply_to.extend(addresses(value)),
            10 if is("Message-ID") => self.message_id = Some(value),
            11 if is("In-Reply-To") => self.in_reply_to = Some(value),
            _ => {}
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'(');
        text(self.date, out);
        or_nil(self.subject, for_humans, out);
        for list in
            [&self.from, self.or_from(&self.sender), self.or_from(&self.reply_to), &self.to, &self.cc, &self.bcc]
        {
            out.push(b' ');
            write_list(list, out);
        }
        out.push(b' ');
        text(self.in_reply_to, out);
        or_nil(self.message_id, unfolded, out);
        out.push(b')');
    }

    fn or_from<'s>(&'s self, list: &'s Vec<Address<'a>>) -> &'s Vec<Address<'a>> {
        if list.is_empty() { &self.from } else { list }
    }
}

fn text(value: Option<&[u8]>, out: &mut Vec<u8>) {
    or_nil(value, unfolded, out);
    out.push(b' ');
}

fn write_list(list: &[Address<'_>], out: &mut Vec<u8>) {
    if list.is_empty() {
        return nil(out);
    }
    out.push(b'(');
    address::write(list, out);
    out.push(b')');
}
