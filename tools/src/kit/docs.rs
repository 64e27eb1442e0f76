//! The doc comments of WIT files as [`Docs`]: componentising drops them, so `build` writes
//! them into the component itself.
//!
//! In a function's comment, a line `- NAME: TEXT` is about the parameter of that name, and
//! a line `Keywords: A, B` lists other words for the function, the first of them what
//! people call it, and `Needs: A, B` the kinds of rights that it needs; the rest is its description.

use wit_parser::{Function, WorldItem};

use super::world::World;
use crate::docs::{Docs, FORM, FunctionDocs};

/// The words of a world and of the functions that it exports.
pub(super) fn read(world: &World, plugin: &str, version: Option<String>) -> Docs {
    let resolve = &world.resolve;
    let world = &resolve.worlds[world.id];
    let mut docs = Docs {
        form: Some(FORM),
        plugin: Some(plugin.to_owned()),
        version,
        description: joined(world.docs.contents.as_deref().unwrap_or_default().lines()),
        ..Docs::default()
    };
    for item in world.exports.values() {
        match item {
            WorldItem::Function(function) => {
                docs.functions.insert(function.name.clone(), words(function));
            }
            WorldItem::Interface { id, .. } => {
                let name = resolve.id_of(*id).unwrap_or_default();
                for (function_name, function) in &resolve.interfaces[*id].functions {
                    docs.functions.insert(format!("{name}#{function_name}"), words(function));
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    docs
}

fn words(function: &Function) -> FunctionDocs {
    let mut out = FunctionDocs::default();
    let mut rest = Vec::new();
    for line in function.docs.contents.as_deref().unwrap_or_default().lines() {
        let line = line.trim();
        if let Some((name, text)) = line.strip_prefix("- ").and_then(|item| item.split_once(": ")) {
            out.fields.insert(name.trim().to_owned(), text.trim().to_owned());
        } else if let Some(list) = line.strip_prefix("Keywords:") {
            out.keywords =
                list.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
        } else if let Some(list) = line.strip_prefix("Needs:") {
            let kinds = list.split(',').map(|kind| kind.trim().to_owned());
            out.needs = Some(kinds.filter(|kind| !kind.is_empty()).collect());
        } else {
            rest.push(line);
        }
    }
    out.description = joined(rest.into_iter());
    out
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
