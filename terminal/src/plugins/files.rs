//! Pictures and files that plugins returned: each is kept once, under the digest of what is in it.

use std::path::Path;

use lucid_tools::attach::{Attachment, KEY};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The longest part of a plugin's own name for a file, in characters.
const MAX_NAME_CHARS: usize = 60;

/// Keeps them in a folder, and puts where each lies into the result.
///
/// # Errors
/// What failed, for the model.
pub fn keep(folder: &Path, value: &mut Value, attachments: &[Attachment]) -> Result<(), String> {
    let mut paths = Vec::new();
    for attachment in attachments {
        let path = folder.join(name(attachment));
        if !path.is_file() {
            crate::home::write(&path, &attachment.data)
                .map_err(|error| format!("what it returned cannot be kept: {error}"))?;
        }
        paths.push(path.display().to_string());
    }
    point(value, &paths);
    Ok(())
}

fn point(value: &mut Value, paths: &[String]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| point(item, paths)),
        Value::Object(fields) => {
            let at = fields.get(KEY).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
            if let Some(path) = at.and_then(|at| paths.get(at)) {
                fields.insert("file".into(), path.as_str().into());
            }
            fields.values_mut().for_each(|field| point(field, paths));
        }
        _ => {}
    }
}

/// A name that no two contents share, and that keeps what the plugin calls it.
fn name(attachment: &Attachment) -> String {
    let digest = Sha256::digest(&attachment.data);
    let front: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    match &attachment.file_name {
        Some(name) => {
            let name: String = name.chars().map(plain).collect();
            let from = name.len().saturating_sub(MAX_NAME_CHARS);
            format!("{front}-{}", &name[from..])
        }
        None => format!("{front}.{}", ending(&attachment.media_type)),
    }
}

fn ending(media_type: &str) -> &'static str {
    match media_type {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "application/pdf" => "pdf",
        "application/json" => "json",
        other if other.starts_with("text/") => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_returned_lies_in_the_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        let attachment = |file_name: Option<&str>| Attachment {
            file_name: file_name.map(str::to_owned),
            media_type: "image/png".into(),
            data: b"picture".to_vec(),
            description: None,
        };
        let mut value = json!([{ KEY: 0 }, { "deep": { KEY: 1 } }]);
        keep(&kept, &mut value, &[attachment(None), attachment(Some("../../etc/passwd\0"))]).unwrap();
        for place in [&value[0], &value[1]["deep"]] {
            let path = Path::new(place["file"].as_str().unwrap());
            assert_eq!(path.parent(), Some(kept.as_path()), "{place}");
            assert_eq!(std::fs::read(path).unwrap(), b"picture");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
