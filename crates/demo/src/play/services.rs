//! Names that pods can reach: Services of the files, and places outside that were named on the command line.
//!
//! A pod has no way out of its network but these. Each has an address in every pod, where the process that holds the
//! network listens; behind it is a socket of files, where we pass on to a pod that is ready, or to the outside.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixListener},
    task::JoinSet,
};

use super::{
    cluster::Cluster,
    model::{Port, World},
};

const MOST_CONNECTIONS: usize = 1024;

/// One port of something that can be reached.
pub struct Way {
    pub names: Vec<String>,
    pub addr: Ipv4Addr,
    pub port: u16,
    pub socket: PathBuf,
    target: Target,
}

#[derive(Clone)]
enum Target {
    Pods { service: String, port: Port },
    Outside(String),
}

/// `--outside HOST:PORT=ADDR:PORT`
#[derive(Clone, Debug)]
pub struct Outside {
    host: String,
    port: u16,
    to: String,
}

impl FromStr for Outside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected HOST:PORT=ADDRESS:PORT, such as elasticsearch.logging.svc:9200=127.0.0.1:9200";
        let (name, to) = text.split_once('=').ok_or(expected)?;
        let (host, port) = name.rsplit_once(':').ok_or(expected)?;
        let port = port.parse().map_err(|_| expected)?;
        to.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).ok_or(expected)?;
        Ok(Self { host: host.into(), port, to: to.into() })
    }
}

/// All ways, each with an address: those of one name share it.
pub fn ways(world: &World, outside: &[Outside], sockets: &Path) -> Result<Vec<Way>, String> {
    let mut found: Vec<Way> = Vec::new();
    let mut add = |names: Vec<String>, port: u16, target: Target| -> Result<(), String> {
        let known = found.iter().find(|way| way.names == names).map(|way| way.addr);
        let number = u8::try_from(found.len() + 1).map_err(|_| "more than 250 ports of Services")?;
        let addr = known.unwrap_or(Ipv4Addr::new(10, 96, 0, number));
        let socket = sockets.join(format!("{number}.sock"));
        found.push(Way { names, addr, port, socket, target });
        Ok(())
    };
    for service in &world.services {
        let (name, namespace) = (&service.name, &service.namespace);
        let names = vec![
            name.clone(),
            format!("{name}.{namespace}"),
            format!("{name}.{namespace}.svc"),
            format!("{name}.{namespace}.svc.cluster.local"),
        ];
        for port in &service.ports {
            add(names.clone(), port.port, Target::Pods { service: name.clone(), port: port.target.clone() })?;
        }
    }
    for place in outside {
        add(vec![place.host.clone()], place.port, Target::Outside(place.to.clone()))?;
    }
    Ok(found)
}

/// Lines of /etc/hosts.
pub fn hosts(ways: &[Way]) -> String {
    let mut lines: Vec<_> = ways.iter().map(|way| format!("{}\t{}\n", way.addr, way.names.join(" "))).collect();
    lines.dedup();
    lines.concat()
}

/// The variables that every container has had since the first clusters.
pub fn env(ways: &[Way]) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::new();
    for way in ways {
        if let Target::Pods { service, .. } = &way.target {
            let name = service.to_uppercase().replace('-', "_");
            if !env.iter().any(|(known, _)| *known == format!("{name}_SERVICE_HOST")) {
                env.push((format!("{name}_SERVICE_HOST"), way.addr.to_string()));
                env.push((format!("{name}_SERVICE_PORT"), way.port.to_string()));
            }
        }
    }
    env
}

/// Passes on whatever comes to the sockets of files.
pub fn serve(cluster: &Arc<Cluster>, tasks: &mut JoinSet<()>) -> Result<(), String> {
    for way in &cluster.ways {
        let listener = UnixListener::bind(&way.socket).map_err(|error| format!("{}: {error}", way.socket.display()))?;
        let (cluster, target) = (Arc::clone(cluster), way.target.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((mut from, _)) = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                        let (cluster, target) = (Arc::clone(&cluster), target.clone());
                        connections.spawn(async move {
                            match target {
                                Target::Pods { service, port } => {
                                    if let Ok(mut to) = cluster.connect_service(&service, &port).await {
                                        let _ = copy_bidirectional(&mut from, &mut to).await;
                                    }
                                }
                                Target::Outside(to) => {
                                    if let Ok(mut to) = TcpStream::connect(to).await {
                                        let _ = copy_bidirectional(&mut from, &mut to).await;
                                    }
                                }
                            }
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
    }
    Ok(())
}

/// `--forward [NAME/]LOCAL:PORT`, as `kubectl port-forward` has it.
#[derive(Clone, Debug)]
pub struct Forward {
    /// A pod, or what has pods; the first there is, without.
    name: Option<String>,
    local: u16,
    port: u16,
}

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected [NAME/]LOCAL:PORT, such as 8080:80 or my-pod/8080:80; LOCAL 0 is any free port";
        let (name, ports) = text.rsplit_once('/').map_or((None, text), |(name, ports)| (Some(name), ports));
        let (local, port) = ports.split_once(':').unwrap_or((ports, ports));
        let (local, port) = (local.parse().map_err(|_| expected)?, port.parse().map_err(|_| expected)?);
        Ok(Self { name: name.map(str::to_owned), local, port })
    }
}

pub async fn forward(cluster: &Arc<Cluster>, forward: &Forward, tasks: &mut JoinSet<()>) -> Result<(), String> {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, forward.local));
    let listener = TcpListener::bind(local).await.map_err(|error| format!("--forward: {local}: {error}"))?;
    let local = listener.local_addr().map_err(|error| error.to_string())?;
    let (cluster, name, port) = (Arc::clone(cluster), forward.name.clone(), forward.port);
    cluster.say.event(name.as_deref().unwrap_or("forward"), &format!("Forwarding from {local} -> {port}"));
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Ok((mut from, _)) = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                    let (cluster, name) = (Arc::clone(&cluster), name.clone());
                    connections.spawn(async move {
                        match cluster.connect_pod(name.as_deref(), port).await {
                            Ok(mut to) => drop(copy_bidirectional(&mut from, &mut to).await),
                            Err(problem) => cluster.say.event("forward", &problem),
                        }
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok(())
}
