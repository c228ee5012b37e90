//! `netstat` and `get`: what people look for in a container, in an image that has no shell.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use values::Span;

/// Runs one of them, if that is what was asked for.
pub fn run(argv: &[OsString]) -> Option<ExitCode> {
    let called = Path::new(argv.first()?).file_name()?.to_str()?;
    // `kubectl exec POD -- netstat -tulnp`, word for word.
    let (name, rest) = match called {
        "netstat" => (called, argv),
        _ => (argv.get(1)?.to_str()?, &argv[1..]),
    };
    let outcome = match name {
        "netstat" => Netstat::try_parse_from(rest).map(|asked| netstat(&asked)),
        "get" => Get::try_parse_from(rest).map(|asked| get(&asked)),
        _ => return None,
    };
    Some(match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(problem)) => {
            let _ = writeln!(io::stderr(), "reverse-proxy {name}: {problem}");
            ExitCode::FAILURE
        }
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
        }
    })
}

/// Show the sockets of this network namespace, as netstat does
#[derive(clap::Parser)]
#[command(name = "netstat")]
struct Netstat {
    /// TCP
    #[arg(short = 't')]
    tcp: bool,
    /// UDP
    #[arg(short = 'u')]
    udp: bool,
    /// Only those that listen
    #[arg(short = 'l')]
    listening: bool,
    /// Those that listen and those that do not
    #[arg(short = 'a')]
    all: bool,
    /// Numbers, which is all there is
    #[arg(short = 'n')]
    numeric: bool,
    /// Whose they are, where that may be seen
    #[arg(short = 'p')]
    programs: bool,
}

/// A table of the kernel may have this much of interest.
const LARGEST: u64 = 16 << 20;

fn netstat(asked: &Netstat) -> Result<(), String> {
    let both = !asked.tcp && !asked.udp;
    let owners = if asked.programs { owners() } else { BTreeMap::new() };
    let mut out = io::stdout().lock();
    let title = if asked.listening { "only servers" } else { "servers and established" };
    let last = if asked.programs { "PID/Program name" } else { "" };
    let mut lines = vec![
        format!("Active Internet connections ({title})"),
        format!(
            "{:<5} {:>6} {:>6} {:<23} {:<23} {:<11} {last}",
            "Proto", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "State"
        ),
    ];
    for (name, wanted) in [
        ("tcp", asked.tcp || both),
        ("tcp6", asked.tcp || both),
        ("udp", asked.udp || both),
        ("udp6", asked.udp || both),
    ] {
        let Ok(table) = values::read_text(format!("/proc/net/{name}").as_ref(), LARGEST) else { continue };
        if wanted {
            lines.extend(table.lines().skip(1).filter_map(|line| row(name, line, asked, &owners)));
        }
    }
    for line in lines {
        // Whoever has closed the pipe has read enough.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    Ok(())
}

fn row(protocol: &str, line: &str, asked: &Netstat, owners: &BTreeMap<u64, String>) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, remote, state, queues, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
    let is_udp = protocol.starts_with("udp");
    let listens = *state == "0A" || (is_udp && *state == "07");
    if !asked.all && listens != asked.listening && asked.listening {
        return None;
    }
    let (send, receive) = queues.split_once(':')?;
    let queue = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
    let state = if is_udp && listens { "" } else { state_name(state) };
    let owner = owners.get(&inode.parse().ok()?).map_or("-", String::as_str);
    let owner = if asked.programs { owner } else { "" };
    let (local, remote) = (place(local)?, place(remote)?);
    Some(format!("{protocol:<5} {:>6} {:>6} {local:<23} {remote:<23} {state:<11} {owner}", queue(receive), queue(send)))
}

/// `0100007F:1F90` is 127.0.0.1:8080: words of the machine's own order.
fn place(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        _ => {
            let bytes: Vec<u8> = [0, 8, 16, 24].into_iter().filter_map(word).flatten().collect();
            Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()
        }
    };
    let shown = match ip {
        IpAddr::V6(_) if port > 0 => format!("{ip}:{port}"),
        IpAddr::V4(_) if port > 0 => SocketAddr::new(ip, port).to_string(),
        _ => format!("{ip}:*"),
    };
    Some(shown)
}

