//! What probes and hooks do to a container: run a command in it, ask it by HTTP, connect to it, wait.

use std::{
    net::{IpAddr, SocketAddr},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, header};
use tokio::process::Command;

use super::{
    holder::{Door, write_private},
    inside::Enter,
    instance::Instance,
    model::{Action, Port},
    plan::Plan,
    process::Process,
};
use crate::http;

static ASKED: AtomicU64 = AtomicU64::new(0);

pub struct Actor<'a> {
    pub plan: &'a Plan,
    pub instance: &'a Instance,
    pub door: &'a Door,
    pub process: &'a Process,
}

impl Actor<'_> {
    pub async fn act(&self, action: &Action, within: Duration) -> Result<(), String> {
        let acting = async {
            match action {
                Action::Exec(words) => self.exec(words, within).await,
                Action::Http { host, port, path, headers } => {
                    let addr = self.addr(host.as_deref(), port)?;
                    let stream = self.door.connect(addr).await?;
                    let reply = http::exchange(stream, request(addr, path, headers)?).await?;
                    let (status, body) = (reply.status, reply.body);
                    let first: String = body.lines().next().unwrap_or_default().chars().take(120).collect();
                    if (200..400).contains(&status) { Ok(()) } else { Err(format!("answered {status}: {first}")) }
                }
                Action::Tcp { host, port } => self.door.connect(self.addr(host.as_deref(), port)?).await.map(drop),
                Action::Sleep(time) => {
                    tokio::time::sleep(*time).await;
                    Ok(())
                }
            }
        };
        // A command has its time-out inside, where it can be killed; this is for the rest.
        let patience = within + Duration::from_millis(if matches!(action, Action::Exec(_)) { 500 } else { 0 });
        let acted = tokio::time::timeout(patience, acting).await;
        acted.unwrap_or_else(|_| Err(format!("no answer within {} s", within.as_secs_f64())))
    }

    /// Those of a kubelet come to the pod's address: who listens on 127.0.0.1 only is not reached.
    fn addr(&self, host: Option<&str>, port: &Port) -> Result<SocketAddr, String> {
        let ip = match host {
            None => IpAddr::V4(self.instance.addr),
            Some("localhost") => IpAddr::from([127, 0, 0, 1]),
            Some(host) => host.parse().map_err(|_| format!("host {host}: expected an address"))?,
        };
        let port =
            self.instance.pod.port(port).ok_or_else(|| format!("{port:?}: no container has a port of that name"))?;
        Ok(SocketAddr::new(ip, port))
    }

    async fn exec(&self, words: &[String], within: Duration) -> Result<(), String> {
        // Several probes may ask at once.
        let number = ASKED.fetch_add(1, Ordering::Relaxed);
        let path = self.plan.launch.with_file_name(format!("exec-{number}.json"));
        let enter = self.enter(words.to_vec(), Some(within));
        write_private(&path, &enter)?;
        let output = Command::new(std::env::current_exe().map_err(|error| error.to_string())?)
            .args(["inside", "enter", &std::process::id().to_string()])
            .arg(&path)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| error.to_string());
        let _ = std::fs::remove_file(path);
        let output = output?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
        let said: String = said.chars().take(200).collect();
        Err(format!("{}: exit {}: {said}", words.join(" "), output.status.code().unwrap_or(255)))
    }

    pub fn enter(&self, words: Vec<String>, timeout: Option<Duration>) -> Enter {
        Enter {
            spaces: self.plan.spaces.clone(),
            pid: self.process.pid,
            words,
            env: self.plan.env.clone(),
            dir: self.plan.dir.clone(),
            who: self.plan.who.clone(),
            timeout,
            interactive: timeout.is_none(),
        }
    }
}

fn request(addr: SocketAddr, path: &str, headers: &[(String, String)]) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder().uri(path).header(header::CONNECTION, "close");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header(header::HOST, addr.to_string());
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::default()).map_err(|error| error.to_string())
}
