//! How many connections one address has, all shards and listeners together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts of the table, each behind its own lock, so that shards seldom meet.
const STRIPES: usize = 64;

/// Counts connections by address. Bounded by the connections there are. Clones share the count.
#[derive(Clone, Debug)]
pub struct AddressLimit(Arc<[Mutex<Stripe>; STRIPES]>);

type Stripe = HashMap<u64, u32>;

impl Default for AddressLimit {
    fn default() -> AddressLimit {
        AddressLimit(Arc::new(std::array::from_fn(|_| Mutex::default())))
    }
}

impl AddressLimit {
    /// A place for one more connection of this address; `None` when it has `max` already.
    pub fn try_take(&self, address: IpAddr, max: u32) -> Option<AddressSlot> {
        let place = place(address);
        let mut stripe = self.stripe(place);
        let count = stripe.entry(place).or_default();
        if *count >= max {
            if *count == 0 {
                stripe.remove(&place);
            }
            return None;
        }
        *count += 1;
        drop(stripe);
        Some(AddressSlot { limit: self.clone(), place })
    }

    /// How many connections this address has.
    pub fn open(&self, address: IpAddr) -> u32 {
        let place = place(address);
        self.stripe(place).get(&place).copied().unwrap_or_default()
    }

    fn stripe(&self, place: u64) -> MutexGuard<'_, Stripe> {
        // The last bits of an IPv4 address, and of an IPv6 network, differ most.
        self.0[place as usize % STRIPES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one host: an IPv4 address, or the 64 bits of an IPv6 network, within which a host takes any address it likes.
pub(crate) fn place(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // No IPv6 network starts with a zero and is routed, so the two never meet.
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => (u128::from(v6) >> 64) as u64,
    }
}

/// One connection's place; travels with it and is free again when dropped.
#[derive(Debug)]
pub struct AddressSlot {
    limit: AddressLimit,
    place: u64,
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut stripe = self.limit.stripe(self.place);
        if let Some(count) = stripe.get_mut(&self.place) {
            *count -= 1;
            if *count == 0 {
                stripe.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_by_address() {
        let limit = AddressLimit::default();
        let take = |address: &str, max| limit.try_take(address.parse().unwrap(), max);
        let open = |address: &str| limit.open(address.parse().unwrap());
        let (first, _second) = (take("192.0.2.1", 2).unwrap(), take("::ffff:192.0.2.1", 2).unwrap());
        assert!(take("192.0.2.1", 2).is_none() && take("192.0.2.2", 0).is_none());
        let _other = take("192.0.2.2", 2).unwrap();
        let _six = take("2001:db8::1", 1).unwrap();
        assert!(take("2001:db8::ffff:1", 1).is_none() && take("2001:db8:0:1::1", 1).is_some());
        drop(first);
        assert_eq!((open("192.0.2.1"), open("192.0.2.3")), (1, 0));
        assert!(take("192.0.2.1", 2).is_some());
        assert_eq!(open("192.0.2.1"), 1);
    }

    #[test]
    fn nothing_is_left_of_who_is_gone() {
        let limit = AddressLimit::default();
        let slots: Vec<_> = (0..1000u32).filter_map(|n| limit.try_take(IpAddr::from(n.to_be_bytes()), 1)).collect();
        assert_eq!(slots.len(), 1000);
        drop(slots);
        assert!(limit.0.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }
}
