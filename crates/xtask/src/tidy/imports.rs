//! Who may import whom. ARCHITECTURE.md draws this table; this is the copy that counts.

use crate::workspace::{Dependency, Package};

/// A new library gets a row here, on purpose: which of the others it needs is the design.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("values", &[]),
    ("heap", &[]),
    ("file-watch", &["values"]),
    ("exposition", &[]),
    ("tls", &["values", "file-watch"]),
    ("http-client", &["tls", "values"]),
    ("web-config", &["tls", "values"]),
    ("http1", &[]),
    ("htpasswd", &["values"]),
    ("oidc", &["http-client", "tls", "values"]),
    ("http-proxy", &["http1", "tls", "values"]),
    ("common", &["values", "heap"]),
];

/// Tests run sidecars, they do not link them. The kit imports `common` only because it has a sidecar of its own, which
/// misbehaves on request.
const TEST_KIT: (&str, &[&str]) = ("test-kit", &["common", "values", "tls"]);

/// Programs for developers. They may use any library, and the kit outside tests as well.
const PROGRAMS: &[&str] = &["demo", "bench", "inject"];

pub fn problems(packages: &[Package]) -> Vec<String> {
    let sidecars: Vec<_> = packages.iter().filter(|p| p.is_sidecar()).map(|p| p.name.as_str()).collect();
    packages.iter().flat_map(|package| package.ours().filter_map(|needed| wrong(package, needed, &sidecars))).collect()
}

fn wrong(package: &Package, needed: &Dependency, sidecars: &[&str]) -> Option<String> {
    let (from, to) = (package.name.as_str(), needed.name.as_str());
    let row = LIBRARIES.iter().chain([&TEST_KIT]).find(|(name, _)| *name == from);
    let is_program = PROGRAMS.contains(&from);
    let expectation = if to == TEST_KIT.0 {
        let allowed = needed.kind.as_deref() == Some("dev") || is_program;
        (!allowed).then(|| "the kit of the tests is a dev-dependency only".to_owned())
    } else if sidecars.contains(&to) {
        Some("nobody imports a sidecar; what two of them need is a library".to_owned())
    } else if let Some((_, allowed)) = row {
        (!allowed.contains(&to)).then(|| match allowed {
            [] => format!("{from} imports nothing of ours"),
            some => format!("{from} may import only {}", some.join(", ")),
        })
    } else if sidecars.contains(&from) || is_program {
        let known = LIBRARIES.iter().any(|(name, _)| *name == to);
        (!known).then(|| format!("expected a library of the table, {to} has no row there"))
    } else {
        Some(format!("{from} has no row in the table"))
    };
    let place = if from == "bench" { "bench/Cargo.toml".to_owned() } else { format!("crates/{from}/Cargo.toml") };
    expectation
        .map(|text| format!("{place}: depends on {to}: {text} (the table is in crates/xtask/src/tidy/imports.rs)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
            path: Some("somewhere".into()),
        };
        Package { name: name.into(), dependencies: needs.iter().map(dependency).collect(), ..Package::default() }
    }

    fn verdict(name: &str, needs: &[(&str, Option<&str>)]) -> Vec<String> {
        let neighbour = package("log-shipper", &[("common", None)]);
        problems(&[neighbour, package(name, needs)])
    }

    #[test]
    fn what_the_table_draws_is_allowed() {
        assert_eq!(verdict("tls", &[("values", None), ("test-kit", Some("dev"))]), [""; 0]);
        assert_eq!(verdict("auth-proxy", &[("common", None), ("tls", None), ("http-client", None)]), [""; 0]);
        assert_eq!(verdict("bench", &[("test-kit", None)]), [""; 0]);
    }

    #[test]
    fn what_the_table_does_not_draw_is_named() {
        for (name, needs) in [
            ("values", ("heap", None)),
            ("http-client", ("common", None)),
            ("auth-proxy", ("log-shipper", None)),
            ("demo", ("log-shipper", None)),
            ("tls", ("test-kit", None)),
            ("a-new-library", ("values", None)),
        ] {
            let found = verdict(name, &[needs]);
            assert_eq!(found.len(), 1, "{name} -> {needs:?}: {found:?}");
            assert!(found[0].starts_with(&format!("crates/{name}/Cargo.toml: depends on {}: ", needs.0)), "{found:?}");
        }
    }

    #[test]
    fn a_sidecar_may_not_import_what_has_no_row() {
        let found = verdict("auth-proxy", &[("common", None), ("a-new-library", None)]);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
