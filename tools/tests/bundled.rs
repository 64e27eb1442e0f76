//! The bundled plugins, as the components that users run, on the cases of their authors.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use lucid_kernel::abi::{Call, Fault};
use lucid_kernel::port::CancelFlag;
use lucid_tools::kit::cases::Cases;
use lucid_tools::{Limits, Scope, ToolHost};
use serde_json::{Value, json};

#[test]
fn every_bundled_plugin_does_what_its_author_says() {
    let host = ToolHost::new(None, Limits::default());
    for plugin in host.load_bundled().unwrap() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(&plugin.name);
        let mut ran = 0;
        for case in Cases::read(&folder).unwrap().iter() {
            let rights = case.grants.iter().map(|right| right.parse().unwrap()).collect();
            let scope = Scope { rights: Arc::new(rights), ..Scope::default() };
            let ran_case = case.run(&host, &plugin, &scope);
            assert_eq!(ran_case.failure, None, "{} {}", ran_case.call.tool, ran_case.call.arguments);
            ran += 1;
        }
        assert!(ran >= 5, "{} has {ran} cases", plugin.name);
    }
}

#[test]
fn every_tool_says_what_it_does_and_how_people_call_it() {
    let host = ToolHost::new(None, Limits::default());
    for plugin in host.load_bundled().unwrap() {
        assert!(plugin.refused.is_empty(), "{:?}", plugin.refused);
        for tool in &plugin.tools {
            assert!(!tool.description.is_empty() && !tool.keywords.is_empty(), "{}", tool.name);
            // A small window has to hold several of them.
            let told = lucid_kernel::prompt::described(tool);
            assert!(told.len() <= 320, "{} takes {} characters", tool.name, told.len());
        }
    }
}

fn scope(granted: &[String]) -> Scope {
    let rights = granted.iter().map(|right| right.parse().expect("a right")).collect();
    Scope { rights: Arc::new(rights), ..Scope::default() }
}

struct Files {
    host: ToolHost,
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let host = ToolHost::new(None, Limits::default());
        host.load_bundled().expect("the bundled plugins load");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.txt"), "one\ntwo\nthree\n").expect("a file");
        Self { host, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().canonicalize().expect("its path").join(name).display().to_string()
    }

    fn granted(&self, kind: &str) -> Scope {
        scope(&[format!("{kind}:{}", self.path("").trim_end_matches('/'))])
    }

    fn call(&self, tool: &str, mut arguments: Value, scope: &Scope) -> Result<String, Fault> {
        for key in ["path", "from", "to"] {
            if let Some(name) = arguments[key].as_str() {
                arguments[key] = self.path(name).into();
            }
        }
        let call = Call { tool: format!("files_{tool}"), arguments };
        self.host.call(&call, scope, &CancelFlag::new()).map(|output| output.text)
    }

    fn preview(&self, tool: &str, arguments: &Value, scope: &Scope) -> Option<String> {
        let call = Call { tool: format!("files_{tool}"), arguments: arguments.clone() };
        self.host.preview(&call, scope, &CancelFlag::new()).map(|text| text.expect("a preview"))
    }
}

#[test]
fn files_are_read_found_and_changed_where_that_was_granted() {
    let files = Files::new();
    let (read, write) = (files.granted("read"), files.granted("write"));
    assert_eq!(files.call("read", json!({ "path": "a.txt" }), &read).unwrap(), "one\ntwo\nthree");
    assert!(files.call("search", json!({ "path": "", "pattern": "TWO" }), &read).is_ok());
    assert!(
        files.call("search", json!({ "path": "", "pattern": "two" }), &read).unwrap().contains(":2: two")
    );
    assert!(files.call("list", json!({ "path": "" }), &read).unwrap().contains("a.txt"));
    assert!(files.call("find", json!({ "path": "", "pattern": "*.txt" }), &read).unwrap().contains("a.txt"));
    let edit = json!({ "path": "a.txt", "old": "two", "new": "2" });
    files.call("edit", edit.clone(), &read).unwrap_err();
    assert!(files.call("edit", edit.clone(), &write).unwrap().contains("+2"));
    assert_eq!(fs::read_to_string(files.path("a.txt")).unwrap(), "one\n2\nthree\n");
    let error = files.call("edit", edit, &write).unwrap_err();
    assert!(error.message.contains("read the file first"), "{error}");
    files.call("write", json!({ "path": "b/c.txt", "content": "x", "mode": "create" }), &write).unwrap();
    files.call("move", json!({ "from": "b/c.txt", "to": "d.txt" }), &write).unwrap();
    assert_eq!(fs::read_to_string(files.path("d.txt")).unwrap(), "x");
    files.call("remove", json!({ "path": "d.txt" }), &write).unwrap();
    assert!(!Path::new(&files.path("d.txt")).exists());
    for outside in ["../x", "../../etc/passwd"] {
        files.call("read", json!({ "path": outside }), &write).unwrap_err();
    }
}

#[test]
fn what_a_change_would_do_is_told_without_doing_it() {
    let files = Files::new();
    let arguments = json!({ "path": files.path("a.txt"), "old": "two", "new": "2" });
    // Who is asked for more sees it with the right to read alone.
    for kind in ["read", "write"] {
        let told = files.preview("edit", &arguments, &files.granted("read")).unwrap();
        assert!(told.contains("-two") && told.contains("+2"), "{kind}: {told}");
    }
    assert_eq!(fs::read_to_string(files.path("a.txt")).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(files.preview("read", &json!({ "path": files.path("a.txt") }), &files.granted("read")), None);
    assert!(files.host.tools().iter().all(|tool| !tool.name.ends_with("_preview")));
}

#[test]
fn a_page_is_fetched_as_markdown() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let body = "<html><head><title>Zoo</title><script>evil()</script></head><body><h1>Animals</h1>\
                        <p>See <a href='/lions'>lions</a>.</p></body></html>";
            let head = format!("content-type: text/html\r\ncontent-length: {}", body.len());
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\nconnection: close\r\n\r\n{body}");
        }
    });
    let host = ToolHost::new(None, Limits::default());
    host.load_bundled().unwrap();
    let call = Call { tool: "fetch_get".into(), arguments: json!({ "url": format!("http://{address}/") }) };
    let text = host.call(&call, &scope(&[format!("net:{address}")]), &CancelFlag::new()).unwrap().text;
    assert!(text.contains("# Animals") && !text.contains("evil"), "{text}");
    assert!(text.contains(&format!("[lions](http://{address}/lions)")), "{text}");
}
