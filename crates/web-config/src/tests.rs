//! The guard, with real connections and certificates made on the spot.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use test_kit::{Authority, Pair};
use tls::{Certificate, ClientCertificates, ClientTls, Identity, Roots, ServerTls};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn authorization(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

fn users(pairs: &[(&str, &str)]) -> Users {
    let mut users = Users::default();
    for (name, password) in pairs {
        users.add(name, &bcrypt::hash(password, 4).unwrap()).unwrap();
    }
    users
}

/// What the guard said, in words.
type Told = Arc<Mutex<Vec<String>>>;

fn guard(load: impl Fn() -> Result<Settings, String> + Send + Sync + 'static) -> (Guard, Told) {
    let told = Told::default();
    let hears = Arc::clone(&told);
    let guard = Guard::new(load, move |event| hears.lock().unwrap().push(format!("{event:?}"))).unwrap();
    (guard, told)
}

fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn written(folder: &Path, name: &str, pair: &Pair) -> Identity {
    Identity {
        certificate: put(folder, &format!("{name}.crt"), &pair.certificate),
        key: put(folder, &format!("{name}.key"), &pair.key),
    }
}

/// One connection to the guard: whether both sides heard each other, and the error of the guard if not.
async fn meet(guard: &Guard, client: Option<ClientTls>) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let calls = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let Some(client) = client else {
            stream.write_all(b"?").await?;
            return stream.read_u8().await;
        };
        let connector = TlsConnector::from(Arc::new(client.load().unwrap()));
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
        stream.write_all(b"?").await?;
        stream.read_u8().await
    };
    let answers = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = guard.open(stream).await.map_err(|error| error.to_string())?;
        stream.read_u8().await.map_err(|error| error.to_string())?;
        stream.write_all(b"!").await.map_err(|error| error.to_string())?;
        stream.shutdown().await.map_err(|error| error.to_string())
    };
    let (called, answered) = tokio::join!(calls, answers);
    answered.and_then(|()| called.map(|_| ()).map_err(|error| error.to_string()))
}

#[test]
fn a_password_lets_its_user_in_and_nobody_else() {
    let users = users(&[("ada", "one"), ("bob", "two:with:colons")]);
    let settings = move || Ok(Settings { users: users.clone(), ..Settings::default() });
    let (guard, told) = guard(settings);
    let refused = |name: &str, password: &str| {
        let admission = run(guard.admit(Some(&authorization(name, password))));
        assert!(
            admission.refusal.is_none() || admission.headers.contains(&("www-authenticate".into(), "Basic".into()))
        );
        admission.refusal
    };
    for _ in 0..2 {
        assert_eq!(refused("ada", "one"), None);
        assert_eq!(refused("bob", "two:with:colons"), None);
        for (name, password) in [("ada", "two:with:colons"), ("ada", ""), ("eve", "one"), ("", ""), ("Ada", "one")] {
            assert_eq!(refused(name, password), Some(401), "{name}:{password}");
        }
    }
    for header in [None, Some("Basic"), Some("Basic !"), Some("Bearer one"), Some("Basic YWRh")] {
        assert_eq!(run(guard.admit(header)).refusal, Some(401), "{header:?}");
    }
    assert_eq!(told.lock().unwrap().len(), 2 * 5 + 4);
}

#[test]
fn a_hash_that_is_none_is_refused_and_not_repeated() {
    let mut users = Users::default();
    let problem = users.add("ada", "secret").unwrap_err();
    assert!(problem.to_string().starts_with("expected a bcrypt hash") && !problem.to_string().contains("secret"));
    users.add("ada", &bcrypt::hash("x", 4).unwrap()).unwrap();
    assert_eq!(format!("{users:?}"), "{\"ada\"}");
}

#[test]
fn without_users_everybody_is_let_in_as_often_as_the_rate_allows() {
    let headers = vec![("x-frame-options".to_owned(), "deny".to_owned())];
    let rate = Some(Rate { burst: 2, interval: std::time::Duration::from_secs(3600) });
    let said = headers.clone();
    let (guard, _) = guard(move || Ok(Settings { headers: headers.clone(), rate, ..Settings::default() }));
    assert_eq!(run(guard.admit(None)), Admission { refusal: None, headers: said });
    assert_eq!(run(guard.admit(None)).refusal, None);
    assert_eq!(run(guard.admit(None)).refusal, Some(429));
}

