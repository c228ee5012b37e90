//! The process that holds a pod's network: it brings it up, lets the outside in, and lets the pod reach Services.

use std::{
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, ExitCode},
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::sethostname,
};
use rtnetlink::LinkUnspec;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader as AsyncReader, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
};

use super::{leash, tell};

/// The loopback device of every network.
const LOOPBACK: u32 = 1;
const MOST_CONNECTIONS: usize = 1024;

#[derive(Debug, Serialize, Deserialize)]
pub struct Sandbox {
    pub hostname: String,
    /// Try to have a user namespace too.
    pub user: bool,
    pub share_processes: bool,
    pub addr: Ipv4Addr,
    /// A socket of files: whoever connects there names an address of the pod, and is connected.
    pub door: PathBuf,
    /// Addresses that exist in the pod only, and the sockets of files behind which others answer.
    pub services: Vec<(Ipv4Addr, u16, PathBuf)>,
}

pub fn run(parent: i32, spec: &Sandbox) -> Result<ExitCode, String> {
    let mut spaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    spaces.set(CloneFlags::CLONE_NEWUSER, spec.user);
    spaces.set(CloneFlags::CLONE_NEWPID, spec.share_processes);
    unshare(spaces).map_err(|error| format!("namespaces: {error}"))?;
    leash(Some(parent))?;
    tell("unshared");
    wait_for_a_line()?;
    sethostname(&spec.hostname).map_err(|error| format!("hostname {}: {error}", spec.hostname))?;
    // Every port is for everybody, as container runtimes have it.
    let ports = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    std::fs::write(ports, "0").map_err(|error| format!("{ports}: {error}"))?;
    let mut first = None;
    if spec.share_processes {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        // Any process of ours that does nothing but be there, and take in those that have lost their parents.
        let child = Command::new(program).args(["inside", "pause"]).spawn();
        first = Some(child.map_err(|error| format!("cannot start a process: {error}"))?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let number = first.as_ref().map_or(0, std::process::Child::id);
    runtime.block_on(serve(spec, number)).map(|()| ExitCode::SUCCESS)
}

fn wait_for_a_line() -> Result<(), String> {
    let mut line = String::new();
    BufReader::new(std::io::stdin()).read_line(&mut line).map_err(|error| error.to_string())?;
    if line.is_empty() { Err("nobody there".into()) } else { Ok(()) }
}

async fn serve(spec: &Sandbox, first: u32) -> Result<(), String> {
    bring_up(spec).await.map_err(|problem| format!("the pod's network: {problem}"))?;
    let door = UnixListener::bind(&spec.door).map_err(|error| format!("{}: {error}", spec.door.display()))?;
    let mut services = JoinSet::new();
    for (addr, port, behind) in &spec.services {
        let listener = TcpListener::bind((*addr, *port)).await.map_err(|error| format!("{addr}:{port}: {error}"))?;
        services.spawn(pass_on(listener, behind.clone()));
    }
    tell(&format!("ready {first}"));
    let mut visitors = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = door.accept(), if visitors.len() < MOST_CONNECTIONS => drop(visitors.spawn(let_in(stream))),
            Some(_) = visitors.join_next() => {}
        }
    }
}

async fn bring_up(spec: &Sandbox) -> Result<(), String> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(|error| error.to_string())?;
    let mut talking = JoinSet::new();
    talking.spawn(connection);
    let up = LinkUnspec::new_with_index(LOOPBACK).up().build();
    handle.link().set(up).execute().await.map_err(|error| error.to_string())?;
    let mut addrs: Vec<_> = spec.services.iter().map(|(addr, ..)| *addr).chain([spec.addr]).collect();
    addrs.sort_unstable();
    addrs.dedup();
    for addr in addrs {
        let added = handle.address().add(LOOPBACK, IpAddr::V4(addr), 32).execute().await;
        added.map_err(|error| format!("{addr}: {error}"))?;
    }
    Ok(())
}

/// A visitor says where to, hears whether it worked, and talks.
async fn let_in(stream: UnixStream) {
    let mut stream = AsyncReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let reached = match line.trim().parse::<SocketAddr>() {
        Ok(addr) => TcpStream::connect(addr).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match reached {
        Ok(mut inner) => {
            if stream.write_all(b"ok\n").await.is_ok() {
                // Either end may go away at any time.
                let _ = copy_bidirectional(&mut stream, &mut inner).await;
            }
        }
        Err(problem) => drop(stream.write_all(format!("{problem}\n").as_bytes()).await),
    }
}

async fn pass_on(listener: TcpListener, behind: PathBuf) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((mut inner, _)) = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                let behind = behind.clone();
                connections.spawn(async move {
                    if let Ok(mut outer) = UnixStream::connect(behind).await {
                        let _ = copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
