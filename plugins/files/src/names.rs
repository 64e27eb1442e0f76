//! Which names are left alone: hidden ones, and those that keys and passwords go by.

/// Folders that hold keys. Those with a dot are hidden too; named here for the better reason.
const SECRET_FOLDERS: [&str; 5] = [".ssh", ".gnupg", ".aws", ".kube", ".password-store"];
/// Files that hold keys or passwords.
const SECRET_FILES: [&str; 6] = [".netrc", "_netrc", ".pgpass", ".htpasswd", ".git-credentials", ".npmrc"];
/// Endings of key files.
const SECRET_ENDINGS: [&str; 8] = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk"];
/// What may follow the name of a private key (`id_rsa.bak`).
const KEY_ENDINGS: [&str; 5] = ["pub", "bak", "old", "orig", "txt"];

/// Why a name is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Keys and passwords go by it.
    Secret,
    /// It begins with a dot.
    Hidden,
}

/// Why this name is left alone, if it is.
pub fn refused(name: &str) -> Option<Reason> {
    let name = folded(name);
    if is_secret(&name) {
        return Some(Reason::Secret);
    }
    name.starts_with('.').then_some(Reason::Hidden)
}

/// The name as the file systems see it that are less strict than others: some ignore case, dots
/// and spaces at the end, what follows a colon, or characters that nobody sees.
fn folded(name: &str) -> String {
    let visible = |c: &char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let name: String = name.chars().filter(visible).flat_map(char::to_lowercase).collect();
    let stem = name.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    // A name of dots only would be left empty.
    if stem.is_empty() { name } else { stem.to_owned() }
}

fn is_secret(name: &str) -> bool {
    name.starts_with(".env")
        || SECRET_FOLDERS.contains(&name)
        || SECRET_FILES.contains(&name)
        || SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || is_private_key(name)
}

/// `id_rsa`, `id_ed25519.pub` and their like, but not `id_mapping.rs`.
fn is_private_key(name: &str) -> bool {
    name.strip_prefix("id_").is_some_and(|rest| match rest.rsplit_once('.') {
        None => !rest.is_empty(),
        Some((_, ending)) => KEY_ENDINGS.contains(&ending),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_and_hidden_names_are_refused() {
        for name in [
            ".env",
            ".ENV.local",
            ".env::$DATA",
            "\u{200c}.env",
            "server.PEM",
            "server.pem. ",
            "id_rsa",
            "id_ed25519.pub",
            "a.key",
            ".ssh",
            ".netrc",
        ] {
            assert_eq!(refused(name), Some(Reason::Secret), "{name:?}");
        }
        for name in [".gitignore", ".git", "..", "...", ". "] {
            assert_eq!(refused(name), Some(Reason::Hidden), "{name:?}");
        }
        for name in ["a.rs", "id_mapping.rs", "id_", "environment", "key", "pem", "", "a:b"] {
            assert_eq!(refused(name), None, "{name:?}");
        }
    }
}
