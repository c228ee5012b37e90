//! `@type http`.

use std::{collections::BTreeMap, sync::Arc};

use tls::{ClientTls, Identity, Roots};

use super::{search::basic, seconds};
use crate::{
    dialect::section::Section,
    output::{
        Ship,
        http::{Format, Http},
        web::Web,
    },
};

pub(super) fn read(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let Some(endpoint) = section.text("endpoint") else {
        section.problem("endpoint: required");
        return None;
    };
    let mut web = Web::new(vec![endpoint]);
    let headers = section.read("headers", |text| serde_json::from_str::<BTreeMap<String, String>>(text));
    web.headers.extend(headers.unwrap_or_default());
    web.headers.extend(section.text("content_type").map(|kind| ("Content-Type".into(), kind)));
    web.timeout = section.read("read_timeout", seconds).unwrap_or(web.timeout);
    web.compression = section.parsed("compress").unwrap_or_default();
    if let Some(mut auth) = section.child("auth") {
        if let Some(method) = auth.entry("method").filter(|method| method.value != "basic") {
            auth.wrong(&method, "expected basic");
        }
        web.auth = basic(&mut auth, "username", "password");
    }
    web.tls = Arc::new(tls(section));
    let is_array = section.switch("json_array").unwrap_or(false);
    let method = section.read("http_method", |text| text.to_ascii_uppercase().parse()).unwrap_or_default();
    if let Some(mut format) = section.child("format")
        && let Some(kind) = format.entry("@type").filter(|kind| kind.value != "json")
    {
        format.wrong(&kind, "expected json");
    }
    section.no_effect(&["open_timeout", "ssl_timeout", "reuse_connections", "tls_version", "tls_ciphers"]);
    // What a server may take later is sent again.
    section.no_effect(&["error_response_as_unrecoverable", "retryable_response_codes"]);
    section.refused(&["headers_from_placeholders", "proxy"], "all requests have the same head, and go straight there");
    let format = if is_array { Format::Json } else { Format::JsonLines };
    Some(Arc::new(Http { method, format, time_key: None, ..Http::new(web) }))
}

fn tls(section: &mut Section) -> ClientTls {
    let mut tls = ClientTls { ca_setting: "tls_ca_cert_path".into(), ..ClientTls::default() };
    if let Some(path) = section.text("tls_ca_cert_path") {
        tls.roots = Roots::File(path.into());
    }
    tls.dangerously_skip_verification = section.text("tls_verify_mode").is_some_and(|mode| mode == "none");
    match (section.text("tls_client_cert_path"), section.text("tls_private_key_path")) {
        (Some(certificate), Some(key)) => {
            tls.identity = Some(Identity { certificate: certificate.into(), key: key.into() });
        }
        (None, None) => {}
        _ => section.problem("tls_client_cert_path and tls_private_key_path go together"),
    }
    section.refused(&["tls_private_key_passphrase"], "expected a key without a passphrase");
    tls
}
