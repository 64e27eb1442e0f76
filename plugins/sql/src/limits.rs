//! What bounds a call, so that no statement fills the model's window or runs for ever.

use std::time::Duration;

/// The most rows of a result.
pub const MAX_ROWS: usize = 200;
/// The most bytes of a result.
pub const MAX_OUTPUT_BYTES: usize = 48 * 1024;
/// The most characters of a cell; more are cut.
pub const MAX_CELL_CHARS: usize = 2_000;
/// The longest text of statements, in bytes.
pub const MAX_SQL_BYTES: usize = 1 << 20;
/// The most statements of one call.
pub const MAX_STATEMENTS: usize = 10_000;
/// How long a call may compute. It is less than what the host allows, so that a change is taken
/// back in good order.
pub const MAX_TIME: Duration = Duration::from_secs(7);
/// How long rows are counted for a schema.
pub const MAX_COUNTING: Duration = Duration::from_secs(3);
/// How many instructions of SQLite's machine run between two looks at the clock.
pub const STEPS_PER_LOOK: i32 = 20_000;
/// The largest CSV file, in bytes.
pub const MAX_SHEET_BYTES: usize = 32 << 20;
/// The most columns of a CSV file.
pub const MAX_SHEET_COLUMNS: usize = 500;
/// The largest value or row, in bytes.
pub const MAX_VALUE_BYTES: i32 = 16 << 20;
/// The most memory of SQLite, in bytes; less than what the plugin asks for.
pub const MAX_HEAP_BYTES: i64 = 192 << 20;
/// The longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 1_000;
