//! `fetch`: fields of messages, named as `doveadm fetch` names them.

use super::desk::Desk;
use super::message::{Found, found, understand};
use super::route::Stop;
use super::rows::Rows;
use super::users::problem;
use super::wire::{Code, Problem};
use base64::Engine;
use serde_json::{Map, Value};
use skein_base::Flags;
use skein_serve::{Rendering, Seen};

/// Fields of one request.
const FIELDS_MAX: usize = 100;
/// Messages whose columns are looked at at a time.
const BATCH: usize = 256;

/// Something of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Field {
    User,
    Mailbox,
    Uid,
    Seq,
    Guid,
    UniqueId,
    Flags,
    Modseq,
    Received,
    ReceivedSeconds,
    Saved,
    Sent,
    Size,
    Header,
    Named(String),
    Body,
    Text,
    Rendered(Rendering),
}

/// A row for each message with the fields in the order of the request.
pub(crate) async fn fetch(
    desk: &Desk,
    users: &str,
    fields: &[String],
    query: &[String],
    rows: &Rows,
) -> Result<(), Stop> {
    let fields = understand_fields(fields)?;
    found(desk, users, understand(query)?, rows, move |found, rows| {
        let fields = fields.clone();
        async move {
            let mut from = 1;
            loop {
                let batch = found.opened.look(&found.uids, from, BATCH);
                let Some(last) = batch.last() else { return Ok(found.opened) };
                from = last.uid + 1;
                for seen in &batch {
                    match row(&found, seen, &fields).await {
                        Ok(row) => rows.map(row).await?,
                        // One that is damaged must not hide those after it.
                        Err(Stop::Problem(Problem { code, text })) => {
                            let text = format!("{}: {} uid {}: {text}", found.user, found.mailbox, seen.uid);
                            rows.problem(Problem::new(code, text)).await?;
                        }
                        Err(gone) => return Err(gone),
                    }
                }
            }
        }
    })
    .await
}

fn understand_fields(names: &[String]) -> Result<Vec<(String, Field)>, Problem> {
    let names: Vec<&str> =
        names.iter().flat_map(|name| name.split([' ', ',']).filter(|name| !name.is_empty())).collect();
    if names.is_empty() || names.len() > FIELDS_MAX {
        return Err(Problem::new(Code::Usage, format!("between 1 and {FIELDS_MAX} fields can be fetched")));
    }
    let field = |name: &str| field(name).map(|field| (name.to_owned(), field));
    names
        .into_iter()
        .map(|name| field(name).ok_or_else(|| Problem::new(Code::Usage, format!("there is no field {name}"))))
        .collect()
}

fn field(name: &str) -> Option<Field> {
    if let Some(header) = name.strip_prefix("hdr.") {
        return (!header.is_empty()).then(|| Field::Named(header.to_owned()));
    }
    Some(match name {
        "user" => Field::User,
        "mailbox" => Field::Mailbox,
        "uid" => Field::Uid,
        "seq" => Field::Seq,
        "guid" => Field::Guid,
        "pop3.uidl" => Field::UniqueId,
        "flags" => Field::Flags,
        "modseq" => Field::Modseq,
        "date.received" => Field::Received,
        "date.received.unixtimestamp" => Field::ReceivedSeconds,
        "date.saved" => Field::Saved,
        "date.sent" => Field::Sent,
        "size.virtual" | "size.physical" => Field::Size,
        "hdr" => Field::Header,
        "body" => Field::Body,
        "text" => Field::Text,
        "imap.envelope" => Field::Rendered(Rendering::Envelope),
        "imap.body" => Field::Rendered(Rendering::Body),
        "imap.bodystructure" => Field::Rendered(Rendering::BodyStructure),
        _ => return None,
    })
}

async fn row(found: &Found, seen: &Seen, fields: &[(String, Field)]) -> Result<Map<String, Value>, Stop> {
    let mut row = Map::new();
    for (name, field) in fields {
        row.insert(name.clone(), value(found, seen, field).await?);
    }
    Ok(row)
}

