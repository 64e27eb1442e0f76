//! What one call owns: its limits, its rights and what it said before it failed.
//!
//! Of WASI a guest gets the folders and the variables of the environment that were granted, and requests
//! to the hosts that were; no arguments, no input and no sockets. The rest is linked all the same, because most compilers emit
//! imports of it, and answered with a plain error or with nothing. Clocks and random numbers work.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use lucid_kernel::port::CancelFlag;
use tokio::io::AsyncWrite;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::carried::Folder;
use crate::imports::{self, Used};
use crate::limits::{
    Limits, MAX_HEADERS_BYTES, MAX_INSTANCES, MAX_REPORT_BYTES, MAX_RESOURCES, MAX_TABLE_ELEMENTS,
};
use crate::outgoing::Outgoing;
use crate::rights::{MOUNTED, Right};
use crate::services::Scope;

/// The state of one call.
pub(crate) struct Sandbox {
    /// Made when the guest first asks for it: most tools never do.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    table: ResourceTable,
    limits: StoreLimits,
    pub outgoing: Outgoing,
    pub words: Words,
    /// Whose call it is.
    pub plugin: String,
    pub tool: String,
    pub scope: Scope,
    /// The folders with the files that the component carries.
    carried: Arc<[Folder]>,
    pub cancel: CancelFlag,
    /// Set when the call has ended, however it did: what still works for it is to stop.
    pub ended: CancelFlag,
    pub used: Used,
    memory_bytes: usize,
    /// Memory in use, all memories together.
    used_bytes: usize,
    /// Whether more memory was refused, which is likely why the guest then failed.
    pub out_of_memory: bool,
}

impl Sandbox {
    pub(crate) fn new(limits: &Limits, plugin: &str, tool: &str, scope: Scope, cancel: CancelFlag) -> Self {
        let store = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(MAX_TABLE_ELEMENTS)
            .instances(MAX_INSTANCES)
            .memories(MAX_INSTANCES)
            .tables(MAX_INSTANCES)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_HEADERS_BYTES);
        Self {
            wasi: None,
            http,
            table,
            limits: store,
            outgoing: Outgoing::new(Arc::clone(&scope.rights)),
            words: Words::default(),
            plugin: plugin.to_owned(),
            tool: tool.to_owned(),
            scope,
            carried: Arc::default(),
            cancel,
            ended: CancelFlag::new(),
            used: Used::default(),
            memory_bytes: limits.memory_bytes,
            used_bytes: 0,
            out_of_memory: false,
        }
    }

    /// The same with the folders in which the component's own files are.
    pub(crate) fn with_files(self, carried: Arc<[Folder]>) -> Self {
        Self { carried, ..self }
    }

    /// What the guest said, trimmed.
    pub(crate) fn words(&self) -> String {
        self.words.said()
    }
}

/// Links everything that a guest may import.
pub(crate) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    imports::link(linker)
}

/// The folders and the variables that a call was granted, and nothing else of WASI.
fn wasi(words: &Words, scope: &Scope, carried: &[Folder]) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stderr(words.clone()).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    let folders = |of: &str| match of {
        MOUNTED => scope.services.mounted(),
        folder => vec![PathBuf::from(folder)],
    };
    for right in scope.rights.iter() {
        let (folders, perms) = match right {
            Right::Read(of) => (folders(of), FsPerms::ReadOnly),
            Right::Write(of) => (folders(of), FsPerms::ReadWrite),
            Right::Env(name) => {
                if let Some(value) = scope.services.env(name) {
                    wasi.env(name, value);
                }
                continue;
            }
            _ => continue,
        };
        for folder in folders {
            // A folder that is not there is not there for the guest either.
            let _ = wasi.preopened_dir(&folder, folder.to_string_lossy(), perms);
        }
    }
    for (folder, place) in carried {
        let _ = wasi.preopened_dir(place, folder, FsPerms::ReadOnly);
    }
    wasi.build()
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (words, scope, carried) = (&self.words, &self.scope, &self.carried);
        let ctx = self.wasi.get_or_insert_with(|| wasi(words, scope, carried));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}

impl ResourceLimiter for Sandbox {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used_bytes.saturating_sub(current).saturating_add(desired);
        let allowed = used <= self.memory_bytes && self.limits.memory_growing(current, desired, maximum)?;
        if allowed {
            self.used_bytes = used;
        } else {
            self.out_of_memory = true;
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

/// The first bytes of a guest's standard error and reports; the rest is dropped unseen.
#[derive(Clone, Default)]
pub(crate) struct Words(Arc<Mutex<Vec<u8>>>);

impl Words {
    pub(crate) fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_REPORT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(crate) fn add_line(&self, line: &str) {
        self.add(line.as_bytes());
        self.add(b"\n");
    }

    /// All of it, trimmed.
    pub(crate) fn said(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}

impl IsTerminal for Words {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Words {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Words {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.add(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
