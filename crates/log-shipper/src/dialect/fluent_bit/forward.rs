//! `forward`.

use std::{sync::Arc, time::Duration};

use http_client::SecretSource;
use values::Secret;

use super::{
    classic::Variables,
    net::{Net, compression, secret},
};
use crate::{
    dialect::section::Section,
    output::{
        Ship,
        forward::{Address, Forward, Mode, Server},
        gzip::Compression,
    },
};

const PORT: u16 = 24224;
const ACK: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
const WEIGHT: u32 = 60;

pub(super) fn read(section: &mut Section, variables: &Variables) -> Option<Arc<dyn Ship>> {
    let net = Net::read(section, PORT, variables);
    let has_empty_key = section.switch("empty_shared_key").unwrap_or(false);
    let empty = has_empty_key.then(|| SecretSource::Value(Secret::new("")));
    let shared_key = secret(section, "shared_key").or(empty);
    let (user, password) = (section.text("username"), secret(section, "password"));
    if user.is_some() != password.is_some() {
        section.problem("Username and Password go together");
    }
    let login = user.zip(password);
    let addresses: Vec<Address> = match section.text("unix_path") {
        Some(path) => vec![Address::Unix(path.into())],
        None => net.servers.into_iter().map(|(host, port)| Address::Tcp(host, port)).collect(),
    };
    let server = |address| Server {
        address,
        weight: WEIGHT,
        is_standby: false,
        tls_name: net.tls_name.clone(),
        shared_key: shared_key.clone(),
        login: login.clone(),
    };
    let mode = match compression(section) {
        Compression::None => Mode::Forward,
        Compression::Gzip => Mode::CompressedPackedForward,
        Compression::Zstd => {
            section.problem("Compress: expected gzip, which every receiver understands");
            Mode::Forward
        }
    };
    // Asked for unless somebody says no: without an acknowledgement a receiver that dies takes lines with it.
    let acks = section.switch("require_ack_response").unwrap_or(true);
    let forward = Forward {
        servers: addresses.into_iter().map(server).collect(),
        mode,
        ack_timeout: acks.then_some(ACK),
        connect_timeout: CONNECT,
        keeps_connections: true,
        tls: net.tls.map(Arc::new),
        hostname: section.text("self_hostname").unwrap_or_else(crate::output::forward::hostname),
        tag: section.text("tag"),
        whole_seconds: section.switch("time_as_integer").unwrap_or(false),
    };
    section.no_effect(&["send_options", "retain_metadata_in_forward_mode", "fluentd_compat"]);
    Some(Arc::new(forward))
}
