//! What whoever watches asks for by a button of the page, and that it is done.

use std::sync::Arc;

use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    board::{Event, Kind},
    pod::Pod,
};

/// Presses that wait, and those under way.
pub const MOST: usize = 8;
/// What somebody has typed.
pub const LONGEST: usize = 200;
const YOU: &str = "you";
/// Any sidecar can be killed.
const KILL: &str = "kill";

#[derive(Debug)]
pub struct Press {
    pub sidecar: String,
    pub action: String,
    pub typed: String,
}

/// Until nobody can press anything any more.
pub async fn obey(pod: Arc<Pod>, mut presses: mpsc::Receiver<Press>) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = under_way.join_next() => {}
            press = presses.recv(), if under_way.len() < MOST => match press {
                Some(press) => drop(under_way.spawn(follow(Arc::clone(&pod), press))),
                None => return,
            },
        }
    }
}

async fn follow(pod: Arc<Pod>, press: Press) {
    if let Err(problem) = done(&pod, &press).await {
        pod.board.happened(Event::new(YOU, Kind::Refused, &[], format!("{}: {problem}", press.sidecar)));
    }
}

async fn done(pod: &Pod, Press { sidecar, action, typed }: &Press) -> Result<(), String> {
    let running = pod.sidecar(sidecar)?;
    if action == KILL {
        pod.board.happened(Event::new(YOU, Kind::Change, &[], format!("kill -9 of {sidecar}")));
        running.process().child.kill();
        return Ok(());
    }
    if !running.sidecar.controls().iter().any(|control| control.action == action) {
        return Err(format!("{action}: there is no such button"));
    }
    running.sidecar.press(pod, action, typed).await
}
