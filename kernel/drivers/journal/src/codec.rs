//! Events as JSON text, with a checksum, and back.

use lucid_kernel::abi::Event;

/// The most bytes of JSON that one event may have (16 MiB).
pub const MAX_EVENT_BYTES: usize = 16 << 20;

/// An event as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The event as JSON.
    pub json: String,
    /// CRC-32 (IEEE 802.3) of the JSON's bytes.
    pub crc: u32,
}

/// Writes an event down, and makes sure that it can be read back.
///
/// # Errors
/// Says why the event cannot be kept.
pub(crate) fn encode(event: &Event) -> Result<Record, String> {
    let json = serde_json::to_string(event).map_err(|e| format!("the event has no JSON form: {e}"))?;
    if json.len() > MAX_EVENT_BYTES {
        return Err(format!(
            "the event has {} bytes, at most {MAX_EVENT_BYTES} can be kept; give less text at once",
            json.len()
        ));
    }
    // A number that is not finite becomes `null`: better refused now than lost at the next load.
    match serde_json::from_str::<Event>(&json) {
        Ok(back) if back == *event => {}
        Ok(_) => return Err("the event does not come back from JSON as it was".into()),
        Err(e) => return Err(format!("the event does not come back from JSON: {e}")),
    }
    let crc = crc32fast::hash(json.as_bytes());
    Ok(Record { json, crc })
}

/// Reads an event back.
///
/// # Errors
/// Says what is wrong with the record.
pub(crate) fn decode(json: &str, crc: u32) -> Result<Event, String> {
    let found = crc32fast::hash(json.as_bytes());
    if found != crc {
        return Err(format!("its checksum is {found:08x}, {crc:08x} was written"));
    }
    serde_json::from_str(json).map_err(|e| format!("it cannot be read: {e}"))
}

#[cfg(test)]
mod tests {
    use lucid_kernel::abi::{Encoded, Label, PageId, Pid, Provenance, SourcePage, Trust, TurnOptions};

    use super::*;

    fn input(text: String, score: f32) -> Event {
        let page = SourcePage {
            id: PageId(1),
            content: Encoded::new("x", [1, 2]),
            provenance: Provenance::User,
            label: Label::public(Trust::User),
            text: "x".into(),
            score,
        };
        Event::Input {
            pid: Pid(1),
            content: Encoded::new(text, [0]),
            attached: vec![page],
            options: TurnOptions::default(),
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let record = encode(&input("seven 7".into(), 1.0)).unwrap();
        let changed = record.json.replace("seven 7", "seven 8");
        assert!(decode(&changed, record.crc).unwrap_err().contains("checksum"));
        assert_eq!(decode(&record.json, record.crc).unwrap(), input("seven 7".into(), 1.0));
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        let error = encode(&input("x".into(), f32::NAN)).unwrap_err();
        assert!(error.contains("does not come back"), "{error}");
    }

    #[test]
    fn an_event_over_the_limit_is_refused() {
        let error = encode(&input("y".repeat(MAX_EVENT_BYTES), 0.0)).unwrap_err();
        assert!(error.contains("at most"), "{error}");
    }
}
