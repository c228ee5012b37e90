//! A client connection that is not HTTP to us: bytes, both ways.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use http1::Version;

use crate::cluster::ClusterId;
use crate::engine::Worker;
use crate::exchange::{Exchange, Flag};
use crate::h1::H1;
use crate::io::Io;
use crate::listener::StreamSettings;
use crate::peer::Peer;
use crate::policy::Policy;
use crate::side::{Pump, PumpError};
use crate::timer::{Timer, after};
use crate::trouble::Trouble;
use crate::upstream::{Client, Upstream, Wanted};

pub(crate) async fn serve<P: Policy>(
    worker: &Arc<Worker<P>>,
    peer: &Peer,
    settings: &StreamSettings,
    cluster: Option<ClusterId>,
    io: Io,
) {
    let view = worker.view();
    let Some(id) = cluster.or_else(|| view.world.policy.on_stream(peer)) else { return };
    let mut record = Exchange::new(Instant::now(), Version::Http11);
    record.cluster = Some(id);
    let result = match view.clusters.get(id.0) {
        None => Err(Trouble::new(Flag::NoCluster, "no such cluster")),
        Some(cluster) => match cluster.enter() {
            None => Err(Trouble::new(Flag::Overflow, "too many connections at the cluster")),
            Some(_in_flight) => {
                let client = Client { peer, bare: false };
                let wanted =
                    Wanted { now: record.started, client, to: None, hash: None, careful: true, fresh: true, own: true };
                match cluster.acquire(&wanted, &mut Vec::new()).await {
                    Ok(acquired) => {
                        record.attempts = 1;
                        record.upstream = Some(Arc::clone(&acquired.member.label));
                        record.connected = Some(record.started.elapsed());
                        let mut acquired = acquired;
                        relay(io, &mut acquired.upstream, settings, &mut record).await
                    }
                    Err(failure) => Err(failure.into()),
                }
            }
        },
    };
    match result {
        Ok(()) => record.complete = true,
        Err(trouble) => {
            record.flags.insert(trouble.flag);
            record.error = Some(trouble.text);
        }
    }
    record.took = record.started.elapsed();
    view.world.policy.on_stream_done(&record, peer);
}

async fn relay(
    io: Io,
    upstream: &mut Upstream,
    settings: &StreamSettings,
    record: &mut Exchange,
) -> Result<(), Trouble> {
    let mut client = H1::new(io);
    client.become_tunnel();
    upstream.become_tunnel();
    let (mut up, mut down, mut timer) = (Pump::default(), Pump::default(), Timer::default());
    let (mut seen, mut moved) = (0, Instant::now());
    let result = poll_fn(|cx| {
        let sent = up.poll(&mut client, upstream, cx, |_| {});
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(Err(broken(&error, true)));
        }
        let received = down.poll(upstream, &mut client, cx, |_| {});
        if let Poll::Ready(Err(error)) = received {
            return Poll::Ready(Err(broken(&error, false)));
        }
        if up.done && down.done {
            return Poll::Ready(Ok(()));
        }
        if up.bytes + down.bytes != seen {
            (seen, moved) = (up.bytes + down.bytes, Instant::now());
        }
        let until = settings.idle_timeout.and_then(|timeout| after(moved, timeout));
        timer.poll(until, cx).map(|()| Err(Trouble::new(Flag::StreamIdle, "nothing moved for too long")))
    })
    .await;
    (record.request_bytes, record.response_bytes) = (up.bytes, down.bytes);
    (record.received, record.sent) = (up.bytes, down.bytes);
    result
}

fn broken(error: &PumpError, from_client: bool) -> Trouble {
    match error {
        PumpError::From(broken) if from_client => Trouble::new(Flag::DownstreamClosed, broken.to_string()),
        PumpError::To(broken) if !from_client => Trouble::new(Flag::DownstreamClosed, broken.to_string()),
        PumpError::From(broken) | PumpError::To(broken) => Trouble::new(Flag::UpstreamClosed, broken.to_string()),
        PumpError::TooLarge => Trouble::new(Flag::BodyTooLarge, "too much data"),
    }
}
