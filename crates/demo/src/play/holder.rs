//! A pod's namespaces: asked for, and held as long as the pod is there.

use std::{fs, io::Write, net::SocketAddr, path::PathBuf};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{
    inside::{Sandbox, Spaces},
    instance::Instance,
    process::Stage,
};

pub struct Holder {
    pub spaces: Spaces,
    pub door: Door,
    /// Dropped with us, and with it the process is killed, and whatever shares processes with it.
    _stage: Stage,
}

impl Holder {
    pub async fn start(
        instance: &Instance,
        door: PathBuf,
        services: Vec<(std::net::Ipv4Addr, u16, PathBuf)>,
    ) -> Result<Self, String> {
        let mut spec = Sandbox {
            // As long as the kernel lets it be.
            hostname: instance.name.chars().take(63).collect(),
            user: true,
            share_processes: instance.pod.share_processes,
            addr: instance.addr,
            door,
            services,
        };
        match Self::attempt(instance, &spec).await {
            Err(_) if rustix::process::geteuid().is_root() => {
                // Some machines let root have all namespaces but that of users.
                spec.user = false;
                Self::attempt(instance, &spec).await
            }
            outcome => outcome,
        }
        .map_err(|problem| {
            format!(
                "no namespaces for the pod: {problem}. play needs what `unshare --user --net --mount --pid` needs: a \
                 kernel that lets you have user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on \
                 Ubuntu, user.max_user_namespaces above 0), or root"
            )
        })
    }

    async fn attempt(instance: &Instance, spec: &Sandbox) -> Result<Self, String> {
        let path = instance.dir.join("sandbox.json");
        write_private(&path, spec)?;
        let _ = fs::remove_file(&spec.door);
        let mut stage = Stage::start("sandbox", &path, false)?;
        stage.expect("unshared").await?;
        let pid = stage.pid();
        let all_users = if spec.user { map_users(pid)? } else { true };
        stage.answer("mapped").await?;
        let first: i32 = stage.expect("ready").await?.parse().map_err(|_| "no number of a process")?;
        let shared_processes = (first > 0).then_some(first);
        let spaces = Spaces { holder: pid, shared_processes, user: spec.user, all_users };
        Ok(Self { spaces, door: Door { path: spec.door.clone() }, _stage: stage })
    }
}

/// Root gives the pod the users that it has itself; anybody else can only give himself. Whether it was all.
fn map_users(pid: i32) -> Result<bool, String> {
    let write = |name: &str, text: &str| {
        let path = format!("/proc/{pid}/{name}");
        let file = fs::OpenOptions::new().write(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| format!("{path}: {error}"))
    };
    let same = |name: &str| {
        let ours = fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let line = |line: &str| {
            let numbers: Vec<_> = line.split_whitespace().collect();
            matches!(numbers.len(), 3).then(|| format!("{0} {0} {1}\n", numbers[0], numbers[2]))
        };
        ours.lines().filter_map(line).collect::<String>()
    };
    let is_root = rustix::process::geteuid().is_root();
    if is_root && write("uid_map", &same("uid_map")).is_ok() {
        return write("gid_map", &same("gid_map")).map(|()| true);
    }
    write("setgroups", "deny")?;
    write("uid_map", &format!("0 {} 1", rustix::process::geteuid().as_raw()))?;
    write("gid_map", &format!("0 {} 1", rustix::process::getegid().as_raw()))?;
    Ok(false)
}

/// Specs have the environment of containers in them, and that has secrets.
pub fn write_private(path: &std::path::Path, spec: &impl serde::Serialize) -> Result<(), String> {
    use std::os::unix::fs::OpenOptionsExt;
    let text = serde_json::to_vec(spec).map_err(|error| error.to_string())?;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(&text)).map_err(|error| format!("{}: {error}", path.display()))
}

/// The way into a pod's network.
#[derive(Clone)]
pub struct Door {
    path: PathBuf,
}

impl Door {
    pub async fn connect(&self, addr: SocketAddr) -> Result<UnixStream, String> {
        let mut stream = UnixStream::connect(&self.path).await.map_err(|error| error.to_string())?;
        stream.write_all(format!("{addr}\n").as_bytes()).await.map_err(|error| error.to_string())?;
        // Byte by byte: what follows belongs to the conversation.
        let mut line = Vec::new();
        loop {
            match stream.read_u8().await {
                Ok(b'\n') => break,
                Ok(byte) => line.push(byte),
                Err(error) => return Err(error.to_string()),
            }
        }
        match &*line {
            b"ok" => Ok(stream),
            problem => Err(format!("{addr}: {}", String::from_utf8_lossy(problem))),
        }
    }
}
