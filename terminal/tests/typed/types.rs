//! Functions with generated types, as WIT.

use std::fmt::Write as _;

use proptest::prelude::*;

/// The most values that a list of types, fields, cases or names has.
const MOST: usize = 4;
/// How deep types nest.
const DEPTH: u32 = 4;

/// A type of WIT that has a form in JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Bool,
    /// By its name in WIT: `s8` to `s64` and `u8` to `u64`.
    Integer(&'static str),
    F32,
    F64,
    Char,
    String,
    List(Box<Type>),
    Option(Box<Type>),
    Result(Option<Box<Type>>, Option<Box<Type>>),
    Tuple(Vec<Type>),
    Record(Vec<(String, Type)>),
    Variant(Vec<(String, Option<Type>)>),
    Enum(Vec<String>),
    Flags(Vec<String>),
}

/// A function that gives back what it was given.
#[derive(Debug, Clone)]
pub struct Echo {
    pub params: Vec<(String, Type)>,
    /// Whether it is in an interface that the component exports, or in the world itself.
    pub is_in_interface: bool,
}

impl Echo {
    /// What it returns: its parameter; where it has another number of them, a tuple. So is the one that
    /// is a `result`, which would say whether the function failed.
    pub fn result(&self) -> Type {
        match self.params.as_slice() {
            [(_, only)] if !matches!(only, Type::Result(..)) => only.clone(),
            params => Type::Tuple(params.iter().map(|(_, ty)| ty.clone()).collect()),
        }
    }

    /// The name of its export in the core module.
    pub fn export(&self) -> &'static str {
        if self.is_in_interface { "test:typed/all#echo" } else { "echo" }
    }

    /// The package that it is written in; its world is `typed`.
    pub fn wit(&self) -> String {
        let mut types = Definitions::default();
        let params: Vec<String> =
            self.params.iter().map(|(name, ty)| format!("%{name}: {}", types.name(ty))).collect();
        let result = match self.params.is_empty() {
            true => String::new(),
            false => format!(" -> {}", types.name(&self.result())),
        };
        let function = format!("echo: func({}){result};", params.join(", "));
        let text = types.text;
        match self.is_in_interface {
            true => format!(
                "package test:typed;\ninterface all {{\n{text}{function}\n}}\nworld typed {{\nexport all;\n}}\n"
            ),
            false => format!("package test:typed;\nworld typed {{\n{text}export {function}\n}}\n"),
        }
    }
}

/// The definitions of types that WIT wants to be named.
#[derive(Default)]
struct Definitions {
    /// The types that have one; the place is the name.
    known: Vec<Type>,
    text: String,
}

