//! Where lines come in.

use std::{
    io::Write,
    net::TcpStream,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixStream},
    },
};

use test_kit::{TempDir, eventually};

use crate::{PATIENCE, adapter, configured, send, udp, wait_metric};

#[test]
fn takes_lines_from_every_kind_of_socket_at_once() {
    let dir = TempDir::new();
    let (gram, stream) = (dir.join("gram.sock"), dir.join("stream.sock"));
    let sidecar = adapter()
        .args(["--listen", "udp://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0"])
        .args(["--listen", &format!("unixgram://{}", gram.display())])
        .args(["--listen", &format!("unix://{}", stream.display())])
        .spawn();
    sidecar.wait_ready();
    send(&sidecar, &["all:1|c\nall:1|c"]);
    let mut tcp = TcpStream::connect(("127.0.0.1", sidecar.port_of("statsd tcp"))).unwrap();
    tcp.write_all(b"all:10|c\r\nall:10|c").unwrap();
    drop(tcp);
    UnixDatagram::unbound().unwrap().send_to(b"all:100|c\nall:100|c\n", &gram).unwrap();
    let mut unix = UnixStream::connect(&stream).unwrap();
    unix.write_all(b"all:1000|c\nall:1000|c\n").unwrap();
    wait_metric(&sidecar, "all", 2222.0);
}

#[test]
fn a_socket_file_left_by_a_killed_process_is_replaced() {
    let dir = TempDir::new();
    let path = dir.join("statsd.sock");
    let start = || {
        let sidecar = adapter().args(["--listen", &format!("unixgram://{}", path.display())]).spawn();
        sidecar.wait_ready();
        sidecar
    };
    let first = start();
    first.kill9();
    first.wait_exit();
    assert!(path.exists());
    let second = start();
    UnixDatagram::unbound().unwrap().send_to(b"a:1|c", &path).unwrap();
    wait_metric(&second, "a", 1.0);
    let third = adapter().args(["--listen", &format!("unixgram://{}", path.display())]).run();
    assert_eq!(third.code, 78, "{}", third.stderr);
    assert!(third.stderr.contains("another process listens there already"), "{}", third.stderr);
    second.signal(rustix::process::Signal::TERM);
    assert_eq!(second.wait_exit(), 0);
    assert!(!path.exists());
}

#[test]
fn socket_files_have_the_mode_that_was_asked_for() {
    let dir = TempDir::new();
    let path = dir.join("statsd.sock");
    let yaml = format!("limits: {{series: 10}}\nread_buffer: 100k\nrelabel: []\n# {}", path.display());
    configured(&dir, &yaml);
    let yaml = format!("listen: [{{at: 'unixgram://{}', mode: '0622'}}]", path.display());
    let sidecar = adapter().args(["--config", &dir.put("other.yaml", yaml)]).spawn();
    sidecar.wait_ready();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o622);
}

#[test]
fn a_line_too_long_is_counted_and_the_connection_lives() {
    let sidecar = adapter().args(["--listen", "tcp://127.0.0.1:0"]).spawn();
    let mut tcp = TcpStream::connect(("127.0.0.1", sidecar.port_of("statsd tcp"))).unwrap();
    tcp.write_all(b"before:1|c\n").unwrap();
    tcp.write_all(&vec![b'x'; 300_000]).unwrap();
    tcp.write_all(b":1|c\nafter:1|c\n").unwrap();
    wait_metric(&sidecar, "after", 1.0);
    assert_eq!(sidecar.metric("before"), Some(1.0));
    assert_eq!(sidecar.metric("metrics_adapter_long_lines_total"), Some(1.0));
}

#[test]
fn a_taken_port_ends_the_start_and_names_it() {
    let sidecar = udp();
    let port = sidecar.port_of("statsd udp");
    let output = adapter().args(["--listen", &format!("udp://127.0.0.1:{port}")]).run();
    assert_eq!(output.code, 78, "{}", output.stderr);
    assert!(output.stderr.contains(&format!("127.0.0.1:{port}")), "{}", output.stderr);
}

#[test]
fn packets_that_the_kernel_drops_are_counted() {
    let dir = TempDir::new();
    let sidecar = configured(&dir, "read_buffer: 4096\n");
    // Longer than a nap takes what is there.
    let packet = vec![b'x'; 1400];
    let packet = std::str::from_utf8(&packet).unwrap();
    let addr = format!("127.0.0.1:{}", sidecar.port_of("statsd udp"));
    let sample = format!("metrics_adapter_kernel_drops_total{{listener=\"{addr}\"}}");
    assert!(eventually(PATIENCE, || {
        send(&sidecar, &[packet; 200]);
        sidecar.metric(&sample) > Some(0.0)
    }));
}

#[test]
fn nothing_comes_in_and_nothing_wakes() {
    let dir = TempDir::new();
    let sidecar = adapter()
        .args(["--listen", "udp://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0"])
        .args(["--listen", &format!("unixgram://{}", dir.join("s").display())])
        .args(["--relay", "127.0.0.1:9"])
        .spawn();
    sidecar.wait_ready();
    send(&sidecar, &["a:1|c", "t:1|ms"]);
    wait_metric(&sidecar, "a", 1.0);
    // What the relay still has to send, and its failure, are over after a while.
    let mut before = sidecar.sleeps();
    assert!(eventually(PATIENCE, || {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let now = sidecar.sleeps();
        std::mem::replace(&mut before, now) == now
    }));
}
