//! Which characters the bytes of an answer stand for.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far into a page its own word about its encoding is looked for, in bytes.
/// Source: HTML standard, 13.2.3.2.
const HEAD_BYTES: usize = 1_024;

/// The text. In this order: what marks its beginning, what the server says, what the page says,
/// UTF-8 if it is that, and else what old pages are in.
pub fn decoded(bytes: &[u8], label: Option<&str>, is_html: bool) -> String {
    let said = label.and_then(|label| Encoding::for_label(label.as_bytes()));
    let said = said.or_else(|| if is_html { named_in(bytes) } else { None });
    let encoding = said.unwrap_or_else(|| if is_utf8(bytes) { UTF_8 } else { WINDOWS_1252 });
    // This looks at the mark at the beginning first.
    encoding.decode(bytes).0.into_owned()
}

/// Whether this is UTF-8 that may be cut within its last character.
pub fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).err().is_none_or(|error| error.error_len().is_none())
}

/// What `<meta charset=…>`, `<meta … content="…; charset=…">` or `<?xml encoding=…?>` says.
fn named_in(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES)]).to_ascii_lowercase();
    let label = head.split('<').find_map(|tag| {
        let tag = tag.split('>').next()?;
        let key = match () {
            () if tag.starts_with("meta") => "charset",
            () if tag.starts_with("?xml") => "encoding",
            () => return None,
        };
        let (_, value) = tag.split_once(key)?;
        let value = value.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        value.split(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).next()
    })?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // Source: HTML standard, 13.2.3.3: a page that can say so in ASCII is not in UTF-16.
    Some(if encoding.is_ascii_compatible() { encoding } else { UTF_8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_found_where_it_is_said() {
        for (bytes, label, expected) in [
            (&b"gr\xfcn"[..], Some("iso-8859-1"), "grün"),
            (b"gr\xfcn", None, "grün"),
            ("grün".as_bytes(), None, "grün"),
            (b"\xef\xbb\xbfgr\xc3\xbcn", Some("latin1"), "grün"),
            (b"\xff\xfeg\0r\0", None, "gr"),
            (b"<meta charset=\"windows-1251\">\xcf", None, "<meta charset=\"windows-1251\">П"),
            (
                b"<meta http-equiv=x content='text/html; charset=shift_jis'>\x83\x41",
                None,
                "<meta http-equiv=x content='text/html; charset=shift_jis'>ア",
            ),
            (
                b"<?xml version='1.0' encoding='koi8-r'?>\xf0",
                None,
                "<?xml version='1.0' encoding='koi8-r'?>П",
            ),
            (b"<meta charset=utf-16>\xc3\xbc", None, "<meta charset=utf-16>ü"),
            (b"<meta charset=nonsense>\xc3\xbc", Some("nonsense"), "<meta charset=nonsense>ü"),
        ] {
            assert_eq!(decoded(bytes, label, true), expected);
        }
    }
}
