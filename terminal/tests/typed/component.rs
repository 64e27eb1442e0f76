//! A component with a function that gives back what it was given.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::layout::{Core, cases, flat, offsets, payload_offset, size_align, tag_bytes};
use crate::types::{Echo, Type};

/// How many core values are handed over one by one; more go through memory.
const MAX_FLAT_PARAMS: usize = 16;
const MAX_FLAT_RESULTS: usize = 1;

/// The component.
pub fn bytes(echo: &Echo) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package =
        resolve.push_str("typed.wit", &echo.wit()).unwrap_or_else(|e| panic!("{e:#}\n{}", echo.wit()));
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wat::parse_str(module(echo)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module).unwrap().validate(true);
    { encoder }.encode().unwrap_or_else(|e| panic!("{e:#}\n{}", echo.wit()))
}

/// Its core module. The memory that is asked for is never given back: an instance serves one call.
fn module(echo: &Echo) -> String {
    format!(
        r#"(module
            (memory (export "memory") 1)
            (global $top (mut i32) (i32.const 16))
            (func $realloc (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and
                    (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $top (i32.add (local.get $at) (local.get $size)))
                (block $fits
                    (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
                    (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536))))))
                (local.get $at))
            {})"#,
        function(echo)
    )
}

fn function(echo: &Echo) -> String {
    let name = echo.export();
    let cores: Vec<Core> = echo.params.iter().flat_map(|(_, ty)| flat(ty)).collect();
    let params: String = cores.iter().map(|core| format!(" {}", core.name())).collect();
    match cores.len() {
        0 => format!("(func (export {name:?}))"),
        1..=MAX_FLAT_RESULTS => {
            format!("(func (export {name:?}) (param{params}) (result{params}) (local.get 0))")
        }
        // It is moved as it is: parameters that lie in memory do so like the fields of the result.
        more if more > MAX_FLAT_PARAMS => {
            format!("(func (export {name:?}) (param i32) (result i32) (local.get 0))")
        }
        count => {
            let (size, align) = size_align(&echo.result());
            let mut body = String::new();
            let mut values = cores
                .iter()
                .enumerate()
                .map(|(n, core)| Value { code: format!("(local.get {n})"), core: *core });
            let places = offsets(echo.params.iter().map(|(_, ty)| ty));
            for ((_, ty), at) in echo.params.iter().zip(places) {
                let own: Vec<Value> = values.by_ref().take(flat(ty).len()).collect();
                store(ty, at, &own, &mut body);
            }
            format!(
                "(func (export {name:?}) (param{params}) (result i32) (local $to i32)
                    (local.set $to (call $realloc
                        (i32.const 0) (i32.const 0) (i32.const {align}) (i32.const {size})))
                    {body} (local.get {count}))"
            )
        }
    }
}

/// Code that gives a core value.
#[derive(Debug, Clone)]
struct Value {
    code: String,
    core: Core,
}

impl Value {
    /// The same bits as a type that this one may carry.
    fn narrowed(&self, core: Core) -> Self {
        let code = &self.code;
        let code = match (self.core, core) {
            (from, to) if from == to => code.clone(),
            (Core::I64, Core::I32) => format!("(i32.wrap_i64 {code})"),
            (Core::I32, Core::F32) => format!("(f32.reinterpret_i32 {code})"),
            (Core::I64, Core::F32) => format!("(f32.reinterpret_i32 (i32.wrap_i64 {code}))"),
            (Core::I64, Core::F64) => format!("(f64.reinterpret_i64 {code})"),
            (from, to) => unreachable!("{from:?} never carries {to:?}"),
        };
        Self { code, core }
    }
}

/// Writes a value that was handed over as these core values into memory, so far behind `$to`.
fn store(ty: &Type, at: u32, values: &[Value], body: &mut String) {
    let mut put = |instruction: &str, at: u32, value: &Value| {
        let _ = writeln!(body, "({instruction} offset={at} (local.get $to) {})", value.code);
    };
    match ty {
        Type::Bool => put("i32.store8", at, &values[0]),
        Type::Integer("s64" | "u64") => put("i64.store", at, &values[0]),
        Type::Integer(_) | Type::Flags(_) => put(of_bytes(size_align(ty).0), at, &values[0]),
        Type::Char => put("i32.store", at, &values[0]),
        Type::F32 => put("f32.store", at, &values[0]),
        Type::F64 => put("f64.store", at, &values[0]),
        Type::String | Type::List(_) => {
            put("i32.store", at, &values[0]);
            put("i32.store", at + 4, &values[1]);
        }
        Type::Tuple(types) => store_all(types.iter().collect(), at, values, body),
        Type::Record(members) => store_all(members.iter().map(|(_, ty)| ty).collect(), at, values, body),
        Type::Enum(_) | Type::Variant(_) | Type::Option(_) | Type::Result(..) => {
            let cases = cases(ty);
            put(of_bytes(tag_bytes(cases.len())), at, &values[0]);
            let (tag, at) = (&values[0].code, at + payload_offset(ty));
            for (n, payload) in cases.into_iter().enumerate() {
                let Some(payload) = payload else { continue };
                let own: Vec<Value> = flat(payload)
                    .into_iter()
                    .zip(&values[1..])
                    .map(|(core, value)| value.narrowed(core))
                    .collect();
                let _ = writeln!(body, "(if (i32.eq {tag} (i32.const {n})) (then");
                store(payload, at, &own, body);
                body.push_str("))\n");
            }
        }
    }
}

fn store_all(types: Vec<&Type>, at: u32, mut values: &[Value], body: &mut String) {
    for (ty, offset) in types.iter().zip(offsets(types.iter().copied())) {
        let (own, rest) = values.split_at(flat(ty).len());
        store(ty, at + offset, own, body);
        values = rest;
    }
}

fn of_bytes(bytes: u32) -> &'static str {
    match bytes {
        1 => "i32.store8",
        2 => "i32.store16",
        _ => "i32.store",
    }
}
