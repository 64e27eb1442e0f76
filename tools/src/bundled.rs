//! The plugins that are part of the program. `cargo run -p lucid-tools --example prebuilt --
//! update` makes the files again from their sources.

/// A component that is part of the program.
pub struct Bundled {
    /// The plugin's name.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    COMPONENTS.iter().find(|bundled| bundled.name == name)
}

/// All of them.
pub const COMPONENTS: &[Bundled] = &[
    Bundled { name: "calc", bytes: include_bytes!("../../plugins/prebuilt/calc.wasm") },
    Bundled { name: "files", bytes: include_bytes!("../../plugins/prebuilt/files.wasm") },
    Bundled { name: "fetch", bytes: include_bytes!("../../plugins/prebuilt/fetch.wasm") },
    Bundled { name: "python", bytes: include_bytes!("../../plugins/prebuilt/python.wasm") },
    Bundled { name: "sql", bytes: include_bytes!("../../plugins/prebuilt/sql.wasm") },
    Bundled { name: "text", bytes: include_bytes!("../../plugins/prebuilt/text.wasm") },
    Bundled { name: "time", bytes: include_bytes!("../../plugins/prebuilt/time.wasm") },
];
