//! How we prove who we are: a password or a token, given as a value or as a file that is read at every use.

use std::path::PathBuf;

use values::Secret;

/// Credentials for the `Authorization` header.
#[derive(Clone, Debug)]
pub enum Auth {
    Basic {
        user: String,
        password: SecretSource,
    },
    Bearer(SecretSource),
    /// Another scheme, such as `ApiKey`.
    Token(&'static str, SecretSource),
}

/// Where a secret is. Debug shows a path, never a value.
#[derive(Clone, Debug)]
pub enum SecretSource {
    Value(Secret),
    /// Read at every use: mounted Secrets and projected tokens are replaced while we run.
    File(PathBuf),
}

impl SecretSource {
    /// The secret as it is now.
    pub fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(path) => match Secret::from_file(path)? {
                // An empty password would be sent, refused, and looked for in the wrong place.
                secret if secret.expose().is_empty() => {
                    Err(format!("{}: the file is empty, expected a secret", path.display()))
                }
                secret => Ok(secret),
            },
        }
    }
}
