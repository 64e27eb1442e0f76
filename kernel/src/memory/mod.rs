//! The context window as memory: pages, the table that knows them all, the window that
//! holds the resident ones, and the policy that says which must go.

pub mod evict;
pub mod layout;
pub mod page;
pub mod reuse;
pub mod table;
pub mod window;

pub use page::{Content, Page, PageKind};
pub use table::PageTable;
pub use window::ContextWindow;
