//! What people type about how to reach a server, in the same words in every sidecar.

use tls::{ClientTls, Identity, Roots};
use values::{Secret, Settings};

use crate::{Auth, SecretSource};

/// `user` with `password`, or `token`, or `api_key`; each secret as `..._file` as well.
pub fn auth(settings: &mut impl Settings) -> Option<Auth> {
    let user: Option<String> = settings.parsed("user");
    let password = secret(settings, "password");
    let token = secret(settings, "token");
    let key = secret(settings, "api_key");
    match (user, password, token, key) {
        (None, None, None, None) => None,
        (Some(user), Some(password), None, None) => Some(Auth::Basic { user, password }),
        (None, None, Some(token), None) => Some(Auth::Bearer(token)),
        (None, None, None, Some(key)) => Some(Auth::Token("ApiKey", key)),
        _ => {
            let one = "expected user with password (or password_file), or token (or token_file), or api_key (or \
                       api_key_file)";
            settings.problem(one);
            None
        }
    }
}

/// A secret, or the file that has it, which is read anew each time because it rotates.
pub fn secret(settings: &mut impl Settings, key: &str) -> Option<SecretSource> {
    let value = settings.parsed::<String>(key).map(|text| SecretSource::Value(Secret::new(text)));
    let file = settings.parsed(&format!("{key}_file")).map(SecretSource::File);
    value.or(file)
}

/// `ca_file`, `client_certificate` with `client_key`, `insecure_skip_verify`. What is not said is as in `base`.
pub fn client_tls(settings: &mut impl Settings, base: ClientTls) -> ClientTls {
    let ca_file = settings.parsed("ca_file");
    let certificate = settings.parsed("client_certificate");
    let key = settings.parsed("client_key");
    let skip = settings.parsed("insecure_skip_verify").unwrap_or(false);
    if certificate.is_some() != key.is_some() {
        settings.problem("client_certificate and client_key go together");
    }
    ClientTls {
        roots: ca_file.map_or(Roots::System, Roots::SystemAnd),
        identity: certificate.zip(key).map(|(certificate, key)| Identity { certificate, key }),
        dangerously_skip_verification: skip,
        ..base
    }
}
