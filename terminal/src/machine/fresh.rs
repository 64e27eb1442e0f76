//! Whether what the index holds of a file is what stands in the file now. What changed is read
//! anew before the model sees it; what is gone is left out.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use lucid_disk::{Limits, RamDisk};
use lucid_kernel::port::{Disk, Hit};

/// A larger file is not read anew for a question, in bytes; the next mount takes it.
const BYTES_MAX: u64 = 4 << 20;

/// What was found, as the files are now.
#[derive(Debug, Default)]
pub struct Fresh {
    /// The pages, in the order in which they were found.
    pub hits: Vec<Hit>,
    /// Files that changed since they were indexed, and whether they are gone.
    pub changed: Vec<(String, bool)>,
}

/// Checks what was found for this query against the files.
pub fn check(query: &str, found: Vec<Hit>) -> Fresh {
    let mut fresh = Fresh::default();
    // Of each file that changed, its pages that match now.
    let mut anew: HashMap<String, std::vec::IntoIter<Hit>> = HashMap::new();
    for hit in found {
        if !anew.contains_key(&*hit.range.path) {
            let (pages, gone) = match state(&hit) {
                State::Same => {
                    fresh.hits.push(hit);
                    continue;
                }
                State::Gone => (Vec::new(), true),
                State::Changed(text) => {
                    let disk = RamDisk::new(Limits::default());
                    disk.add_text(&hit.range.path, &text);
                    (disk.search(query, &[], PAGES_ANEW).unwrap_or_default(), false)
                }
            };
            anew.insert(hit.range.path.to_string(), pages.into_iter());
            fresh.changed.push((hit.range.path.to_string(), gone));
        }
        let next = anew.get_mut(&*hit.range.path).and_then(Iterator::next);
        fresh.hits.extend(next.map(|page| Hit { score: hit.score, ..page }));
    }
    fresh
}

/// So many pages of a changed file are looked at.
const PAGES_ANEW: usize = 8;

enum State {
    Same,
    Changed(String),
    Gone,
}

fn state(hit: &Hit) -> State {
    let (start, end) = hit.range.bytes;
    // A text that came with an input is no file; of a file in another encoding, bytes cannot be
    // told from the text.
    if !hit.range.is_on_disk() || end.saturating_sub(start) != hit.text.len() as u64 {
        return State::Same;
    }
    let read = || -> std::io::Result<(bool, u64)> {
        let mut file = File::open(&*hit.range.path)?;
        let bytes = file.metadata()?.len();
        if bytes < end {
            return Ok((false, bytes));
        }
        let mut held = vec![0; hit.text.len()];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut held)?;
        Ok((held == hit.text.as_bytes(), bytes))
    };
    match read() {
        Ok((true, _)) => State::Same,
        Ok((false, bytes)) if bytes <= BYTES_MAX => {
            let text = std::fs::read(&*hit.range.path).unwrap_or_default();
            State::Changed(String::from_utf8_lossy(&text).into_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => State::Gone,
        // What cannot be read now was read when it was indexed.
        Ok(_) | Err(_) => State::Same,
    }
}

#[cfg(test)]
mod tests {
    use lucid_kernel::port::{CancelFlag, MountOptions};

    use super::*;

    #[test]
    fn what_changed_is_read_anew_and_what_is_gone_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("rent.md", "# Rent\n\nThe rent of the flat is 731 euros.\n");
        write("pets.md", "# Pets\n\nThe rent of the stable is 90 euros.\n");
        write("bills.md", "# Bills\n\nThe rent of the garage is 55 euros.\n");
        let disk = RamDisk::new(Limits::default());
        let root = folder.path().display().to_string();
        disk.mount(&root, &MountOptions::default(), &CancelFlag::new(), &mut |_| {}).unwrap();
        let found = || disk.search("rent", &[], 8).unwrap();
        let same = check("rent", found());
        assert!(same.hits == found() && same.changed.is_empty());
        write("rent.md", "# Rent\n\nSince May all is dearer.\n\nThe rent of the flat is 802 euros.\n");
        std::fs::remove_file(folder.path().join("pets.md")).unwrap();
        let fresh = check("rent", found());
        let text: String = fresh.hits.iter().map(|hit| hit.text.as_str()).collect();
        assert!(text.contains("802") && text.contains("55") && !text.contains("731") && !text.contains("90"));
        let mut changed: Vec<(String, bool)> = fresh
            .changed
            .iter()
            .map(|(path, gone)| (path.rsplit('/').next().unwrap().into(), *gone))
            .collect();
        changed.sort();
        assert_eq!(changed, [("pets.md".to_owned(), true), ("rent.md".to_owned(), false)]);
        let page = fresh.hits.iter().find(|hit| hit.text.contains("802")).unwrap();
        assert!(page.range.lines.0 <= 5 && page.range.lines.1 == 5, "{:?}", page.range);
    }
}
