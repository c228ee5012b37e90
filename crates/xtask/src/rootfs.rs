//! What lies in an image: the binaries, who may run them, whom they trust, and the peers' names for them.

use crate::{capability, layer::Layer, recipe::Recipe};

/// The user of every image. Numeric in the config, so that `runAsNonRoot` can see that it is not root.
pub const USER: &str = "65532:65532";

/// Where TLS looks for roots; `SSL_CERT_FILE` says so too.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Without these a container of user 65532 runs as *group 0*: the kubelet passes on the user only.
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// A binary, and what its image has beyond it.
pub struct Program<'a> {
    pub name: &'a str,
    pub bytes: Vec<u8>,
    pub recipe: &'a Recipe,
}

pub fn layer(programs: &[Program<'_>], ca_bundle: &[u8]) -> Result<Layer, String> {
    let mut layer = Layer::default();
    layer.file("/etc/passwd", 0o644, PASSWD.as_bytes(), None)?;
    layer.file("/etc/group", 0o644, GROUP.as_bytes(), None)?;
    layer.file(CA_BUNDLE, 0o644, ca_bundle, None)?;
    layer.dir("/tmp", 0o1777)?;
    programs.iter().try_for_each(|program| add(&mut layer, program))?;
    Ok(layer)
}

fn add(layer: &mut Layer, program: &Program<'_>) -> Result<(), String> {
    let path = format!("/bin/{}", program.name);
    let capability = match program.recipe.capabilities.as_slice() {
        [] => None,
        names => Some(capability::permitted(names)?),
    };
    layer.file(&path, 0o755, &program.bytes, capability)?;
    program.recipe.links.iter().try_for_each(|link| layer.link(link, &path))?;
    program.recipe.dirs.iter().try_for_each(|dir| layer.dir(dir, 0o755))
}
