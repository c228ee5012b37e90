//! Where sessions are: the peer's words for Redis.

use std::{sync::Arc, time::Duration};

use http_client::SecretSource;
use tls::{ClientTls, Roots};
use values::Secret;

use super::spoken::Spoken;
use crate::store::{Place, RedisSettings, Servers, place};

pub(super) fn store(said: &Spoken, problems: &mut Vec<String>) -> Option<RedisSettings> {
    match said.text("session-store-type") {
        "cookie" => {
            for flag in ["redis-connection-url", "redis-use-sentinel"].iter().filter(|flag| said.truth_or_said(flag)) {
                problems.push(format!("{}: expected --session-store-type=redis with it", said.place(flag)));
            }
            return None;
        }
        "redis" => {}
        other => {
            problems.push(format!("{} \"{other}\": expected cookie or redis", said.place("session-store-type")));
            return None;
        }
    }
    let sentinel = said.truth("redis-use-sentinel");
    let (flag, texts) = if sentinel {
        ("redis-sentinel-connection-urls", said.list("redis-sentinel-connection-urls"))
    } else {
        ("redis-connection-url", said.said("redis-connection-url").into_iter().collect())
    };
    if texts.is_empty() {
        problems.push(format!("--{flag}: required by --session-store-type=redis"));
    }
    let mut places: Vec<Place> = Vec::new();
    for text in &texts {
        match place(text) {
            Ok(place) => places.push(place),
            Err(why) => problems.push(format!("{}: {why}", said.place(flag))),
        }
    }
    let seconds: u64 = said.parsed("redis-connection-idle-timeout", "expected seconds", problems).unwrap_or(0);
    let secret = |flag: &str| said.said(flag).map(|text| SecretSource::Value(Secret::new(text)));
    let master = said.text("redis-sentinel-master-name").to_owned();
    if sentinel && master.is_empty() {
        problems.push("--redis-sentinel-master-name: required by --redis-use-sentinel".into());
    }
    if places.is_empty() {
        return None;
    }
    let first = places.swap_remove(0);
    let password = secret("redis-password").or_else(|| first.password.clone().map(SecretSource::Value));
    let servers = if sentinel {
        let servers = std::iter::once(first.server).chain(places.into_iter().map(|place| place.server));
        Servers::Sentinels { sentinels: servers.collect(), master, password: secret("redis-sentinel-password") }
    } else {
        Servers::One(first.server)
    };
    Some(RedisSettings {
        servers,
        user: said.said("redis-username").or(first.user),
        password,
        database: first.database.unwrap_or(0),
        tls: first.is_tls.then(|| Arc::new(tls(said))),
        idle: (seconds > 0).then(|| Duration::from_secs(seconds)),
    })
}

fn tls(said: &Spoken) -> ClientTls {
    ClientTls {
        roots: said.said("redis-ca-path").map_or(Roots::System, |file| Roots::SystemAnd(file.into())),
        dangerously_skip_verification: said.truth("redis-insecure-skip-tls-verify"),
        ca_setting: "--redis-ca-path".into(),
        ..ClientTls::default()
    }
}
