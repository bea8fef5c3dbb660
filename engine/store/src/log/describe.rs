//! A segment in words.

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::scan::{Record, SegmentEnd, scan_segment};
use super::{Damage, Manifest, RecordKind, read_number_note};
use crate::describe::{Fact, Tell, annotation, flags, hex, place, set, special_uses};
use crate::op::{self, Op, StoreMode};
use crate::sim::{SimDisk, SimRng, block_on};
use std::path::Path;

/// The header, a fact for each record and for each op in it, each damaged place, and how it ends. How many places are damaged.
///
/// It is read as a start reads it, from a disk in memory: what a start takes for damage is damage here.
pub(crate) fn describe(bytes: &[u8], tell: Tell<'_>) -> u64 {
    let Some(header) = SegmentHeader::decode(bytes) else {
        tell(Fact::damage(
            0,
            bytes.len().min(SEGMENT_HEADER_BYTES) as u64,
            "the header does not check, or is of a newer version",
        ));
        return 1;
    };
    let fact = Fact::new("segment").number("segment", header.segment).number("shard", u64::from(header.shard.0));
    tell(
        fact.time("created", header.created)
            .text("run", header.run.iter().map(|b| format!("{b:02x}")).collect::<String>()),
    );
    let (dir, disk) = (Path::new("/"), SimDisk::new(&SimRng::new(0)));
    disk.plant(&dir.join(segment_name(header.segment)), bytes.to_vec());
    let mut unread = 0;
    let scanned = block_on(scan_segment(&disk, dir, header.segment, |record| unread += tell_record(record, tell)));
    let scan = scanned.expect("memory does not fail");
    for Damage { bytes, .. } in &scan.damage {
        tell(Fact::damage(bytes.start, bytes.end, "no record that checks; a later write follows"));
    }
    let fact = Fact::new("end").number("records", scan.records).number("end", scan.end);
    tell(match scan.ending {
        SegmentEnd::Sealed => fact.text("ending", "sealed"),
        SegmentEnd::Open => fact.text("ending", "open: the run that wrote it was cut off, or still runs"),
        SegmentEnd::Torn { bytes } => {
            fact.text("ending", format!("torn: {bytes} bytes of a write that was never acknowledged"))
        }
        SegmentEnd::Unborn => fact.text("ending", "unborn"),
        SegmentEnd::Gone => fact.text("ending", "gone"),
    });
    scan.damage.len() as u64 + unread
}

/// The highest number of a segment that a shard has used.
pub(crate) fn describe_number_note(bytes: &[u8], tell: Tell<'_>) -> u64 {
    let number = read_number_note(bytes);
    tell(match number {
        0 => Fact::damage(0, bytes.len() as u64, "no number that checks: it was never whole, or is no more"),
        number => Fact::new("highest_segment").number("segment", number),
    });
    u64::from(number == 0)
}

/// Which segments there are.
pub(crate) fn describe_manifest(bytes: &[u8], tell: Tell<'_>) -> u64 {
    let Some(manifest) = Manifest::decode(bytes) else {
        tell(Fact::damage(0, bytes.len() as u64, "no manifest that checks"));
        return 1;
    };
    let count = manifest.segments.len() as u64;
    tell(Fact::new("manifest").number("edition", manifest.edition).number("segments", count));
    for (number, end) in &manifest.segments {
        let fact = Fact::new("segment").number("segment", *number);
        tell(match end {
            0 => fact.text("end", "not sealed when this was written"),
            _ if manifest.was_gone(*number) => fact.text("end", "gone at an earlier start"),
            _ => fact.number("end", *end),
        });
    }
    0
}

