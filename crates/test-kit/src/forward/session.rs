//! One connection: the greeting, then message after message.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
};

use ring::digest::{SHA512, digest};
use rmpv::{
    Value,
    decode::{Error, read_value},
    encode::write_value,
};
use rustls::{ServerConnection, StreamOwned};

use super::{Fault, Security, Shared, message};

const HOSTNAME: &str = "double";
const NONCE: &[u8] = b"nonce of sixteen";
const AUTH: &[u8] = b"salt for password";

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client did not keep to the protocol.
    Wrong(String),
    /// It went away, or was sent away, which is what the test is about.
    Cut,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Cut
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

pub(super) fn serve(shared: &Shared, stream: TcpStream, number: usize) -> Result<(), Ended> {
    let mut stream: Box<dyn Stream> = match &shared.security.tls {
        None => Box::new(stream),
        Some(pair) => {
            let config = pair.server_config(shared.security.client_authority.as_deref());
            let session = ServerConnection::new(config).unwrap();
            Box::new(StreamOwned::new(session, stream))
        }
    };
    if let Some(key) = &shared.security.shared_key {
        greet(&mut stream, &shared.security, key)?;
    }
    loop {
        let fault = shared.next_fault();
        match fault {
            Fault::Hang => loop {
                thread::park();
            },
            Fault::CloseInside => {
                stream.read_exact(&mut [0; 16])?;
                return Ok(());
            }
            _ => {}
        }
        let (received, chunk) = message::read(&next(&mut stream)?, number).map_err(Ended::Wrong)?;
        shared.received.lock().unwrap().extend(received);
        match (fault, chunk) {
            (Fault::CloseAfter, _) => return Ok(()),
            (Fault::Garbage, _) => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?,
            (Fault::WrongAck, Some(_)) => say(&mut stream, &ack("another"))?,
            (Fault::LateAck(delay), Some(chunk)) => {
                thread::sleep(delay);
                say(&mut stream, &ack(&chunk))?;
            }
            (Fault::None, Some(chunk)) => say(&mut stream, &ack(&chunk))?,
            _ => {}
        }
        if shared.security.closes {
            return Ok(());
        }
    }
}

fn next(stream: &mut Box<dyn Stream>) -> Result<Value, Ended> {
    read_value(stream).map_err(|error| match error {
        // The end, or a connection cut: nothing came, or not all.
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => Ended::Cut,
        Error::DepthLimitExceeded => Ended::Wrong(error.to_string()),
    })
}

fn say(stream: &mut Box<dyn Stream>, value: &Value) -> io::Result<()> {
    let mut bytes = Vec::new();
    write_value(&mut bytes, value).unwrap();
    stream.write_all(&bytes)?;
    stream.flush()
}

fn ack(chunk: &str) -> Value {
    Value::Map(vec![("ack".into(), chunk.into())])
}

fn greet(stream: &mut Box<dyn Stream>, security: &Security, key: &str) -> Result<(), Ended> {
    let auth = if security.users.is_empty() { b"".as_slice() } else { AUTH };
    let options = [("nonce", Value::from(NONCE)), ("auth", auth.into()), ("keepalive", (!security.closes).into())];
    let options = options.map(|(name, value)| (Value::from(name), value));
    say(stream, &Value::Array(vec!["HELO".into(), Value::Map(options.into())]))?;
    let ping = next(stream)?;
    let texts: Vec<&str> = ping.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let [word, hostname, salt, theirs, user, password] = texts[..] else {
        return Err(Ended::Wrong(format!("expected PING, found {ping}")));
    };
    if word != "PING" || hostname.is_empty() || salt.len() < 16 {
        return Err(Ended::Wrong(format!("not as PING has to be: {ping}")));
    }
    let own = hex(&[salt.as_bytes(), hostname.as_bytes(), NONCE, key.as_bytes()]);
    let knows = |(known, secret): &(String, String)| {
        known == user && hex(&[AUTH, user.as_bytes(), secret.as_bytes()]) == password
    };
    let reason = match () {
        () if security.lies => "",
        () if own != theirs => "shared_key mismatch",
        () if !security.users.is_empty() && !security.users.iter().any(knows) => "username/password mismatch",
        () => "",
    };
    let proof = hex(&[salt.as_bytes(), HOSTNAME.as_bytes(), NONCE, if security.lies { b"?" } else { key.as_bytes() }]);
    let pong = ["PONG".into(), reason.is_empty().into(), reason.into(), HOSTNAME.into(), proof.as_str().into()];
    say(stream, &Value::Array(pong.into()))?;
    match reason {
        "" => Ok(()),
        _ => Err(Ended::Cut),
    }
}

fn hex(parts: &[&[u8]]) -> String {
    digest(&SHA512, &parts.concat()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
