//! The journal: every event of every session, kept in one SQLite file, so that a session
//! can be continued after a crash and replayed without a model.
//!
//! [`SqliteJournal`] is the real one, [`RamJournal`] the one for tests; one suite of tests
//! (`tests/contract.rs`) runs over both.
//!
//! What is promised:
//! - An event whose `append` returned is there after the process is killed at any point.
//!   It is there after a power cut too, as far as the disk keeps what it said it wrote:
//!   the file is in WAL mode with `synchronous=FULL`, so every append ends in an `fsync`.
//! - An event comes back equal to the one that was appended, or not at all: each carries a
//!   CRC-32, and what would not survive JSON is refused before it is written.
//! - One writer a session, over all processes of the machine; any number of sessions and
//!   readers side by side.

mod codec;
mod fault;
mod lock;
mod ram;
mod schema;
mod sqlite;

pub use codec::MAX_EVENT_BYTES;
pub use lock::MAX_SESSION_NAME_BYTES;
pub use ram::RamJournal;
pub use sqlite::{BUSY_TIMEOUT_MS, MAX_SESSION_BYTES, MAX_SESSIONS_LISTED, SqliteJournal};
