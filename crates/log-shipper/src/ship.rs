//! Puts the parts together: one follower, one lane for each output, and the positions between them. New settings make
//! new parts that know what the old ones knew.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::{Exit, Failure, Life, Live};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    config::{Config, State},
    events::Events,
    fill::Filler,
    follow::{Catalog, Follower, View},
    lane::Lane,
    output::Reports,
    position::{Memory, Positions, Problem},
    status::Status,
};

/// How long batches that are on their way are waited for when the settings change. What has not arrived by then is read
/// again.
const CHANGEOVER: Duration = Duration::from_secs(2);

/// Ships until the process drains, or until there is nothing left to ship.
pub async fn run(mut live: Live<Config>, events: Events, status: Status, life: Life) -> Result<(), Failure> {
    let events = Arc::new(events);
    let mut known: Option<(State, Memory)> = None;
    loop {
        let config = live.get();
        let (positions, memory) = positions(&config, known.take(), &events)?;
        let positions = Arc::new(Mutex::new(positions));
        let (view, seen) = watch::channel(View::default());
        status.show(&config, seen.clone());
        let mut parts = parts(&config, memory, view.clone(), &positions, &events, &life)?;
        let ended = tokio::select! {
            biased;
            ended = all(&mut parts) => Some(ended),
            _ = live.changed() => None,
        };
        if let Some(ended) = ended {
            positions.lock().unwrap_or_else(PoisonError::into_inner).settle();
            return ended;
        }
        view.send_modify(|view| view.leaving = true);
        // Whoever does not end in time is ended, and has let go of the positions then.
        let _ = timeout(CHANGEOVER, all(&mut parts)).await;
        parts.shutdown().await;
        let memory = positions.lock().unwrap_or_else(PoisonError::into_inner).memory();
        known = Some((config.state.clone(), memory));
    }
}

fn parts(
    config: &Config,
    memory: Memory,
    view: watch::Sender<View>,
    positions: &Arc<Mutex<Positions>>,
    events: &Arc<Events>,
    life: &Life,
) -> Result<JoinSet<Result<(), Failure>>, Failure> {
    let inputs: Arc<[_]> = config.inputs.clone().into();
    let look = Arc::new(Notify::new());
    let mut parts = JoinSet::new();
    for (number, output) in config.outputs.iter().enumerate() {
        events.output(&output.name);
        let (encode, mut deliver) = output.ship.open()?;
        deliver.report_to(Reports::new(&output.name, events));
        let filler = Filler::new(number, output, Arc::clone(&inputs), encode, Arc::clone(events), Arc::clone(&look));
        let lane = Lane {
            number,
            output: output.clone(),
            view: view.subscribe(),
            filler: Some(filler),
            deliver,
            positions: Arc::clone(positions),
            events: Arc::clone(events),
            life: life.clone(),
        };
        parts.spawn(lane.run());
    }
    let lanes = config.outputs.iter().map(|output| (output.name.clone(), output.selects.clone())).collect();
    let catalog = Catalog::new(inputs, lanes, Arc::clone(events), Arc::clone(positions), memory);
    let follower =
        Follower::new(catalog, view, Arc::clone(events), life.clone(), config.until.clone(), config.poll, look);
    parts.spawn(follower.run());
    Ok(parts)
}

/// Waits for all of them, or for the first that fails. A panic of one is passed on: the supervisor knows what to say.
async fn all(parts: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(ended) = parts.join_next().await {
        match ended {
            Ok(result) => result?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => return Err(Failure::bug(error.to_string())),
        }
    }
    Ok(())
}

/// Opens the journal, or goes on with what the parts before knew.
fn positions(config: &Config, known: Option<(State, Memory)>, events: &Events) -> Result<(Positions, Memory), Failure> {
    let names: Vec<_> = config.outputs.iter().map(|output| output.name.clone()).collect();
    let known = known.filter(|(state, _)| *state == config.state).map(|(_, memory)| memory);
    let State::Try(path) = &config.state else {
        return Ok((Positions::in_memory(names), known.unwrap_or_default()));
    };
    match Positions::on_disk(path, names.clone()) {
        Ok((positions, memory)) => Ok((positions, known.unwrap_or(memory))),
        Err(Problem::Taken(why)) => Err(Failure::new(Exit::Config, why)),
        Err(Problem::Unusable(why)) => {
            events.positions_in_memory(&why);
            Ok((Positions::in_memory(names), known.unwrap_or_default()))
        }
    }
}