async fn value(found: &Found, seen: &Seen, field: &Field) -> Result<Value, Stop> {
    let opened = &found.opened;
    Ok(match field {
        Field::User => Value::from(&*found.user),
        Field::Mailbox => Value::from(&*found.mailbox),
        Field::Uid => seen.uid.into(),
        Field::Seq => seen.seq.into(),
        Field::Guid => hex(&seen.fixed.guid.0).into(),
        Field::UniqueId => seen.unique_id.as_deref().unwrap_or_default().into(),
        Field::Flags => flags(seen).into(),
        Field::Modseq => seen.modseq.into(),
        Field::ReceivedSeconds => seen.fixed.internal_date.into(),
        Field::Received => date(seen.fixed.internal_date).into(),
        Field::Saved => date(seen.fixed.save_date).into(),
        Field::Sent => match header_field(&opened.header(seen).await.map_err(problem)?, "Date") {
            Some(sent) => sent,
            None => Value::Null,
        },
        Field::Size => seen.fixed.size.into(),
        Field::Header => text(&opened.header(seen).await.map_err(problem)?),
        Field::Named(name) => header_field(&opened.header(seen).await.map_err(problem)?, name).unwrap_or(Value::Null),
        Field::Body => {
            let whole = opened.whole(seen).await.map_err(problem)?;
            text(&whole[skein_mime::header_len(&whole)..])
        }
        Field::Text => text(&opened.whole(seen).await.map_err(problem)?),
        Field::Rendered(what) => text(&opened.rendered(seen, *what).await.map_err(problem)?),
    })
}

/// Bytes as they are: a string where they are UTF-8, else an object that holds them in base64.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
            Value::Object(Map::from_iter([("base64".to_owned(), encoded.into())]))
        }
    }
}

/// The values of a header field, one a line, unfolded.
fn header_field(header: &[u8], name: &str) -> Option<Value> {
    let values = skein_mime::fields(header).filter(|field| field.is(name));
    let unfolded = values.map(|field| {
        let mut value = field.value.to_vec();
        value.retain(|b| !b"\r\n".contains(b));
        value.trim_ascii().to_vec()
    });
    let all: Vec<Vec<u8>> = unfolded.collect();
    (!all.is_empty()).then(|| text(&all.join(&b'\n')))
}

fn flags(seen: &Seen) -> String {
    let system = Flags::NAMES.iter().filter(|(flag, _)| seen.flags.contains(*flag)).map(|(_, wire)| *wire);
    let all: Vec<&str> = system.chain(seen.keywords.iter().map(String::as_str)).collect();
    all.join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `2026-03-31T12:00:00Z`
pub fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days.
    let z = days + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * m + 2) / 5 + 1, if m < 10 { m + 3 } else { m - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_bytes_as_they_are() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_868_799), "2000-02-29T23:59:59Z");
        assert_eq!(date(-1), "1969-12-31T23:59:59Z");
        assert_eq!(text(b"a"), Value::from("a"));
        assert_eq!(text(b"\xff")["base64"], "/w==");
    }

    #[test]
    fn fields_by_name() {
        let named = understand_fields(&["uid flags".into(), "hdr.Subject".into()]).unwrap();
        let fields: Vec<Field> = named.into_iter().map(|(_, field)| field).collect();
        assert_eq!(fields, [Field::Uid, Field::Flags, Field::Named("Subject".into())]);
        for bad in ["", "hdr.", "nothing"] {
            assert_eq!(understand_fields(&[bad.into()]).unwrap_err().code, Code::Usage, "{bad}");
        }
        assert!(understand_fields(&vec!["uid".into(); FIELDS_MAX + 1]).is_err());
    }

    #[test]
    fn header_fields_unfold() {
        let header = b"Subject: a\r\n b\r\nX: 1\r\nx: 2\r\n\r\n";
        assert_eq!(header_field(header, "subject"), Some("a b".into()));
        assert_eq!(header_field(header, "X"), Some("1\n2".into()));
        assert_eq!(header_field(header, "none"), None);
    }
}
