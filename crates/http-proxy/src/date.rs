//! The `Date` of a response (RFC 9110 section 6.6.1), made once a second.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

thread_local! {
    static LAST: RefCell<Option<(Instant, String)>> = const { RefCell::new(None) };
}

/// `now` is what the caller knows already: asking the clock costs as much as writing the field.
pub(crate) fn with_now<T>(now: Instant, use_it: impl FnOnce(&str) -> T) -> T {
    LAST.with_borrow_mut(|last| {
        let text = match last {
            Some((until, text)) if now < *until => text,
            last => {
                let clock = SystemTime::now();
                let passed = clock.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
                let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(passed.into()));
                &mut last.insert((Instant::now() + left, httpdate::fmt_http_date(clock))).1
            }
        };
        use_it(text)
    })
}
