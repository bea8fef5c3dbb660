//! Conditions with a deadline: the kit's only way to let time pass.

use std::thread;
use std::time::{Duration, Instant};

/// Longest time anything in a test may take to happen: a machine under heavy load is slow, not wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long between two looks at a condition.
const TICK: Duration = Duration::from_millis(5);

/// Looks until `look` finds something or `limit` has passed.
pub fn find<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        thread::park_timeout(TICK);
    }
}

/// Waits until `done` is true; false when `limit` has passed first.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    find(limit, || done().then_some(())).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_gives_up() {
        let mut looks = 0;
        assert!(until(PATIENCE, || {
            looks += 1;
            looks == 3
        }));
        assert_eq!(find(Duration::ZERO, || None::<()>), None);
    }
}
