//! Takes exports out of a component that are not of its world.
//!
//! The makers of components from scripts run the script while building, through an export that
//! they leave behind. It would become a tool, and one that loads any script.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{Component, ComponentExportSection, ComponentSectionId, RawSection};
use wasmparser::{
    BinaryReaderError, ComponentExportSectionReader, ComponentExternalKind, CustomSectionReader, KnownCustom,
    Parser, Payload, Validator, WasmFeatures,
};

use super::KitError;

/// The component with only the exports of these names.
pub(super) fn keep_exports(component: &[u8], names: &[String]) -> Result<Vec<u8>, KitError> {
    let fault = |reason: String| KitError::Componentise { reason };
    let dropped = dropped(component, names).map_err(|error| fault(error.to_string()))?;
    if dropped.is_empty() {
        return Ok(component.to_vec());
    }
    let mut out = Component::new();
    Trim { names, dropped }
        .parse_component(&mut out, Parser::new(0), component)
        .map_err(|error| fault(error.to_string()))?;
    let out = out.finish();
    // A wrong index would likely make it invalid.
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&out)
        .map_err(|error| fault(format!("without its left-over exports it is invalid: {error}")))?;
    Ok(out)
}

/// An export makes a new index of its kind: those of the exports that go.
fn dropped(
    component: &[u8],
    names: &[String],
) -> Result<Vec<(ComponentExternalKind, u32)>, BinaryReaderError> {
    let mut found = Vec::new();
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(exports) if depth == 0 => {
                let Some(types) = validator.types(0) else { continue };
                let mut functions = types.component_function_count();
                let mut instances = types.component_instance_count();
                for export in exports.clone() {
                    let export = export?;
                    let index = match export.kind {
                        ComponentExternalKind::Func => &mut functions,
                        ComponentExternalKind::Instance => &mut instances,
                        _ => continue,
                    };
                    if !names.iter().any(|name| name == export.name.name) {
                        found.push((export.kind, *index));
                    }
                    *index += 1;
                }
            }
            _ => {}
        }
        // Bodies are checked when all is done.
        validator.payload(&payload)?;
    }
    Ok(found)
}

struct Trim<'a> {
    names: &'a [String],
    dropped: Vec<(ComponentExternalKind, u32)>,
}

impl Trim<'_> {
    fn moved(&self, kind: ComponentExternalKind, index: u32) -> u32 {
        let before = self.dropped.iter().filter(|(of, gone)| *of == kind && *gone < index).count();
        index - u32::try_from(before).unwrap_or(index)
    }

    fn keeps(&self, kind: ComponentExternalKind, name: &str) -> bool {
        let droppable = matches!(kind, ComponentExternalKind::Func | ComponentExternalKind::Instance);
        !droppable || self.names.iter().any(|it| it == name)
    }
}

impl Reencode for Trim<'_> {
    type Error = Infallible;
}

impl ReencodeComponent for Trim<'_> {
    fn component_func_index(&mut self, index: u32) -> u32 {
        self.moved(ComponentExternalKind::Func, index)
    }

    fn component_instance_index(&mut self, index: u32) -> u32 {
        self.moved(ComponentExternalKind::Instance, index)
    }

    fn parse_component_export_section(
        &mut self,
        exports: &mut ComponentExportSection,
        section: ComponentExportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for export in section {
            let export = export?;
            if self.keeps(export.kind, export.name.name) {
                self.parse_component_export(exports, export)?;
            }
        }
        Ok(())
    }

    /// Other sections stay; that of names for debuggers would need new numbers, and goes.
    fn parse_component_custom_section(
        &mut self,
        component: &mut Component,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        if !matches!(section.as_known(), KnownCustom::ComponentName(_)) {
            component.section(&self.custom_section(section)?);
        }
        Ok(())
    }

    // What is inside knows no function or instance of the outside.
    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _: Parser,
        module: &[u8],
    ) -> Result<(), Error<Infallible>> {
        component.section(&RawSection { id: ComponentSectionId::CoreModule as u8, data: module });
        Ok(())
    }

    fn parse_component_subcomponent(
        &mut self,
        component: &mut Component,
        _: Parser,
        inner: &[u8],
        _: &[u8],
    ) -> Result<(), Error<Infallible>> {
        component.section(&RawSection { id: ComponentSectionId::Component as u8, data: inner });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exports of a component, with the index of what each exports.
    fn exports(component: &[u8]) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            if let Payload::ComponentExportSection(section) = payload.expect("a good component") {
                let named = section.into_iter().map(|it| it.expect("a good export"));
                found.extend(named.map(|it| (it.name.name.to_owned(), it.index)));
            }
        }
        found
    }

    #[test]
    fn only_the_exports_of_the_world_are_left() {
        // `go` is the second function to be lifted, so its index moves when `init` goes.
        let component = wat::parse_str(
            r#"(component
                (core module $m (func (export "a")) (func (export "b") (result i32) i32.const 7))
                (core instance $i (instantiate $m))
                (func $init (canon lift (core func $i "a")))
                (export "init" (func $init))
                (instance $inner (export "init" (func $init)))
                (export "exports" (instance $inner))
                (func $go (result u32) (canon lift (core func $i "b")))
                (export "go" (func $go))
                (@custom "kept" "words"))"#,
        )
        .unwrap();
        assert_eq!(exports(&component), [("init".into(), 0), ("exports".into(), 0), ("go".into(), 2)]);
        let trimmed = keep_exports(&component, &["go".into()]).unwrap();
        assert_eq!(exports(&trimmed), [("go".into(), 1)]);
        assert!(trimmed.windows(9).any(|bytes| bytes == b"keptwords"));
        let all = ["init".into(), "exports".into(), "go".into()];
        assert_eq!(keep_exports(&component, &all).unwrap(), component);
        assert!(keep_exports(b"no component", &[]).is_err());
    }
}
