//! The pipeline: a socket, a thread with the engine, reloads, and the way out.

use std::{fs, io, os::unix::net::UnixListener, sync::Arc};

use common::{Exit, Failure, Life, Live, Phase, Sidecar};
use http_proxy::{Engine, ListenerSettings, Socket, World};
use values::ListenAddr;

use crate::{
    config::Config,
    gate::{Gate, Shared},
    policy::Door,
};

const LISTENER: &str = "proxy";

pub fn start(sidecar: &mut Sidecar, config: Live<Config>, shared: Arc<Shared>) -> Result<(), Failure> {
    let first = config.get();
    let (socket, addr) = bind(&first.listen).map_err(|error| {
        let problem = format!("cannot listen on {}: {error}", first.listen);
        Failure { exit: Exit::Config, problems: vec![problem] }
    })?;
    shared.events.listening(&addr);
    let engine = Engine::new(world(&first, &shared));
    let (serving, life) = (engine.another(), sidecar.life());
    sidecar.spawn_worker(LISTENER, move || async move {
        let draining = life.clone();
        let _busy = life.busy("requests in flight");
        let end = async move { draining.reached(Phase::Draining).await };
        let ended = serving.serve(LISTENER, socket, end).await;
        ended.map_err(|error| Failure::bug(format!("the socket is of no use any more: {error}")))
    })?;
    let life = sidecar.life();
    sidecar.spawn("reload", reload(engine, config, first, shared, life));
    Ok(())
}

/// What is bound stays bound; everything else is new with the next request.
async fn reload(
    engine: Engine<Door>,
    mut config: Live<Config>,
    first: Arc<Config>,
    shared: Arc<Shared>,
    life: Life,
) -> Result<(), Failure> {
    while let Some(next) = life.until_drain(config.changed()).await {
        if next.listen != first.listen {
            shared.events.note("another address to listen on takes effect with the next start");
        }
        engine.swap(world(&next, &shared));
    }
    Ok(())
}

fn world(config: &Arc<Config>, shared: &Arc<Shared>) -> World<Door> {
    for note in &config.notes {
        shared.events.note(note);
    }
    let (gate, clusters) = Gate::new(config, shared);
    World { policy: Door(Arc::new(gate)), clusters, listeners: vec![ListenerSettings::http(LISTENER)] }
}

fn bind(addr: &ListenAddr) -> io::Result<(Socket, String)> {
    let ListenAddr::Unix(path) = addr else {
        let listener = addr.bind_tcp()?;
        let bound = listener.local_addr()?.to_string();
        return Ok((Socket::Tcp(listener), bound));
    };
    let listener = match UnixListener::bind(path) {
        // Left by one who was killed: nobody answers there.
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse && std::os::unix::net::UnixStream::connect(path).is_err() =>
        {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    Ok((Socket::Unix(listener), addr.to_string()))
}