#[test]
fn a_changed_file_counts_at_the_next_connection_and_a_bad_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = put(folder.path(), "password", "first");
    let path = file.clone();
    let (guard, told) = guard(move || {
        let password = values::read_text(&path, 1024)?;
        if password.is_empty() {
            return Err("nothing in it".to_owned());
        }
        Ok(Settings { users: users(&[("ada", &password)]), files: vec![path.clone()], ..Settings::default() })
    });
    let lets_in = |password: &str| run(guard.admit(Some(&authorization("ada", password)))).refusal.is_none();
    assert!(lets_in("first"));
    put(folder.path(), "password", "the second");
    run(meet(&guard, None)).unwrap();
    assert!(lets_in("the second") && !lets_in("first"));
    put(folder.path(), "password", "");
    run(meet(&guard, None)).unwrap();
    run(meet(&guard, None)).unwrap();
    assert!(lets_in("the second"));
    put(folder.path(), "password", "third");
    run(meet(&guard, None)).unwrap();
    assert!(lets_in("third"));
    let told = told.lock().unwrap().iter().filter(|event| *event != "PasswordRefused").cloned().collect::<Vec<_>>();
    assert_eq!(told, ["Reloaded", "BadReload(\"nothing in it\")", "Reloaded"]);
}

#[test]
fn clients_show_the_certificates_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let roots = put(folder, "ca.crt", &ours.pem());
    let server = written(folder, "server", &ours.server(&["localhost"]));
    let client = |identity: Option<Identity>| {
        Some(ClientTls { roots: Roots::File(roots.clone()), identity, ..ClientTls::default() })
    };
    let known = written(folder, "known", &ours.client_with("known", &["scraper.test"]));
    let other = written(folder, "other", &ours.client_with("other", &["other.test"]));
    let foreign = written(folder, "foreign", &theirs.client_with("foreign", &["scraper.test"]));
    let guarded = |clients: ClientCertificates, names: &[&str]| {
        let server =
            ServerTls { certificates: vec![Certificate::from(server.clone())], clients, ..ServerTls::default() };
        let allowed_names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        guard(move || {
            let tls = Tls { server: server.clone(), allowed_names: allowed_names.clone(), inline: Vec::new() };
            Ok(Settings { tls: Some(tls), ..Settings::default() })
        })
        .0
    };
    let met = |guard: &Guard, identity: Option<&Identity>| run(meet(guard, client(identity.cloned()))).is_ok();
    let roots = roots.clone();
    let required = guarded(ClientCertificates::Required { roots: roots.clone() }, &["scraper.test"]);
    assert!(required.is_secured());
    assert!(met(&required, Some(&known)));
    for refused in [None, Some(&other), Some(&foreign)] {
        assert!(!met(&required, refused), "{refused:?}");
    }
    assert!(run(meet(&required, None)).is_err());
    let unverified = guarded(ClientCertificates::Unverified, &[]);
    assert!(met(&unverified, Some(&foreign)) && !met(&unverified, None));
    let optional = guarded(ClientCertificates::Optional { roots }, &[]);
    assert!(met(&optional, None) && met(&optional, Some(&other)) && !met(&optional, Some(&foreign)));
}

#[test]
fn a_certificate_may_be_a_text_instead_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let roots = Roots::File(put(folder.path(), "ca.crt", &authority.pem()));
    let pair = authority.server(&["localhost"]);
    let texts = [pair.certificate, pair.key].map(|text: String| Inline::new(&text).unwrap());
    let (guard, _) = guard(move || {
        let identity = Identity { certificate: texts[0].path(), key: texts[1].path() };
        let server = ServerTls { certificates: vec![identity.into()], ..ServerTls::default() };
        Ok(Settings {
            tls: Some(Tls { server, allowed_names: Vec::new(), inline: texts.to_vec() }),
            ..Settings::default()
        })
    });
    run(meet(&guard, Some(ClientTls { roots, ..ClientTls::default() }))).unwrap();
}
