//! `cargo xtask image`: from the sources to archives that any engine loads, without an engine, and twice the same.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use crate::{
    archive, binary,
    binary::Profile,
    recipe::Recipe,
    rootfs::{self, Program},
    sbom, shell,
    stamp::Stamp,
    tidy::folders::OTHER_IMAGES,
    workspace::{Package, Workspace},
};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which images: names of files in images/ [default: all of them]
    names: Vec<String>,
    /// How to optimise
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
    /// Where the archives go [default: target/images]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The certificates that images trust [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// What stands before the name of each image
    #[arg(long, value_name = "NAME", default_value = "pillion")]
    prefix: String,
    /// The tag of each image [default: the version]
    #[arg(long)]
    tag: Option<String>,
    /// Seconds since 1970 for the label `created` [default: those of the last commit]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    source_date_epoch: Option<u64>,
}

/// Where distributions keep their bundle: Debian and Alpine, Fedora, openSUSE.
const CA_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// What SPEC.md promises of every binary.
const PROMISE: usize = 4 * MIB;
const MIB: usize = 1024 * 1024;

struct Sizes {
    name: String,
    binary: usize,
    layer: usize,
    gzip: usize,
}

pub fn run(options: &Options) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let recipes = workspace.recipes(&options.names)?;
    let ca_bundle = ca_bundle(options.ca_bundle.as_deref())?;
    let stamp = Stamp::of(&workspace.root, options.source_date_epoch);
    let out = options.out.clone().unwrap_or_else(|| workspace.target_directory.join("images"));
    let mut table = Vec::new();
    for (name, recipe) in &recipes {
        eprintln!("xtask: building {name}");
        let package = workspace.image(name, recipe)?;
        let contents = workspace.contents(name, recipe)?;
        let build = contents.iter().map(|(name, recipe)| program(&workspace, options.profile, name, recipe));
        let programs = build.collect::<Result<Vec<_>, String>>()?;
        let layer = rootfs::layer(&programs, &ca_bundle)?.tar()?;
        let tag = format!("{}/{name}:{}", options.prefix, options.tag.as_ref().unwrap_or(&package.version));
        let archive = archive_of(&package, &recipe.holding(&contents), &stamp, &layer, &tag)?;
        let names: Vec<_> = programs.iter().map(|program| program.name).collect();
        save(&out, name, &archive, &sbom::of(&workspace, &package, &names, &stamp)?)?;
        let binary = programs.iter().map(|program| program.bytes.len()).sum();
        table.push(Sizes { name: name.clone(), binary, layer: layer.len(), gzip: gzip(&layer)? });
    }
    print(&table, &out);
    // The other profile does not optimise for size.
    if options.profile == Profile::Release {
        over_promise(&table).iter().for_each(|problem| eprintln!("xtask: {problem}"));
    }
    Ok(())
}

fn program<'a>(
    workspace: &Workspace,
    profile: Profile,
    name: &'a str,
    recipe: &'a Recipe,
) -> Result<Program<'a>, String> {
    let bytes = shell::read(&binary::build(workspace, name, profile, recipe.fast)?)?;
    Ok(Program { name, bytes, recipe })
}

/// The whole image as bytes, from things that are at hand.
pub fn archive_of(
    package: &Package,
    recipe: &Recipe,
    stamp: &Stamp,
    layer: &[u8],
    tag: &str,
) -> Result<Vec<u8>, String> {
    archive::pack(&archive::config(package, recipe, stamp, layer), layer, tag)
}

fn save(out: &Path, name: &str, archive: &[u8], sbom: &str) -> Result<(), String> {
    shell::write(&out.join(format!("{name}.tar")), archive)?;
    // As sha256sum --check reads it.
    let sum = format!("{}  {name}.tar\n", archive::sha256(archive));
    shell::write(&out.join(format!("{name}.tar.sha256")), sum)?;
    shell::write(&out.join(format!("{name}.cdx.json")), sbom)
}

fn ca_bundle(chosen: Option<&Path>) -> Result<Vec<u8>, String> {
    let path = match chosen {
        Some(path) => path,
        None => CA_BUNDLES.map(Path::new).into_iter().find(|path| path.is_file()).ok_or_else(|| {
            format!(
                "no CA bundle in {}: install the package ca-certificates, or name a file with --ca-bundle",
                CA_BUNDLES.join(", ")
            )
        })?,
    };
    let bundle = shell::read(path)?;
    let mark = b"-----BEGIN CERTIFICATE-----";
    if bundle.windows(mark.len()).any(|window| window == mark) {
        Ok(bundle)
    } else {
        Err(format!("{}: expected certificates in PEM", path.display()))
    }
}

/// What a registry stores and a node pulls, near enough.
fn gzip(layer: &[u8]) -> Result<usize, String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(layer).and_then(|()| encoder.finish());
    packed.map(|bytes| bytes.len()).map_err(|error| error.to_string())
}

fn print(table: &[Sizes], out: &Path) {
    let mib = |bytes: usize| bytes as f64 / MIB as f64;
    println!("{:<20} {:>10} {:>10} {:>10}", "image", "binary MiB", "layer MiB", "gz MiB");
    for row in table {
        let [binary, layer, gzip] = [row.binary, row.layer, row.gzip].map(mib);
        println!("{:<20} {binary:>10.2} {layer:>10.2} {gzip:>10.2}", row.name);
    }
    println!("in {}", out.display());
}

/// An image over the promise of SPEC.md is made all the same, and not in silence.
fn over_promise(table: &[Sizes]) -> Vec<String> {
    let over = table.iter().filter(|row| row.binary > PROMISE && !OTHER_IMAGES.contains(&row.name.as_str()));
    over.map(|row| format!("{}: {} bytes, promised are {PROMISE} (4 MiB)", row.name, row.binary)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_over_the_promise_is_named() {
        let row = |binary| Sizes { name: "app".into(), binary, layer: 0, gzip: 0 };
        assert!(over_promise(&[row(PROMISE)]).is_empty());
        assert_eq!(over_promise(&[row(PROMISE + 1)]), ["app: 4194305 bytes, promised are 4194304 (4 MiB)"]);
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let problem = ca_bundle(Some(file.path())).expect_err("it is empty");
        assert!(problem.ends_with("expected certificates in PEM"), "{problem}");
    }
}
