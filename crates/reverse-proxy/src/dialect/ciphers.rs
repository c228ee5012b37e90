//! OpenSSL's names of cipher suites, which every peer uses, and those of the registry.

const SUITES: [(&str, &str); 9] = [
    ("TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384"),
    ("TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS13_CHACHA20_POLY1305_SHA256"),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// The suites of a list with colons. What rustls does not have is left out, as OpenSSL leaves out what it does not know;
/// words such as HIGH, and a list of which nothing is left, mean all: none of them is weak. The list is about TLS 1.2:
/// what 1.3 has is always added, as OpenSSL does.
pub fn suites(list: Option<&str>) -> Vec<String> {
    let Some(list) = list else { return Vec::new() };
    let known =
        |name: &str| SUITES.iter().find(|(openssl, _)| *openssl == name).map(|(_, registry)| (*registry).to_owned());
    let words = list.split([':', ',', ' ', '[', ']', '|']).filter(|word| !word.is_empty());
    let mut chosen: Vec<String> = words.filter_map(known).collect();
    let groups = ["HIGH", "ALL", "DEFAULT", "EECDH", "ECDHE", "PROFILE=SYSTEM"];
    let is_group = |word: &str| groups.iter().any(|group| word == *group || word.starts_with(&format!("{group}+")));
    if chosen.is_empty() || list.split([':', ',', ' ']).any(is_group) {
        return Vec::new();
    }
    for (_, registry) in &SUITES[..3] {
        if !chosen.iter().any(|name| name == registry) {
            chosen.push((*registry).to_owned());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_rustls_has() {
        let known = tls::suite_names();
        for (_, registry) in SUITES {
            assert!(known.iter().any(|name| name == registry), "{registry}");
        }
        assert_eq!(suites(Some("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA")).len(), 4);
        assert!(suites(Some("HIGH:!aNULL:!MD5")).is_empty());
        assert!(suites(None).is_empty());
    }
}
