//! How the canonical ABI lays values out, in memory and in the parameters of a core function. Written
//! from its definition and not with the host's code, so that the one checks the other.
//! Source: <https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md>.

use crate::types::Type;

/// A core type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    I32,
    I64,
    F32,
    F64,
}

impl Core {
    pub fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The type that can carry either.
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::I32, Self::F32) | (Self::F32, Self::I32) => Self::I32,
            _ => Self::I64,
        }
    }
}

/// The size and the alignment of a type in memory, in bytes.
pub fn size_align(ty: &Type) -> (u32, u32) {
    match ty {
        Type::Bool => (1, 1),
        Type::Integer(name) => {
            let bytes = match *name {
                "s8" | "u8" => 1,
                "s16" | "u16" => 2,
                "s32" | "u32" => 4,
                _ => 8,
            };
            (bytes, bytes)
        }
        Type::F32 | Type::Char => (4, 4),
        Type::F64 => (8, 8),
        Type::String | Type::List(_) => (8, 4),
        Type::Flags(names) => {
            let bytes = match names.len() {
                0..=8 => 1,
                9..=16 => 2,
                _ => 4,
            };
            (bytes, bytes)
        }
        Type::Tuple(types) => fields(types.iter()),
        Type::Record(members) => fields(members.iter().map(|(_, ty)| ty)),
        _ => {
            let cases = cases(ty);
            let (tag, payloads) = (tag_bytes(cases.len()), cases.into_iter().flatten().map(size_align));
            let (size, align) =
                payloads.fold((0, tag), |(size, align), (bytes, to)| (size.max(bytes), align.max(to)));
            (aligned(aligned(tag, payload_align(ty)) + size, align), align)
        }
    }
}

fn fields<'a>(types: impl Iterator<Item = &'a Type>) -> (u32, u32) {
    let (mut end, mut align) = (0, 1);
    for ty in types {
        let (bytes, to) = size_align(ty);
        end = aligned(end, to) + bytes;
        align = align.max(to);
    }
    (aligned(end, align), align)
}

/// Where each of several values that follow each other begins.
pub fn offsets<'a>(types: impl Iterator<Item = &'a Type>) -> Vec<u32> {
    let mut end = 0;
    types
        .map(|ty| {
            let (bytes, to) = size_align(ty);
            let at = aligned(end, to);
            end = at + bytes;
            at
        })
        .collect()
}

/// What the cases of a type carry that has cases; none for any other type.
pub fn cases(ty: &Type) -> Vec<Option<&Type>> {
    match ty {
        Type::Enum(names) => names.iter().map(|_| None).collect(),
        Type::Variant(cases) => cases.iter().map(|(_, ty)| ty.as_ref()).collect(),
        Type::Option(inner) => vec![None, Some(inner)],
        Type::Result(ok, error) => vec![ok.as_deref(), error.as_deref()],
        _ => Vec::new(),
    }
}

/// The bytes that say which of so many cases it is.
pub fn tag_bytes(cases: usize) -> u32 {
    if cases <= 1 << 8 { 1 } else { 2 }
}

/// Where the payload of a type with cases begins.
pub fn payload_offset(ty: &Type) -> u32 {
    aligned(tag_bytes(cases(ty).len()), payload_align(ty))
}

fn payload_align(ty: &Type) -> u32 {
    cases(ty).into_iter().flatten().map(|ty| size_align(ty).1).max().unwrap_or(1)
}

fn aligned(at: u32, to: u32) -> u32 {
    at.next_multiple_of(to)
}

/// The core values that a value is handed over as.
pub fn flat(ty: &Type) -> Vec<Core> {
    match ty {
        Type::Bool | Type::Char | Type::Flags(_) => vec![Core::I32],
        Type::Integer("s64" | "u64") => vec![Core::I64],
        Type::Integer(_) => vec![Core::I32],
        Type::F32 => vec![Core::F32],
        Type::F64 => vec![Core::F64],
        Type::String | Type::List(_) => vec![Core::I32, Core::I32],
        Type::Tuple(types) => types.iter().flat_map(flat).collect(),
        Type::Record(members) => members.iter().flat_map(|(_, ty)| flat(ty)).collect(),
        _ => {
            let mut joined: Vec<Core> = Vec::new();
            for payload in cases(ty).into_iter().flatten() {
                for (n, core) in flat(payload).into_iter().enumerate() {
                    match joined.get_mut(n) {
                        Some(slot) => *slot = slot.join(core),
                        None => joined.push(core),
                    }
                }
            }
            std::iter::once(Core::I32).chain(joined).collect()
        }
    }
}