fn state_name(code: &str) -> &'static str {
    match code {
        "01" => "ESTABLISHED",
        "02" => "SYN_SENT",
        "03" => "SYN_RECV",
        "04" => "FIN_WAIT1",
        "05" => "FIN_WAIT2",
        "06" => "TIME_WAIT",
        "07" => "CLOSE",
        "08" => "CLOSE_WAIT",
        "09" => "LAST_ACK",
        "0A" => "LISTEN",
        "0B" => "CLOSING",
        _ => "",
    }
}

/// Sockets by the processes that have them open; only those that we may look at.
fn owners() -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        let Ok(pid) = name.parse::<u32>() else { continue };
        let program = values::read_text(&process.path().join("comm"), 64).unwrap_or_default();
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default().to_string_lossy().into_owned();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse().ok());
            found.extend(inode.map(|inode| (inode, format!("{pid}/{}", program.trim()))));
        }
    }
    found
}

/// Ask a URL and print what it says: exits 1 unless the answer is 2xx or 3xx
#[derive(clap::Parser)]
#[command(name = "get")]
struct Get {
    /// http://host[:port]/path
    url: String,
    /// A header, as `Name: value`; may be given several times
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Show the head of the answer too
    #[arg(short = 'i', long)]
    include: bool,
    /// How long to wait
    #[arg(long, default_value = "10s")]
    timeout: Span,
}

/// More than this is not looked at in a terminal.
const LARGEST_ANSWER: u64 = 64 << 20;

fn get(asked: &Get) -> Result<(), String> {
    let rest = asked.url.strip_prefix("http://").ok_or("expected a URL that begins with http://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let (host, port) =
        http1::split_port(authority).ok_or_else(|| format!("{authority}: expected a host and maybe a port"))?;
    let port: u16 =
        port.map_or(Ok(80), str::parse).map_err(|_| format!("{authority}: expected a port from 1 to 65535"))?;
    let deadline = Instant::now() + asked.timeout.0;
    let mut stream = connect(host, port, deadline).map_err(|error| format!("{authority}: {error}"))?;
    let mut head = http1::RequestHead::new(http1::Method::Get, &path, authority);
    head.headers.append("User-Agent", concat!("reverse-proxy/", env!("CARGO_PKG_VERSION")));
    head.headers.append("Accept", "*/*");
    for header in &asked.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| format!("-H \"{header}\": expected Name: value"))?;
        if !head.headers.set(name.trim(), value.trim()) {
            return Err(format!("-H \"{header}\": expected the name of a header"));
        }
    }
    let answer = exchange(&mut stream, &head, deadline).map_err(|error| format!("{}: {error}", asked.url))?;
    let (status, text, body) = understood(&answer)?;
    let mut out = io::stdout().lock();
    if asked.include {
        let _ = out.write_all(text);
    }
    let _ = out.write_all(&body).and_then(|()| out.flush());
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("{}: answered {status}", asked.url)) }
}

/// Every address of the name, one after the other: an app may listen on one family only.
fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in std::net::ToSocketAddrs::to_socket_addrs(&(host, port))? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The whole answer. The connection is closed after it, so that it ends where the server ends.
fn exchange(stream: &mut TcpStream, head: &http1::RequestHead, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut bytes = format!("GET {} HTTP/1.0\r\n", head.target()).into_bytes();
    for (name, value) in head.headers.iter() {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(&bytes)?;
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(read) if answer.len() as u64 + read as u64 > LARGEST_ANSWER => {
                return Err(io::Error::other("the answer is larger than 64Mi"));
            }
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
}

/// Status, head, body. HTTP/1.0 was asked for, so that nothing is chunked.
fn understood(answer: &[u8]) -> Result<(u16, &[u8], Vec<u8>), String> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let end = end.ok_or("no answer that is HTTP")?;
    let line = String::from_utf8_lossy(&answer[..end]);
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.filter(|_| line.starts_with("HTTP/1.")).ok_or("no answer that is HTTP")?;
    Ok((status, &answer[..end], answer[end..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_kernel_are_read() {
        assert_eq!(place("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(place("00000000:0050").as_deref(), Some("0.0.0.0:80"));
        assert_eq!(place("00000000:0000").as_deref(), Some("0.0.0.0:*"));
        assert_eq!(place("00000000000000000000000000000000:0050").as_deref(), Some(":::80"));
        assert_eq!(place("00000000000000000000000001000000:0050").as_deref(), Some("::1:80"));
    }
}
