//! Mounted folders, cut into pages and searchable: [`lucid_kernel::port::Disk`] by tantivy on
//! disk ([`TantivyDisk`]) and in memory ([`RamDisk`]).

pub mod bench;
mod cut;
mod decode;
mod index;
mod limits;
mod ram;
mod read;
mod root;
mod scan;
mod stat;
mod walk;

pub use walk::is_secret;
mod words;

pub use cut::{PAGE_BYTES_MAX, PAGE_BYTES_TARGET};
pub use index::swap::TantivySwap;
pub use index::{Checked, TantivyDisk};
pub use limits::Limits;
pub use ram::{RamDisk, RamSwap};
