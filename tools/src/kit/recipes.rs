//! Plugins that are too large to be part of the program, and that it knows how to make from what others
//! published.

use std::path::Path;

use crate::error::ToolError;
use crate::files::write_atomically;

/// How a plugin is made: its project.
#[derive(Debug)]
pub struct Recipe {
    /// The plugin's name.
    pub name: &'static str,
    /// The project's files, by their paths in it.
    files: &'static [(&'static str, &'static str)],
}

/// All of them.
pub const RECIPES: &[Recipe] = &[Recipe {
    name: "cpython",
    files: &[
        ("plugin.toml", include_str!("../../../plugins/cpython/plugin.toml")),
        ("wit/world.wit", include_str!("../../../plugins/cpython/wit/world.wit")),
        ("wit/deps/lucid-tool/tool.wit", include_str!("../../../plugins/wit/tool.wit")),
        ("src/host.wat", include_str!("../../../plugins/cpython/src/host.wat")),
        ("src/driver.py", include_str!("../../../plugins/cpython/src/driver.py")),
        ("src/ended.txt", include_str!("../../../plugins/cpython/src/ended.txt")),
    ],
}];

impl Recipe {
    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        RECIPES.iter().find(|recipe| recipe.name == name)
    }

    /// Writes the project into a folder, which is made.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ToolError> {
        for (path, text) in self.files {
            let file = folder.join(path);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(|error| ToolError::io("make the folder", parent, error))?;
            }
            write_atomically(&file, text.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_all_of_its_project() {
        for recipe in RECIPES {
            let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(recipe.name);
            let written = tempfile::tempdir().unwrap();
            recipe.write(written.path()).unwrap();
            let files = |folder: &Path| {
                let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
                let files = entries.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
                let built = format!("{}.wasm", recipe.name);
                files
                    .filter(|entry| entry.file_name() != built.as_str() && entry.file_name() != "tests.toml")
                    .map(|entry| {
                        let path = entry.path().strip_prefix(folder).unwrap().to_path_buf();
                        (path, std::fs::read_to_string(entry.path()).unwrap())
                    })
                    .collect::<Vec<_>>()
            };
            assert_eq!(files(written.path()), files(&project));
            assert!(Recipe::find(recipe.name).is_some());
        }
        assert!(Recipe::find("nothing").is_none());
    }
}
