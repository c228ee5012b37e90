//! Several servers: turns by weight, others where one fails, standbys where all fail.

use std::time::{Duration, Instant};

use http_client::Backoff;

use super::{
    Forward, Server,
    connection::{Connection, Trouble},
};
use crate::{
    fill::Batch,
    output::{Deliver, Delivery, Outcome, Reports, parts},
};

/// How long a server that failed is passed over, while another works: first, and at most.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(60);

pub(super) struct Servers {
    forward: Forward,
    reports: Reports,
    nodes: Vec<Node>,
}

/// A server and how it is doing.
struct Node {
    server: Server,
    connection: Option<Connection>,
    /// How long it has waited for its turn, in weights.
    due: i64,
    backoff: Backoff,
    rests_until: Option<Instant>,
}

impl Servers {
    pub(super) fn new(forward: Forward) -> Self {
        let node = |server: &Server| Node {
            server: server.clone(),
            connection: None,
            due: 0,
            backoff: Backoff::new(FIRST_REST, LONGEST_REST),
            rests_until: None,
        };
        Self { nodes: forward.servers.iter().map(node).collect(), reports: Reports::default(), forward }
    }

    /// Whose turn it is, then who else there is: first those that work, the standbys among them last.
    fn order(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let rests = |node: &Node| node.rests_until.is_some_and(|until| until > now);
        let works = |node: &Node| !node.server.is_standby && !rests(node);
        // Each gains its weight, the one that is due most pays for all: an even mix in the proportion of the weights.
        let mut sum = 0;
        for node in self.nodes.iter_mut().filter(|node| works(node)) {
            node.due += i64::from(node.server.weight);
            sum += i64::from(node.server.weight);
        }
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|at| {
            let node = &self.nodes[*at];
            (rests(node), node.server.is_standby, -node.due)
        });
        if let Some(first) = order.first().map(|at| &mut self.nodes[*at]).filter(|node| works(node)) {
            first.due -= sum;
        }
        order
    }

    async fn attempt(&mut self, batch: &mut Batch) -> Outcome {
        let mut troubles = Vec::new();
        let is_only = self.nodes.len() == 1;
        for at in self.order() {
            let (node, forward, reports) = (&mut self.nodes[at], &self.forward, &self.reports);
            reports.tell(|events, output| events.sent(output, batch.body.len()));
            match node.deliver(forward, batch, reports).await {
                Ok(()) => {
                    if node.works() && !is_only {
                        reports.tell(|events, output| events.server_works(output, &node.server.address.to_string()));
                    }
                    return Outcome::Delivered;
                }
                Err(why) => {
                    let address = node.server.address.to_string();
                    if node.fails() && !is_only {
                        reports.tell(|events, output| events.server_fails(output, &address, &why));
                    }
                    troubles.push(format!("{address}: {why}"));
                }
            }
        }
        Outcome::Again { why: troubles.join("; "), after: None }
    }
}

impl Deliver for Servers {
    fn report_to(&mut self, reports: Reports) {
        self.reports = reports;
    }

    fn deliver<'a>(&'a mut self, batch: &'a mut Batch) -> Delivery<'a> {
        Box::pin(self.attempt(batch))
    }
}

impl Node {
    async fn deliver(&mut self, forward: &Forward, batch: &mut Batch, reports: &Reports) -> Result<(), String> {
        if let Some(mut kept) = self.connection.take()
            && kept.check().map_err(|trouble| trouble.why)?
        {
            match self.send(kept, forward, batch, reports).await {
                // It was given up on the other side, most likely while it was idle: that is no failure of the server.
                Err(trouble) if trouble.is_closed => {}
                other => return other.map_err(|trouble| trouble.why),
            }
        }
        let connection = Connection::open(&self.server, forward).await.map_err(|trouble| trouble.why)?;
        self.send(connection, forward, batch, reports).await.map_err(|trouble| trouble.why)
    }

    /// What was acknowledged is taken out of the batch. Only a connection on which all went well is kept.
    async fn send(
        &mut self,
        mut connection: Connection,
        forward: &Forward,
        batch: &mut Batch,
        reports: &Reports,
    ) -> Result<(), Trouble> {
        let messages = parts::split(&batch.body);
        let mut acked = vec![false; messages.len()];
        let sent = connection.send(&batch.body, &messages, forward.ack_timeout, &mut acked).await;
        if sent.is_err() && acked.contains(&true) {
            let arrived = messages.iter().zip(&acked).filter(|(_, acked)| **acked);
            let arrived = arrived.map(|(message, _)| message.records as u64).sum();
            reports.tell(|events, output| events.arrived(output, arrived));
            let left = parts::keep(&batch.body, &messages, |at| !acked[at]);
            batch.records = batch.records.saturating_sub(arrived);
            batch.body = left;
        }
        sent?;
        if connection.is_kept {
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Says whether that is news.
    fn works(&mut self) -> bool {
        self.backoff.reset();
        self.rests_until.take().is_some()
    }

    fn fails(&mut self) -> bool {
        self.connection = None;
        let until = Instant::now() + self.backoff.next(None);
        self.rests_until.replace(until).is_none()
    }
}
