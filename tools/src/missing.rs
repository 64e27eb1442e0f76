//! Why a component cannot be linked: all that it imports and Lucid does not offer, by name.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use wit_parser::Resolve;

use crate::text::one_line;

/// The contract, as guests know it.
const CONTRACT: &str = include_str!("../../plugins/wit/tool.wit");
/// Its package.
const OURS: &str = "lucid:tool";
/// The version of WASI whose interfaces are linked, as every version of them that fits begins.
const WASI_VERSION: &str = "0.2.";
/// The interfaces of it.
const WASI: [&str; 29] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];
/// The most names of one message.
const MAX_NAMED: usize = 20;
/// The longest name that is shown, in characters.
const MAX_NAME_CHARS: usize = 120;

/// What a component that could not be linked lacks, as the rest of a sentence that says that it imports
/// what Lucid does not offer; and how to help where it was made for another version of the contract.
pub(crate) fn why(engine: &Engine, component: &Component, error: &wasmtime::Error) -> String {
    let contract = Contract::read();
    let mut named = Vec::new();
    let mut is_ours = false;
    for (name, item) in component.component_type().imports(engine) {
        let missing = match &item.ty {
            ComponentItem::ComponentInstance(interface) => {
                let functions: Vec<&str> = interface
                    .exports(engine)
                    .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
                    .map(|(name, _)| name)
                    .collect();
                contract.missing(name, &functions)
            }
            ComponentItem::ComponentFunc(_) => vec![format!("the function {}", shown(name))],
            ComponentItem::Type(_) => Vec::new(),
            _ => vec![shown(name)],
        };
        is_ours |= !missing.is_empty() && package(name) == OURS;
        named.extend(missing);
    }
    if named.is_empty() {
        // All of it is there, and some of it has another form.
        let reason = one_line(&format!("{error:#}"), 500);
        is_ours = reason.contains(&format!("{OURS}/"));
        named.push(reason);
    }
    let more = named.len().saturating_sub(MAX_NAMED);
    named.truncate(MAX_NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let mut words = listed(&named);
    if is_ours {
        words.push_str(&format!(
            "; this Lucid offers {OURS}@{}, so rebuild it with `lucid plugin build` in its folder",
            contract.version
        ));
    }
    words
}

/// What the contract offers.
struct Contract {
    version: String,
    /// The interfaces and their functions.
    interfaces: Vec<(String, Vec<String>)>,
}

impl Contract {
    fn read() -> Self {
        let mut resolve = Resolve::default();
        let mut read = Self { version: String::new(), interfaces: Vec::new() };
        // It was read when the program was built.
        let Ok(package) = resolve.push_str("tool.wit", CONTRACT) else { return read };
        let package = &resolve.packages[package];
        read.version = package.name.version.as_ref().map(ToString::to_string).unwrap_or_default();
        for (name, id) in &package.interfaces {
            let functions = resolve.interfaces[*id].functions.keys().cloned().collect();
            read.interfaces.push((name.clone(), functions));
        }
        read
    }

    /// What is not there of an interface of which these functions are imported.
    fn missing(&self, name: &str, functions: &[&str]) -> Vec<String> {
        // One that has types alone does not have to be there.
        if functions.is_empty() {
            return Vec::new();
        }
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        if package(name) != OURS {
            let fits = version.starts_with(WASI_VERSION) && !version.contains('-');
            return if fits && WASI.contains(&path) { Vec::new() } else { vec![shown(name)] };
        }
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        let interface = path.rsplit('/').next().unwrap_or_default();
        match self.interfaces.iter().find(|(known, _)| known == interface) {
            Some((_, known)) if major(version) == major(&self.version) => functions
                .iter()
                .filter(|function| !known.iter().any(|known| known == *function))
                .map(|function| format!("the function {} of {}", shown(function), shown(name)))
                .collect(),
            _ => vec![shown(name)],
        }
    }
}

/// `namespace:package` of an interface's name.
fn package(name: &str) -> &str {
    name.split(['/', '@']).next().unwrap_or_default()
}

fn shown(name: &str) -> String {
    one_line(name, MAX_NAME_CHARS)
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}
