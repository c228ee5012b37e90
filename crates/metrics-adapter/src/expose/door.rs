//! The door of the port, for those who have a web configuration.

use std::{future::Future, io, pin::Pin};

use common::{
    Connection, Door, Verdict,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use tokio::net::TcpStream;
use web_config::{Event, Guard, Settings};

/// To be given to [`common::AdminRoutes::guard`].
pub struct WebDoor(Guard);

impl WebDoor {
    /// `load` reads the settings, now and whenever one of their files has changed.
    pub fn new(
        load: impl Fn() -> Result<Settings, String> + Send + Sync + 'static,
        tell: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        Guard::new(load, tell).map(Self)
    }

    /// Whether connections speak TLS.
    pub fn is_secured(&self) -> bool {
        self.0.is_secured()
    }
}

impl Door for WebDoor {
    fn open(&self, stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send + '_>> {
        Box::pin(async {
            let stream: Box<dyn Connection> = Box::new(self.0.open(stream).await?);
            Ok(stream)
        })
    }

    fn admit<'a>(&'a self, headers: &'a HeaderMap) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Box::pin(async move {
            let admission = self.0.admit(authorization).await;
            let header = |(name, value): (String, String)| {
                Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
            };
            Verdict { refusal: admission.refusal, headers: admission.headers.into_iter().filter_map(header).collect() }
        })
    }
}
