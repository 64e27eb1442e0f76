//! A bounded reader of GGUF headers: every length that the file states is checked against
//! what is left of the file before anything is allocated or skipped.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// The longest text value that is read (chat templates are the longest in practice).
const MAX_TEXT_BYTES: u64 = 4 << 20;
/// The longest key or tensor name.
const MAX_NAME_BYTES: u64 = 64 << 10;
/// The most metadata entries.
const MAX_ENTRIES: u64 = 64 << 10;
/// The most tensors.
const MAX_TENSORS: u64 = 1 << 20;
/// The most dimensions of a tensor, as the format fixes it.
const MAX_DIMS: u32 = 4;
/// Alignment of the tensor data where the file states none.
const DEFAULT_ALIGNMENT: u64 = 32;

/// A metadata value. Of an array only its place is kept: token lists are long.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Array(Array),
}

impl Value {
    /// The value as a count, if it is a whole number that is not negative.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Unsigned(n) => Some(*n),
            Self::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The value as text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Where an array lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Array {
    kind: u32,
    /// How many elements it has.
    pub(super) len: u64,
    at: u64,
}

/// An open GGUF file whose header was read and found sound.
pub(super) struct Header {
    source: Source,
    /// All metadata by key.
    pub(super) metadata: HashMap<String, Value>,
}

impl Header {
    /// Reads the header of the file and checks that all tensors lie inside the file.
    /// The error says in words what is wrong.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut source = Source::open(path)?;
        let (entries, tensors) = source.preamble()?;
        let mut metadata = HashMap::new();
        for _ in 0..entries {
            let key = source.text(MAX_NAME_BYTES)?;
            let kind = source.u32()?;
            let value = source.value(kind)?;
            metadata.insert(key, value);
        }
        let alignment = metadata
            .get("general.alignment")
            .and_then(Value::count)
            .filter(|n| n.is_power_of_two())
            .unwrap_or(DEFAULT_ALIGNMENT);
        source.check_tensors(tensors, alignment)?;
        Ok(Self { source, metadata })
    }

    /// Bytes of the whole file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.source.len
    }

    /// Walks an array of texts. Texts longer than a name can be are given as empty.
    pub(super) fn for_each_text(
        &mut self,
        array: Array,
        mut visit: impl FnMut(u64, String),
    ) -> Result<(), String> {
        if array.kind != kind::TEXT {
            return Err("a list of texts holds something else".into());
        }
        self.source.seek(array.at)?;
        for index in 0..array.len {
            let bytes = self.source.length()?;
            if bytes > MAX_NAME_BYTES {
                self.source.skip(bytes)?;
                visit(index, String::new());
            } else {
                let raw = self.source.bytes(bytes)?;
                visit(index, String::from_utf8_lossy(&raw).into_owned());
            }
        }
        Ok(())
    }

    /// One element of an array of whole numbers; none past its end.
    pub(super) fn number_at(&mut self, array: Array, index: u64) -> Result<Option<u64>, String> {
        let Some(bytes) = fixed_bytes(array.kind).filter(|_| index < array.len) else {
            return Ok(None);
        };
        self.source.seek(array.at + index * bytes)?;
        Ok(self.source.value(array.kind)?.count())
    }

    /// The sum over an array of whole numbers.
    pub(super) fn sum(&mut self, array: Array) -> Result<u64, String> {
        self.source.seek(array.at)?;
        let mut sum = 0_u64;
        for _ in 0..array.len {
            let element = self.source.value(array.kind)?;
            let n = element.count().ok_or("a list of counts holds something else")?;
            sum = sum.checked_add(n).ok_or("a list of counts overflows")?;
        }
        Ok(sum)
    }
}

/// The numbers that the format gives its value types.
mod kind {
    pub(super) const U8: u32 = 0;
    pub(super) const I8: u32 = 1;
    pub(super) const U16: u32 = 2;
    pub(super) const I16: u32 = 3;
    pub(super) const U32: u32 = 4;
    pub(super) const I32: u32 = 5;
    pub(super) const F32: u32 = 6;
    pub(super) const BOOL: u32 = 7;
    pub(super) const TEXT: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
    pub(super) const U64: u32 = 10;
    pub(super) const I64: u32 = 11;
    pub(super) const F64: u32 = 12;
}

/// Bytes of a value of this type, if all have the same.
fn fixed_bytes(kind: u32) -> Option<u64> {
    Some(match kind {
        kind::U8 | kind::I8 | kind::BOOL => 1,
        kind::U16 | kind::I16 => 2,
        kind::U32 | kind::I32 | kind::F32 => 4,
        kind::U64 | kind::I64 | kind::F64 => 8,
        _ => return None,
    })
}

