//! The end of a process: what came last is not lost.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use test_kit::TempDir;

use crate::{configured, send, udp, wait_metric};

#[test]
fn serves_what_came_last_until_it_was_scraped() {
    let sidecar = udp();
    send(&sidecar, &["a:1|c"]);
    wait_metric(&sidecar, "a", 1.0);
    sidecar.signal(Signal::TERM);
    sidecar.wait_message("stopping");
    // The app stops at the same time, and sends its last numbers now.
    send(&sidecar, &["a:41|c"]);
    sidecar.wait_message("waiting for whoever scrapes to take what came last");
    assert_eq!(sidecar.metric("a"), Some(42.0));
    let begun = Instant::now();
    assert_eq!(sidecar.wait_exit(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn ends_at_once_when_everything_was_scraped() {
    let sidecar = udp();
    send(&sidecar, &["a:1|c"]);
    wait_metric(&sidecar, "a", 1.0);
    sidecar.signal(Signal::TERM);
    let begun = Instant::now();
    assert_eq!(sidecar.wait_exit(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn does_not_wait_longer_than_it_may() {
    let dir = TempDir::new();
    let sidecar = configured(&dir, "last_scrape: 300ms\n");
    send(&sidecar, &["a:1|c"]);
    sidecar.wait_log(|line| line.message() == "ready");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}