/// 1 for a record of ops that does not read.
fn tell_record(record: &Record<'_>, tell: Tell<'_>) -> u64 {
    let kind = match record.kind {
        RecordKind::Op => "ops",
        RecordKind::Body => "body",
        RecordKind::BodyChunk => "chunk of a body",
        RecordKind::BodyIndex => "table of chunks",
        RecordKind::Seal => "seal",
    };
    let (at, bytes) = (record.start.offset, record.payload.len() as u64);
    let fact = Fact::new("record").number("at", at).text("kind", kind).number("bytes", bytes);
    if record.kind != RecordKind::Op {
        tell(fact);
        return 0;
    }
    tell(fact.text("account", record.account.hex()));
    match op::decode(record.payload) {
        Ok(ops) => {
            ops.iter().for_each(|op| tell_op(op, tell));
            0
        }
        Err(error) => {
            let why =
                format!("the record checks, and byte {} of its payload begins no op of this version", error.offset);
            tell(Fact::damage(at, record.end.offset, why));
            1
        }
    }
}

fn tell_op(op: &Op, tell: Tell<'_>) {
    let fact = Fact::new("op");
    let named = |what: &str| fact.clone().text("op", what);
    match op {
        Op::CreateAccount { user, validity } => {
            tell(named("create account").text("user", user.as_str()).number("uidvalidity", validity.0));
        }
        Op::EndAccount { validity_last } => tell(named("end account").number("uidvalidity_last", *validity_last)),
        Op::CreateMailbox { mailbox, name, validity } => {
            let fact = named("create mailbox").number("mailbox", mailbox.0).text("name", &**name);
            tell(fact.number("uidvalidity", validity.0));
        }
        Op::DeleteMailbox { mailbox } => tell(named("delete mailbox").number("mailbox", mailbox.0)),
        Op::RenameMailbox { mailbox, name } => {
            tell(named("rename mailbox").number("mailbox", mailbox.0).text("name", &**name));
        }
        Op::Subscribe { name, on } => {
            tell(named(if *on { "subscribe" } else { "unsubscribe" }).text("name", &**name));
        }
        Op::Append { mailbox, first_uid, messages } => {
            for (uid, message) in (first_uid.0..).zip(messages) {
                let fact = named("append").number("mailbox", mailbox.0).number("uid", uid);
                let fact = fact.text("flags", flags(message.flags)).text("keywords", message.keywords.join(" "));
                let fact = fact.time("received", message.internal_date).time("saved", message.save_date);
                let fact = fact.number("size", message.size).text("guid", hex(message.guid));
                tell(fact.text("body", place(&message.body)));
            }
        }
        Op::Store { mailbox, uids, mode, flags: named_flags, keywords } => {
            let what = match mode {
                StoreMode::Replace => "replace flags",
                StoreMode::Add => "add flags",
                StoreMode::Remove => "remove flags",
            };
            let fact = named(what).number("mailbox", mailbox.0).text("uids", set(uids));
            tell(fact.text("flags", flags(*named_flags)).text("keywords", keywords.join(" ")));
        }
        Op::Expunge { mailbox, uids } => {
            tell(named("expunge").number("mailbox", mailbox.0).text("uids", set(uids)));
        }
        Op::ClaimRecent { mailbox, below } => {
            tell(named("claim recent").number("mailbox", mailbox.0).number("below_uid", below.0));
        }
        Op::SetSpecialUse { mailbox, uses } => {
            tell(named("set special use").number("mailbox", mailbox.0).text("uses", special_uses(*uses)));
        }
        Op::SetMetadata { mailbox, name, value } => {
            let fact =
                annotation(named(if value.is_some() { "annotate" } else { "remove annotation" }), *mailbox, name);
            tell(match value {
                Some(value) => fact.number("bytes", value.len() as u64),
                None => fact,
            });
        }
        Op::SetValues { mailbox, column, runs } => {
            let fact = named("set values").number("mailbox", mailbox.0).text("column", &**column);
            let runs = runs.iter().map(|run| match run.first == run.last {
                true => format!("{}={}", run.first.0, run.value),
                false => format!("{}:{}={}", run.first.0, run.last.0, run.value),
            });
            tell(fact.text("values", runs.collect::<Vec<_>>().join(" ")));
        }
        Op::SetUniqueId { mailbox, uid, id } => {
            tell(named("set unique id").number("mailbox", mailbox.0).number("uid", uid.0).text("uidl", &**id));
        }
    }
}
