//! Names: each is bound once, and before it is used.

use std::collections::BTreeMap;

use super::error::Problem;
use super::template::{Piece, pieces};
use super::{Script, Step};

/// Which names are bound so far, and whether what they stand for can have fields.
type Known = BTreeMap<String, bool>;

/// Finds the first name that is bound twice, or used before it is bound. Comes with its line.
pub(super) fn names(script: &Script) -> Result<(), (usize, Problem)> {
    let mut known: Known = script.params.iter().map(|p| (p.name.clone(), false)).collect();
    for mount in &script.mounts {
        uses(&mount.folder, &known).map_err(|problem| (mount.line, problem))?;
    }
    for step in &script.steps {
        uses(&step.text, &known).map_err(|problem| (line_of(step, &problem), problem))?;
        if let Some(name) = &step.bind
            && known.insert(name.clone(), step.schema.is_some()).is_some()
        {
            return Err((step.line, Problem::Duplicate(name.clone())));
        }
    }
    Ok(())
}

fn uses(text: &str, known: &Known) -> Result<(), Problem> {
    for piece in pieces(text)? {
        let Piece::Reference(path) = piece else { continue };
        match known.get(path[0]) {
            None => {
                let known = known.keys().cloned().collect();
                return Err(Problem::UnknownName { name: path[0].into(), known });
            }
            Some(false) if path.len() > 1 => return Err(Problem::NoFields(path[0].into())),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The line of a step that the problem is on, as far as it can be told from the text.
fn line_of(step: &Step, problem: &Problem) -> usize {
    let name = match problem {
        Problem::UnknownName { name, .. } | Problem::NoFields(name) => name.as_str(),
        Problem::BadPlaceholder(found) => found.as_str(),
        _ => return step.line,
    };
    // Lines with a schema are no longer in the text: what stands before them is exact.
    let at = step.text.lines().position(|line| line.contains("{{") && line.contains(name));
    step.line + at.unwrap_or(0)
}
