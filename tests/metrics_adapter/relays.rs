//! Passing lines on.

use std::{
    io::Read,
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixDatagram,
    time::Duration,
};

use test_kit::TempDir;

use crate::{PATIENCE, adapter, send, wait_metric};

#[test]
fn lines_go_to_every_kind_of_target() {
    let dir = TempDir::new();
    let path = dir.join("other.sock");
    let unix = UnixDatagram::bind(&path).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    let sidecar = adapter()
        .args(["--listen", "udp://127.0.0.1:0"])
        .args(["--relay", &format!("localhost:{}", udp.local_addr().unwrap().port())])
        .args(["--relay", &format!("tcp://{}", tcp.local_addr().unwrap())])
        .args(["--relay", &format!("unixgram://{}", path.display())])
        .spawn();
    sidecar.wait_ready();
    send(&sidecar, &["a:1|c\nnonsense\n\n", "b:2|g"]);
    let expected = b"a:1|c\nnonsense\nb:2|g\n";
    let mut packet = [0; 100];
    for read in [udp.recv(&mut packet).unwrap(), unix.recv(&mut packet).unwrap()] {
        assert_eq!(&packet[..read], expected);
    }
    let (mut stream, _) = tcp.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut packet[..expected.len()]).unwrap();
    assert_eq!(&packet[..expected.len()], expected);
}

#[test]
fn a_target_that_is_gone_holds_nothing_up_and_is_found_again() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = receiver.local_addr().unwrap();
    drop(receiver);
    let sidecar = adapter().args(["--listen", "udp://127.0.0.1:0", "--relay", &addr.to_string()]).spawn();
    sidecar.wait_ready();
    let lines = vec!["a:1|c"; 20].join("\n");
    for _ in 0..500 {
        send(&sidecar, &[&lines]);
    }
    wait_metric(&sidecar, "a", 10_000.0);
    let receiver = UdpSocket::bind(addr).unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut packet = [0; 2000];
    let found = test_kit::eventually(PATIENCE, || {
        send(&sidecar, &["again:1|c"]);
        receiver.recv(&mut packet).is_ok()
    });
    assert!(found, "{}", sidecar.stderr());
}
