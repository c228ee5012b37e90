//! Certificates change under load: no handshake fails, no connection ends.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use test_kit::{Authority, PATIENCE, Pair, TempDir, eventually};

use crate::{app::App, port, ready, start};

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn client(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // Each handshake is to show the certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn connect(config: &Arc<ClientConfig>, port: u16) -> Tls {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let session = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap();
    StreamOwned::new(session, socket)
}

fn get(tls: &mut Tls) {
    tls.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
    while !text.ends_with(b"GET /") {
        let read = tls.read(&mut bytes).unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&bytes[..read]);
    }
    assert!(text.starts_with(b"HTTP/1.1 200"));
}

/// One file after the other: for a moment the key is not that of the certificate.
fn put(dir: &TempDir, pair: &Pair) {
    for (name, text) in [("tls.crt", &pair.certificate), ("tls.key", &pair.key)] {
        fs::write(dir.join("next"), text).unwrap();
        fs::rename(dir.join("next"), dir.join(name)).unwrap();
    }
}

#[test]
fn certificates_rotate_under_load_and_no_client_notices() {
    let (authority, app) = (Authority::new("test"), App::echo());
    app.keeps.store(false, Ordering::Relaxed);
    let dir = Arc::new(TempDir::new());
    put(&dir, &authority.server(&["localhost"]));
    let at = dir.display();
    let config = format!(
        "listeners: [{{listen: \"127.0.0.1:0\", tls: {{cert_file: {at}/tls.crt, key_file: {at}/tls.key}}, routes: [{{to: \"{}\"}}]}}]\n",
        app.place()
    );
    let sidecar = ready(start(&dir.put("reverse-proxy.yaml", config)).keeping(&dir));
    let (config, port) = (client(&authority), port(&sidecar));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = [true, true, false, false]
        .into_iter()
        .map(|keeps| {
            let (config, stop, done) = (Arc::clone(&config), Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                let mut tls = connect(&config, port);
                while !stop.load(Ordering::Relaxed) {
                    get(&mut tls);
                    done.fetch_add(1, Ordering::Relaxed);
                    if !keeps {
                        tls = connect(&config, port);
                    }
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let pair = authority.server(&["localhost"]);
        let der = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        put(&dir, &pair);
        let is_shown = || {
            let mut tls = connect(&config, port);
            get(&mut tls);
            tls.conn.peer_certificates().is_some_and(|shown| shown[0] == der)
        };
        assert!(eventually(PATIENCE, is_shown), "the new certificate is shown");
    }
    stop.store(true, Ordering::Relaxed);
    for thread in load {
        thread.join().expect("no request fails");
    }
    assert!(done.load(Ordering::Relaxed) > 20);
}