/// A file and how far it was read.
struct Source {
    file: BufReader<File>,
    len: u64,
    at: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let meta = file.metadata().map_err(|e| e.to_string())?;
        if meta.is_dir() {
            return Err("this is a folder, not a GGUF file".into());
        }
        Ok(Self { file: BufReader::with_capacity(1 << 16, file), len: meta.len(), at: 0 })
    }

    /// Magic, version and the two counts: entries, tensors.
    fn preamble(&mut self) -> Result<(u64, u64), String> {
        if self.len < 24 {
            return Err(format!("it has only {} bytes, which is no GGUF file", self.len));
        }
        if self.bytes(4)? != b"GGUF" {
            return Err("it does not begin with GGUF: it is not a GGUF file".into());
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(format!("its GGUF version is {version}; versions 2 and 3 are known"));
        }
        let (tensors, entries) = (self.u64()?, self.u64()?);
        if tensors > MAX_TENSORS || entries > MAX_ENTRIES {
            return Err(format!("it claims {tensors} tensors and {entries} metadata entries: it is damaged"));
        }
        Ok((entries, tensors))
    }

    fn value(&mut self, kind: u32) -> Result<Value, String> {
        Ok(match kind {
            kind::U8 => Value::Unsigned(u64::from(self.array::<1>()?[0])),
            kind::I8 => Value::Signed(i64::from(i8::from_le_bytes(self.array()?))),
            kind::U16 => Value::Unsigned(u64::from(u16::from_le_bytes(self.array()?))),
            kind::I16 => Value::Signed(i64::from(i16::from_le_bytes(self.array()?))),
            kind::U32 => Value::Unsigned(u64::from(self.u32()?)),
            kind::I32 => Value::Signed(i64::from(i32::from_le_bytes(self.array()?))),
            kind::F32 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            kind::BOOL => Value::Bool(self.array::<1>()?[0] != 0),
            kind::TEXT => Value::Text(self.text(MAX_TEXT_BYTES)?),
            kind::ARRAY => Value::Array(self.skip_array()?),
            kind::U64 => Value::Unsigned(self.u64()?),
            kind::I64 => Value::Signed(i64::from_le_bytes(self.array()?)),
            kind::F64 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("its metadata has a value of unknown type {other}: it is damaged")),
        })
    }

    fn skip_array(&mut self) -> Result<Array, String> {
        let kind = self.u32()?;
        let len = self.u64()?;
        let at = self.at;
        if kind == kind::TEXT {
            // Each text has at least its own length field.
            self.need(len.saturating_mul(8))?;
            for _ in 0..len {
                let bytes = self.length()?;
                self.skip(bytes)?;
            }
        } else {
            let element_bytes = fixed_bytes(kind)
                .ok_or_else(|| format!("its metadata has a list of unknown type {kind}: it is damaged"))?;
            self.skip(len.saturating_mul(element_bytes))?;
        }
        Ok(Array { kind, len, at })
    }

    /// Reads the tensor list and checks that the data of each lies inside the file.
    fn check_tensors(&mut self, count: u64, alignment: u64) -> Result<(), String> {
        let mut end = 0_u64;
        for _ in 0..count {
            let name = self.text(MAX_NAME_BYTES)?;
            let dims = self.u32()?;
            if dims > MAX_DIMS {
                return Err(format!("tensor {name} has {dims} dimensions: it is damaged"));
            }
            let mut elements = 1_u64;
            for _ in 0..dims {
                elements = elements.saturating_mul(self.u64()?);
            }
            let kind = self.u32()?;
            let offset = self.u64()?;
            let (block, block_bytes) = block_of(kind).ok_or_else(|| {
                format!("tensor {name} is stored as type {kind}, which this engine cannot read")
            })?;
            let bytes = (elements / block).saturating_mul(block_bytes);
            end = end.max(offset.saturating_add(bytes));
        }
        let start = self.at.div_ceil(alignment).saturating_mul(alignment);
        let needed = start.saturating_add(end);
        if needed > self.len {
            return Err(format!(
                "it is cut off: its tensors need {needed} bytes, the file has {}; fetch it again",
                self.len
            ));
        }
        Ok(())
    }

    fn need(&self, bytes: u64) -> Result<(), String> {
        if bytes > self.len.saturating_sub(self.at) {
            return Err(format!(
                "it is cut off or damaged: at byte {} it promises {bytes} more, the file has {}; fetch it again",
                self.at, self.len
            ));
        }
        Ok(())
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, String> {
        self.need(count)?;
        let size = usize::try_from(count).map_err(|e| e.to_string())?;
        let mut buffer = vec![0; size];
        self.file.read_exact(&mut buffer).map_err(|e| e.to_string())?;
        self.at += count;
        Ok(buffer)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.need(N as u64)?;
        let mut buffer = [0; N];
        self.file.read_exact(&mut buffer).map_err(|e| e.to_string())?;
        self.at += N as u64;
        Ok(buffer)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length that the file can hold.
    fn length(&mut self) -> Result<u64, String> {
        let bytes = self.u64()?;
        self.need(bytes)?;
        Ok(bytes)
    }

    fn text(&mut self, at_most: u64) -> Result<String, String> {
        let bytes = self.length()?;
        if bytes > at_most {
            return Err(format!("at byte {} it has a text of {bytes} bytes: it is damaged", self.at));
        }
        let raw = self.bytes(bytes)?;
        String::from_utf8(raw)
            .map_err(|_| format!("at byte {} it has a text that is not UTF-8: it is damaged", self.at))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), String> {
        self.need(bytes)?;
        let step = i64::try_from(bytes).map_err(|e| e.to_string())?;
        self.file.seek_relative(step).map_err(|e| e.to_string())?;
        self.at += bytes;
        Ok(())
    }

    fn seek(&mut self, at: u64) -> Result<(), String> {
        self.file.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        self.at = at;
        Ok(())
    }
}

/// Elements and bytes of one block of a tensor type, for the types that candle reads.
/// Source: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md> and ggml-common.h.
fn block_of(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (1, 4),      // F32
        1 | 30 => (1, 2), // F16, BF16
        2 => (32, 18),    // Q4_0
        3 => (32, 20),    // Q4_1
        6 => (32, 22),    // Q5_0
        7 => (32, 24),    // Q5_1
        8 => (32, 34),    // Q8_0
        9 => (32, 36),    // Q8_1
        10 => (256, 84),  // Q2_K
        11 => (256, 110), // Q3_K
        12 => (256, 144), // Q4_K
        13 => (256, 176), // Q5_K
        14 => (256, 210), // Q6_K
        15 => (256, 292), // Q8_K
        _ => return None,
    })
}
