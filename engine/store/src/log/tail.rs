//! Which records of the tail belong to whom, so that accounts replay one by one, when someone asks for them.

use super::{Record, RecordKind, Scan};
use crate::body::NO_SEGMENT;
use crate::op;
use skein_base::{AccountId, LogPos};
use std::collections::HashMap;

/// One op record of the tail. Its payload is read by position with [`crate::log::Log::read`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TailRecord {
    /// Where the record starts.
    pub start: LogPos,
    /// Where the next one starts: the account is true to here once this one is applied.
    pub end: LogPos,
    /// Bytes of payload.
    pub bytes: u32,
    /// The oldest segment that has something of it: the record itself, or a body that it names.
    pub oldest: u64,
    /// It ends the account: those before it are nobody's.
    pub ends: bool,
}

/// The op records of a scan by account, each account's in log order.
#[derive(Clone, Default, Debug)]
pub struct TailIndex {
    accounts: HashMap<AccountId, Vec<TailRecord>>,
    /// The oldest segments with bodies that snapshots name, of the accounts that were open and of which that is known.
    bodies: HashMap<AccountId, u64>,
    damaged_to: LogPos,
}

impl TailIndex {
    /// Takes note of a record; those that are no ops are passed over. Records come in log order.
    pub fn add(&mut self, record: &Record<'_>) {
        if record.kind == RecordKind::Op {
            // What does not read names nothing; opening the account will say so.
            let ops = op::decode(record.payload).unwrap_or_default();
            let oldest = op::oldest_segment(&ops);
            let entry = TailRecord {
                start: record.start,
                end: record.end,
                bytes: record.payload.len() as u32,
                oldest: oldest.min(record.start.segment),
                ends: op::is_end(&ops),
            };
            self.accounts.entry(record.account).or_default().push(entry);
        }
    }

    /// Takes note of what a scan could not read: whose changes were there is not known.
    pub fn add_damage(&mut self, scan: &Scan) {
        let ends = scan.damage().map(|damage| LogPos { segment: damage.segment, offset: damage.bytes.end });
        self.damaged_to = ends.max().unwrap_or_default().max(self.damaged_to);
    }

    /// The end of the last place that could not be read; the log's beginning when all could.
    pub fn damaged_to(&self) -> LogPos {
        self.damaged_to
    }

    /// Takes an account's records that start at or after `from`, the position its snapshots are true to.
    pub fn take(&mut self, account: AccountId, from: LogPos) -> Vec<TailRecord> {
        let mut records = self.accounts.remove(&account).unwrap_or_default();
        records.drain(..records.partition_point(|r| r.start < from));
        records
    }

    /// An account's records that start at or after `from`, which stay in the index.
    pub fn of(&self, account: AccountId, from: LogPos) -> Vec<TailRecord> {
        let records = self.accounts.get(&account).map_or(&[][..], Vec::as_slice);
        records[records.partition_point(|r| r.start < from)..].to_vec()
    }

    /// The last record that ends the account.
    pub fn end_of(&self, account: AccountId) -> Option<TailRecord> {
        self.accounts.get(&account)?.iter().rfind(|record| record.ends).copied()
    }

    /// Lets go of an account's records, once the account stands.
    pub fn forget(&mut self, account: AccountId) {
        self.accounts.remove(&account);
        self.bodies.remove(&account);
    }

    /// An account's snapshots name bodies in the log from this segment on; [`NO_SEGMENT`] when they name none.
    pub fn names_bodies_from(&mut self, account: AccountId, segment: u64) {
        if segment != NO_SEGMENT {
            let known = self.bodies.entry(account).or_insert(segment);
            *known = segment.min(*known);
        }
    }

    /// Takes an account's records back when the account is closed. None of them are here meanwhile.
    pub fn give_back(&mut self, account: AccountId, records: Vec<TailRecord>) {
        debug_assert!(records.is_sorted_by(|a, b| a.end <= b.start), "records come in log order");
        if !records.is_empty() {
            let before = self.accounts.insert(account, records);
            assert!(before.is_none(), "an account's records are with the account or here, never both");
        }
    }

    /// Accounts with records.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// No account has any.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Puts each account's records in log order, after parts of several segments were merged out of order.
    pub fn sort(&mut self) {
        for records in self.accounts.values_mut() {
            records.sort_unstable_by_key(|record| record.start);
        }
    }

    /// The accounts with records, or bodies, that need a segment up to `segment`. Some come twice.
    pub fn needing(&self, segment: u64) -> impl Iterator<Item = AccountId> + '_ {
        let needs = move |records: &Vec<TailRecord>| records.iter().any(|record| record.oldest <= segment);
        let by_records = self.accounts.iter().filter(move |(_, records)| needs(records)).map(|(account, _)| *account);
        let by_bodies = self.bodies.iter().filter(move |(_, from)| **from <= segment).map(|(account, _)| *account);
        by_records.chain(by_bodies)
    }

    /// The accounts with records.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.accounts.keys().copied()
    }

    /// The parts of several scans in one. Where an account's records interleave, [`TailIndex::sort`] follows.
    pub fn merge(&mut self, later: TailIndex) {
        self.damaged_to = self.damaged_to.max(later.damaged_to);
        for (account, records) in later.accounts {
            self.accounts.entry(account).or_default().extend(records);
        }
    }
}
