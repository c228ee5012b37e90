//! What lies in an image: the binary, who may run it, whom it trusts, and the peers' names for it.

use crate::{capability, layer::Layer, recipe::Recipe};

/// The user of every image. Numeric in the config, so that `runAsNonRoot` can see that it is not root.
pub const USER: &str = "65532:65532";

/// Where TLS looks for roots; `SSL_CERT_FILE` says so too.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Without these a container of user 65532 runs as *group 0*: the kubelet passes on the user only.
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

pub fn layer(name: &str, binary: &[u8], ca_bundle: &[u8], recipe: &Recipe) -> Result<Layer, String> {
    let path = format!("/bin/{name}");
    let capability = match recipe.capabilities.as_slice() {
        [] => None,
        names => Some(capability::permitted(names)?),
    };
    let mut layer = Layer::default();
    layer.file(&path, 0o755, binary, capability)?;
    layer.file("/etc/passwd", 0o644, PASSWD.as_bytes(), None)?;
    layer.file("/etc/group", 0o644, GROUP.as_bytes(), None)?;
    layer.file(CA_BUNDLE, 0o644, ca_bundle, None)?;
    layer.dir("/tmp", 0o1777)?;
    for link in &recipe.links {
        layer.link(link, &path)?;
    }
    for dir in &recipe.dirs {
        layer.dir(dir, 0o755)?;
    }
    Ok(layer)
}