impl Definitions {
    /// How a type is written where it is used.
    fn name(&mut self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".into(),
            Type::Integer(name) => (*name).into(),
            Type::F32 => "f32".into(),
            Type::F64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => "string".into(),
            Type::List(inner) => format!("list<{}>", self.name(inner)),
            Type::Option(inner) => format!("option<{}>", self.name(inner)),
            Type::Result(None, None) => "result".into(),
            Type::Result(Some(ok), None) => format!("result<{}>", self.name(ok)),
            Type::Result(None, Some(error)) => format!("result<_, {}>", self.name(error)),
            Type::Result(Some(ok), Some(error)) => {
                format!("result<{}, {}>", self.name(ok), self.name(error))
            }
            Type::Tuple(types) => {
                let types: Vec<String> = types.iter().map(|ty| self.name(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            Type::Record(_) | Type::Variant(_) | Type::Enum(_) | Type::Flags(_) => self.definition(ty),
        }
    }

    fn definition(&mut self, ty: &Type) -> String {
        if let Some(at) = self.known.iter().position(|known| known == ty) {
            return format!("type-{at}");
        }
        let (kind, members): (_, Vec<String>) = match ty {
            Type::Record(fields) => {
                ("record", fields.iter().map(|(name, ty)| format!("%{name}: {}", self.name(ty))).collect())
            }
            Type::Variant(cases) => (
                "variant",
                cases
                    .iter()
                    .map(|(name, ty)| match ty {
                        Some(ty) => format!("%{name}({})", self.name(ty)),
                        None => format!("%{name}"),
                    })
                    .collect(),
            ),
            Type::Flags(names) => ("flags", names.iter().map(|name| format!("%{name}")).collect()),
            Type::Enum(names) => ("enum", names.iter().map(|name| format!("%{name}")).collect()),
            other => unreachable!("{other:?} needs no name"),
        };
        let at = self.known.len();
        self.known.push(ty.clone());
        let _ = writeln!(self.text, "{kind} type-{at} {{ {} }}", members.join(", "));
        format!("type-{at}")
    }
}

/// Any such function.
pub fn echo() -> impl Strategy<Value = Echo> {
    (named(any_type(), 0..=MOST), any::<bool>())
        .prop_map(|(params, is_in_interface)| Echo { params, is_in_interface })
}

/// Any type.
fn any_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::Bool),
        prop::sample::select(vec!["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"])
            .prop_map(Type::Integer),
        Just(Type::F32),
        Just(Type::F64),
        Just(Type::Char),
        Just(Type::String),
        Just(Type::Result(None, None)),
        names(1..=2 * MOST).prop_map(Type::Enum),
        // As many as one, two and four bytes hold.
        prop_oneof![4 => names(1..=MOST), 1 => numbered(5..=32)].prop_map(Type::Flags),
        // One byte does not tell so many cases apart.
        numbered(257..=300).prop_map(Type::Enum).boxed(),
    ];
    leaf.prop_recursive(DEPTH, 24, MOST as u32, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            2 => boxed().prop_map(Type::List),
            3 => boxed().prop_map(Type::Option),
            1 => (prop::option::of(boxed()), prop::option::of(boxed()))
                .prop_map(|(ok, error)| Type::Result(ok, error)),
            1 => prop::collection::vec(inner.clone(), 1..=MOST).prop_map(Type::Tuple),
            2 => named(inner.clone(), 1..=MOST).prop_map(Type::Record),
            2 => named(prop::option::of(inner.clone()), 1..=MOST).prop_map(Type::Variant),
        ]
    })
}

/// Values with a name each.
fn named<T: std::fmt::Debug>(
    of: impl Strategy<Value = T>,
    count: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = Vec<(String, T)>> {
    prop::collection::vec((name(), of), count).prop_map(|mut members| {
        let mut seen = Vec::new();
        members.retain(|(name, _)| is_new(name, &mut seen));
        members
    })
}

fn names(count: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), count).prop_map(|mut names| {
        let mut seen = Vec::new();
        names.retain(|name| is_new(name, &mut seen));
        names
    })
}

fn numbered(count: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<String>> {
    count.prop_map(|count| (0..count).map(|n| format!("n{n}")).collect())
}

/// Names that differ in their case alone are one name to WIT.
fn is_new(name: &str, seen: &mut Vec<String>) -> bool {
    let folded = name.to_ascii_lowercase();
    let is_new = !seen.contains(&folded);
    if is_new {
        seen.push(folded);
    }
    is_new
}

/// Any legal name: also one that means something in WIT, in JSON schema, in a grammar or in how values
/// are written.
fn name() -> impl Strategy<Value = String> {
    let odd = [
        "list",
        "type",
        "result",
        "option",
        "u8",
        "string",
        "record",
        "use",
        "own",
        "self",
        "some",
        "none",
        "ok",
        "error",
        "null",
        "true",
        "name",
        "arguments",
        "value",
        "properties",
        "required",
        "items",
        "enum",
        "const",
        "min-items",
        "x-guidance",
        "start",
        "call",
        "a",
        "A",
        "URL",
        "x-HTTP2-y",
        "k9",
        "a-b-c-d-e-f-g-h",
    ];
    prop_oneof![
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[a-z][a-z0-9]{0,5}(-[a-z][a-z0-9]{0,3}|-[A-Z][A-Z0-9]{0,2}){0,2}",
        "[A-Z][A-Z0-9]{0,3}(-[a-z][a-z0-9]{0,3}){0,1}",
    ]
}
