//! Clients that open a connection with TLS for each request. A process of its own, beside the app. wrk cannot be used for that:
//! it resumes sessions of TLS 1.2, and whoever resumes has not shaken hands.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, RootCertStore, client::Resumption};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    port: u16,
    /// Who has signed the certificate
    #[arg(long)]
    ca: PathBuf,
    #[arg(long)]
    seconds: u64,
    /// Sessions are taken up again, and keys are not agreed on anew
    #[arg(long)]
    resume: bool,
}

const CLIENTS: usize = 16;

/// Prints how many requests were answered, and how many were not.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(|error| error.to_string())?;
    let config = Arc::new(config(&options.ca, options.resume)?);
    let until = Instant::now() + Duration::from_secs(options.seconds);
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(Arc::clone(&config), options.port, until));
        }
        let (mut done, mut failed) = (0, 0);
        while let Some(Ok((good, bad))) = clients.join_next().await {
            (done, failed) = (done + good, failed + bad);
        }
        println!("{done} done, {failed} failed");
    });
    Ok(())
}

/// Trusts whom `ca` has signed.
pub(super) fn config(ca: &Path, resume: bool) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca).map_err(|error| error.to_string())?;
    for certificate in certificates {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = if resume { Resumption::in_memory_sessions(64) } else { Resumption::disabled() };
    Ok(config)
}

async fn client(config: Arc<ClientConfig>, port: u16, until: Instant) -> (u64, u64) {
    let (mut done, mut failed) = (0, 0);
    while Instant::now() < until {
        match request(&config, port).await {
            Ok(()) => done += 1,
            Err(_) => failed += 1,
        }
    }
    (done, failed)
}

async fn request(config: &Arc<ClientConfig>, port: u16) -> io::Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let (mut answer, mut have) = ([0; 1024], 0);
    loop {
        match stream.read(&mut answer[have..]).await {
            Ok(0) => break,
            Ok(count) => have += count,
            // NGINX closes without a word of TLS.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::Error::other("not 200")) }
}
