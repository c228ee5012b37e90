//! What the kubelet does with a sidecar that has ended: it is started once more, each time a little later.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    board::{Event, Kind},
    pod::Pod,
};

/// About what the kubelet takes. It is long enough to see what becomes of the others meanwhile.
const FIRST: Duration = Duration::from_secs(1);
/// One that ends more often than that in a minute is of no use.
const MOST: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);

/// Ends if it is of no use.
pub async fn keep(pod: Arc<Pod>, name: &'static str) -> Result<(), String> {
    let mut ends = VecDeque::new();
    loop {
        let status = pod.sidecar(name)?.process().child.ended().await;
        let status = status.map_or("no status".into(), |status| status.to_string());
        pod.board.sidecar(name, |view| (view.ready, view.reason) = (false, format!("ended: {status}")));
        pod.board.happened(Event::new(name, Kind::Refused, &[], format!("has ended: {status}")));
        ends.retain(|end: &Instant| end.elapsed() < MINUTE);
        ends.push_back(Instant::now());
        if ends.len() > MOST {
            return Err(format!("{name} has ended {} times in a minute: {status}", ends.len()));
        }
        let doublings = u32::try_from(ends.len()).unwrap_or(u32::MAX).saturating_sub(1);
        tokio::time::sleep(FIRST * 2_u32.saturating_pow(doublings.min(3))).await;
        let after = pod.start_again(name).await?;
        let text = format!("is back, ready {} ms after its start", after.as_millis());
        pod.board.happened(Event::new(name, Kind::Good, &[], text));
    }
}
