//! What the app measures, sent by statsd to whoever listens. As statsd clients do: nobody is waited for, nothing is said twice.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

pub struct Statsd(Option<UdpSocket>);

impl Statsd {
    pub fn to(host: Option<&str>, port: u16) -> Result<Self, String> {
        let Some(host) = host else { return Ok(Self(None)) };
        let open = || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect((host, port))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        open().map(|socket| Self(Some(socket))).map_err(|error: std::io::Error| format!("STATSD_HOST {host}: {error}"))
    }

    pub fn answered(&self, page: &str, took: Duration) {
        let Some(socket) = &self.0 else { return };
        let ms = took.as_secs_f64() * 1e3;
        // Numbers are worth less than the answer to a visitor: those that cannot be sent are lost.
        let _ = socket.send(format!("app.requests.{page}:1|c\napp.request_time:{ms:.3}|ms").as_bytes());
    }
}
