//! Pictures and files in a result: they are taken out of it, for the user; the model reads what they
//! are. See `types` in `plugins/wit/tool.wit`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The most of one result.
const MAX_ATTACHMENTS: usize = 32;
/// The longest media type, in characters.
const MAX_TYPE_CHARS: usize = 100;

/// A picture or a file that a call returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is to be called, if the plugin says.
    pub file_name: Option<String>,
    /// Such as `image/png`.
    pub media_type: String,
    /// The file.
    pub data: Vec<u8>,
    /// What it shows, if the plugin says.
    pub description: Option<String>,
}

/// The key under which the value says which attachment stood there, counted from 0.
pub const KEY: &str = "attachment";

/// Takes them out of a result; what they are stays in their place.
pub(crate) fn take(value: &mut Value) -> Vec<Attachment> {
    let mut taken = Vec::new();
    take_from(value, &mut taken);
    taken
}

fn take_from(value: &mut Value, taken: &mut Vec<Attachment>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| take_from(item, taken)),
        Value::Object(fields) => {
            if let Some(attachment) = attachment(fields).filter(|_| taken.len() < MAX_ATTACHMENTS) {
                let mut left = json!({
                    KEY: taken.len(),
                    "media-type": attachment.media_type,
                    "bytes": attachment.data.len(),
                });
                for (key, text) in
                    [("file-name", &attachment.file_name), ("description", &attachment.description)]
                {
                    if let Some(text) = text {
                        left[key] = text.as_str().into();
                    }
                }
                *value = left;
                taken.push(attachment);
            } else {
                fields.values_mut().for_each(|field| take_from(field, taken));
            }
        }
        _ => {}
    }
}

/// The record `image` or `blob`, by its fields: a component keeps no names of its types.
fn attachment(fields: &Map<String, Value>) -> Option<Attachment> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let (media_type, data) = (text("media-type")?, text("data")?);
    let (file_name, description) = (text("file-name"), text("description"));
    let is_type = media_type.chars().count() <= MAX_TYPE_CHARS
        && media_type.split_once('/').is_some_and(|(kind, of)| !kind.is_empty() && !of.is_empty());
    if fields.len() != 3 || !is_type || file_name.is_some() == description.is_some() {
        return None;
    }
    Some(Attachment {
        file_name: file_name.map(str::to_owned),
        media_type: media_type.to_owned(),
        data: STANDARD.decode(data).ok()?,
        description: description.map(str::to_owned),
    })
}

/// A result as the model reads it: a string as it is, anything else as JSON.
pub fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "done".into(),
        Value::Object(fields) if fields.contains_key(KEY) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
            let mut out = format!("[{}, {} bytes", text("media-type"), fields["bytes"]);
            for key in ["file-name", "description", "file"] {
                if !text(key).is_empty() {
                    out.push_str(": ");
                    out.push_str(text(key));
                }
            }
            out + "]; the user sees it"
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_files_are_taken_out_wherever_they_stand() {
        let mut value = json!({
            "text": "two",
            "plots": [
                { "media-type": "image/png", "data": "iVBO", "description": "a curve" },
                { "media-type": "text/csv", "data": "YSxi", "file-name": "t.csv" },
            ],
            "other": { "media-type": "image/png", "data": "iVBO" },
        });
        let taken = take(&mut value);
        assert_eq!(taken.len(), 2);
        assert_eq!((taken[1].file_name.as_deref(), &taken[1].data[..]), (Some("t.csv"), &b"a,b"[..]));
        assert_eq!(value["plots"][0][KEY], 0);
        assert!(!value["plots"].to_string().contains("iVBO"), "{value}");
        assert_eq!(value["other"]["data"], "iVBO");
        let shown = written(&value["plots"][0]);
        assert_eq!(shown, "[image/png, 3 bytes: a curve]; the user sees it");
        let mut odd = json!({ "media-type": "nonsense", "data": "iVBO", "description": "x" });
        assert!(take(&mut odd).is_empty());
    }
}
