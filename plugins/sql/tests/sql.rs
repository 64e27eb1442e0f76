//! The tools on real files: what they read, what they change, and what they refuse.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sql::schema::schema;
use sql::statements::{execute, query};
use tempfile::TempDir;

const SHOP: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT DEFAULT 'Basel');
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY,
        customer INTEGER NOT NULL REFERENCES customers(id),
        total REAL, note BLOB
    );
    CREATE INDEX by_customer ON orders (customer);
    CREATE VIEW big AS SELECT * FROM orders WHERE total > 100;
    INSERT INTO customers (id, name) VALUES (1, 'Ada'), (2, 'Bob | Co');
    INSERT INTO orders VALUES (1, 1, 12.5, NULL), (2, 1, 250.0, x'0102'), (3, 2, 7.25, NULL);
";

struct Shop {
    dir: TempDir,
    file: String,
}

fn shop() -> Shop {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    Connection::open(&path).unwrap().execute_batch(SHOP).unwrap();
    Shop { file: text(&path), dir }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn write(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    text(&path)
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn rows_come_as_a_table() {
    let shop = shop();
    assert_eq!(
        query(&shop.file, "SELECT id, total, note FROM orders ORDER BY id").unwrap(),
        "id | total | note\n--- | --- | ---\n1 | 12.5 | NULL\n2 | 250.0 | <blob 2 bytes>\n3 | 7.25 | NULL\n(3 rows)"
    );
    assert!(query(&shop.file, "SELECT name FROM customers WHERE id = 2").unwrap().contains("Bob \\| Co"));
    assert!(query(&shop.file, "SELECT * FROM orders WHERE id > 9").unwrap().ends_with("(no rows)"));
    assert!(query(&shop.file, "WITH a AS (SELECT 1 AS x) SELECT x FROM a;").unwrap().ends_with("1\n(1 row)"));
    assert!(query(&shop.file, "EXPLAIN QUERY PLAN SELECT * FROM orders").unwrap().contains("SCAN orders"));
    assert!(query(&shop.file, "EXPLAIN DELETE FROM orders").unwrap().contains("opcode"));
    assert!(query(&shop.file, "PRAGMA table_info(orders)").unwrap().contains("customer"));
    assert!(query(&shop.file, "SELECT name FROM pragma_table_info('big')").unwrap().contains("total"));
    assert!(query(&shop.file, "PRAGMA integrity_check").unwrap().contains("ok"));
}

#[test]
fn long_results_are_cut_and_say_so() {
    let shop = shop();
    let counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)";
    let rows = query(&shop.file, &format!("{counting} SELECT i FROM n")).unwrap();
    assert!(rows.contains("\n200\n(200 rows shown, there are more: at most 200"), "{rows}");
    let wide = query(&shop.file, &format!("{counting} SELECT i, hex(zeroblob(900)) FROM n")).unwrap();
    assert!(wide.len() <= 48 * 1024 && wide.contains("at most 48 KB are shown"));
    let cell = query(&shop.file, "SELECT hex(zeroblob(100000)) AS x").unwrap();
    assert!(cell.len() < 4_000 && cell.contains("(198000 characters more)"));
    let exact = query(&shop.file, &format!("{counting} SELECT i FROM n LIMIT 200")).unwrap();
    assert!(exact.ends_with("(200 rows)"));
}

#[test]
fn a_schema_has_columns_keys_and_counts() {
    let shop = shop();
    assert_eq!(
        schema(&shop.file).unwrap(),
        "table customers (2 rows)\n  id INTEGER PRIMARY KEY\n  name TEXT NOT NULL\n  city TEXT DEFAULT 'Basel'\n\
         table orders (3 rows)\n  id INTEGER PRIMARY KEY\n  customer INTEGER NOT NULL REFERENCES customers(id)\n  \
         total REAL\n  note BLOB\n  index by_customer (customer)\n\
         view big\n  id INTEGER\n  customer INTEGER\n  total REAL\n  note BLOB"
    );
    let empty = write(&shop.dir, "empty.db", "");
    assert!(schema(&empty).unwrap().ends_with("has no tables."));
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let shop = shop();
    for (sql, part) in [
        ("SELEC 1", "near \"SELEC\": syntax error (line 1, column 1, at `SELEC 1`)"),
        (
            "SELECT id,\n  nam FROM customers",
            "no such column: nam (line 2, column 3, at `nam FROM customers`)",
        ),
        ("SELECT nam FROM customers", "there are big.id"),
        ("SELECT \"Ada\" FROM customers", "no such column: \"Ada\""),
        ("SELECT * FROM client", "no such table: client; there are big, customers, orders"),
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT 1; DROP TABLE orders", "one statement"),
        ("SELECT 1\0", "zero character"),
        ("SELECT datetime('now', 'localtime'), abs(-9223372036854775808)", "overflow"),
        ("SELECT hex(zeroblob(20000000))", "too large"),
    ] {
        let error = query(&shop.file, sql).expect_err(sql);
        assert!(error.contains(part), "{sql}: {error}");
    }
    assert!(
        query(&text(&shop.dir.path().join("none.db")), "SELECT 1").unwrap_err().contains("there is no file")
    );
    assert!(query(&text(shop.dir.path()), "SELECT 1").unwrap_err().contains("is a folder"));
    let not = write(
        &shop.dir,
        "not.db",
        "This is no database, but a text that is long enough to look at. ".repeat(40),
    );
    assert!(query(&not, "SELECT 1").unwrap_err().contains("is no SQLite database"));
    let mut damaged = std::fs::read(&shop.file).unwrap();
    damaged[4096..8192].fill(0xff);
    let damaged = write(&shop.dir, "damaged.db", damaged);
    assert!(query(&damaged, "SELECT * FROM customers").unwrap_err().contains("is damaged"));
    let mut named = std::fs::read(&shop.file).unwrap();
    let at = named.windows(9).position(|bytes| bytes == b"name TEXT").unwrap();
    named[at] = 0xff;
    let named = write(&shop.dir, "named.db", named);
    assert!(query(&named, "SELECT * FROM customers").unwrap_err().contains("no UTF-8"));
}

#[test]
fn asking_never_changes_a_file() {
    let shop = shop();
    let before = std::fs::read(&shop.file).unwrap();
    for (sql, part) in [
        ("DELETE FROM orders", "use `execute`"),
        ("INSERT INTO customers (name) VALUES ('x') RETURNING id", "use `execute`"),
        ("CREATE TEMP TABLE t (a)", "use `execute`"),
        ("VACUUM", ""),
        ("VACUUM INTO '/tmp/lucid-copy.db'", ""),
        ("ATTACH '/etc/passwd' AS x", "ATTACH"),
        ("ATTACH 'a' || 'b' AS x", "ATTACH"),
        ("PRAGMA writable_schema = 1", "not possible"),
        ("PRAGMA journal_mode = wal", "not possible"),
        ("PRAGMA user_version = 7", "not possible"),
        ("PRAGMA query_only = 0", "not possible"),
        ("SELECT load_extension('/tmp/x.so')", "extension"),
        ("SELECT * FROM pragma_writable_schema", ""),
    ] {
        let error = query(&shop.file, sql).expect_err(sql);
        assert!(error.contains(part), "{sql}: {error}");
    }
    assert_eq!(std::fs::read(&shop.file).unwrap(), before);
    assert_eq!(files(&shop.dir).len(), 1);
    assert!(!Path::new("/tmp/lucid-copy.db").exists());
}

#[test]
fn changes_are_made_or_none_is() {
    let shop = shop();
    let done = execute(
        &shop.file,
        "INSERT INTO customers (name) VALUES ('Cleo') RETURNING id;\n-- two more\nUPDATE orders SET total = 1;",
    );
    assert_eq!(done.unwrap(), "2 statements done, 4 rows changed.\nStatement 1:\nid\n---\n3\n(1 row)");
    assert!(query(&shop.file, "SELECT sum(total) FROM orders").unwrap().contains("\n3.0\n"));

    for (sql, part) in [
        ("DELETE FROM orders; INSERT INTO customers (id) VALUES (1)", "statement 2: "),
        ("DELETE FROM orders; SELEC 1", "statement 2: near \"SELEC\""),
        ("DELETE FROM orders; DELETE FROM absent", "no such table: absent; there are"),
        ("DELETE FROM orders; ATTACH 'other.db' AS o", "ATTACH"),
        ("DELETE FROM orders; ROLLBACK", "ROLLBACK is not needed"),
        ("DELETE FROM orders; PRAGMA writable_schema = 1", "not possible"),
        ("DELETE FROM orders; UPDATE sqlite_schema SET sql = ''", "may not be modified"),
        ("DELETE FROM orders; CREATE VIRTUAL TABLE t USING csv(a)", "not possible"),
        ("INSERT INTO orders VALUES (9, 77, 1, NULL)", "FOREIGN KEY constraint failed"),
        ("VACUUM INTO 'copy.db'", "VACUUM INTO"),
        ("", "no statement"),
    ] {
        let error = execute(&shop.file, sql).expect_err(sql);
        assert!(error.contains(part), "{sql}: {error}");
        assert!(query(&shop.file, "SELECT count(*) FROM orders").unwrap().contains("\n3\n"), "{sql}");
    }
    assert_eq!(files(&shop.dir).len(), 1);
    execute(&shop.file, "BEGIN; DELETE FROM orders WHERE id = 1; COMMIT;").unwrap();
    execute(&shop.file, "VACUUM").unwrap();
    execute(&shop.file, "PRAGMA user_version = 7").unwrap();
    execute(&shop.file, "CREATE VIRTUAL TABLE words USING fts5(w); INSERT INTO words VALUES ('hello sea')")
        .unwrap();
    assert!(query(&shop.file, "SELECT w FROM words WHERE words MATCH 'sea'").unwrap().contains("hello"));
    assert!(query(&shop.file, "PRAGMA integrity_check").unwrap().contains("ok"));
    assert_eq!(files(&shop.dir).len(), 1);
}

#[test]
fn a_new_database_is_made_only_for_something() {
    let dir = tempfile::tempdir().unwrap();
    let path = text(&dir.path().join("new.db"));
    execute(&path, "SELEC").unwrap_err();
    assert!(files(&dir).is_empty());
    execute(&path, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").unwrap();
    assert!(query(&path, "SELECT sum(a) FROM t").unwrap().contains("\n3\n"));
    // Far more than fits into SQLite's cache or a statement's journal in memory.
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) \
                INSERT INTO t SELECT i FROM n; UPDATE t SET a = a + 1";
    assert!(execute(&path, many).unwrap().contains("400002 rows changed"));
    assert!(query(&path, "PRAGMA quick_check").unwrap().contains("ok"));
}

#[test]
fn what_another_program_is_doing_is_not_disturbed() {
    let shop = shop();
    let other = Connection::open(&shop.file).unwrap();
    other.pragma_update(None, "journal_mode", "wal").unwrap();
    other.execute_batch("INSERT INTO customers (id, name) VALUES (9, 'Zoe')").unwrap();
    // What stands in the log alone is read.
    assert!(query(&shop.file, "SELECT name FROM customers WHERE id = 9").unwrap().contains("Zoe"));
    let error = execute(&shop.file, "DELETE FROM customers").unwrap_err();
    assert!(error.contains("another program has"), "{error}");
    other.close().unwrap();
    // Now there is no log, and none is left.
    assert!(query(&shop.file, "SELECT name FROM customers WHERE id = 9").unwrap().contains("Zoe"));
    assert_eq!(files(&shop.dir).len(), 1);
    execute(&shop.file, "UPDATE customers SET name = 'Zora' WHERE id = 9").unwrap();
    assert_eq!(files(&shop.dir).len(), 1);
    assert!(query(&shop.file, "SELECT name FROM customers WHERE id = 9").unwrap().contains("Zora"));

    let journal = format!("{}-journal", shop.file);
    std::fs::write(&journal, [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0]).unwrap();
    assert!(query(&shop.file, "SELECT 1").unwrap_err().contains("broke off"));
    assert!(execute(&shop.file, "DELETE FROM customers").unwrap_err().contains("broke off"));
    std::fs::write(&journal, [0; 512]).unwrap();
    query(&shop.file, "SELECT 1").unwrap();
}

#[test]
fn endless_statements_end() {
    let shop = shop();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let error = query(&shop.file, &format!("{endless} SELECT count(*) FROM n")).unwrap_err();
    assert!(error.contains("longer than 7 seconds"), "{error}");
    let error =
        execute(&shop.file, &format!("{endless} INSERT INTO customers (name) SELECT i FROM n WHERE i < 0"));
    assert!(error.unwrap_err().contains("longer than 7 seconds"));
    assert_eq!(files(&shop.dir).len(), 1);
}

#[test]
fn csv_files_are_tables() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(
        &dir,
        "sales-2024.csv",
        "\u{feff}Name,Amount,zip,note,Name\nAda,12.50,04001,\"a, b\",x\nBob,7,80331,,y\n",
    );
    assert_eq!(
        query(&file, "SELECT * FROM sales_2024 ORDER BY amount").unwrap(),
        "Name | Amount | zip | note | Name_2\n--- | --- | --- | --- | ---\n\
         Bob | 7.0 | 80331 | NULL | y\nAda | 12.5 | 04001 | a, b | x\n(2 rows)"
    );
    assert_eq!(
        schema(&file).unwrap(),
        "table sales_2024 (2 rows)\n  Name TEXT\n  Amount REAL\n  zip TEXT\n  note TEXT\n  Name_2 TEXT"
    );
    assert!(query(&file, "SELECT * FROM sales").unwrap_err().contains("there are sales_2024"));
    assert!(query(&file, "DELETE FROM sales_2024").is_err());
    assert!(execute(&file, "DELETE FROM sales_2024").unwrap_err().contains("use `query`"));
    let latin = write(&dir, "latin.CSV", b"Stadt;Zahl\nM\xfcnchen;1\nK\xf6ln;2;3\n");
    let rows = query(&latin, "SELECT Stadt, sum(Zahl), column_3 FROM latin GROUP BY Stadt").unwrap();
    assert!(rows.contains("München | 1 | NULL") && rows.contains("Köln | 2 | 3"), "{rows}");
    let tabs = write(&dir, "tabs.tsv", "a\tb\n1\t2,3\n");
    assert!(query(&tabs, "SELECT b FROM tabs").unwrap().contains("2,3"));
    assert!(query(&write(&dir, "empty.csv", ""), "SELECT 1").unwrap_err().contains("is empty"));
    assert!(schema(&write(&dir, "head.csv", "a,b\n")).unwrap().contains("(0 rows)"));
    let wide = vec!["x"; 501].join(",");
    assert!(schema(&write(&dir, "wide.csv", wide)).unwrap_err().contains("501 columns"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_statement_and_no_file_breaks_it(sql in "\\PC{0,60}", bytes in proptest::collection::vec(0_u8.., 0..300)) {
        let shop = shop();
        let _ = query(&shop.file, &sql);
        let _ = execute(&shop.file, &sql);
        for name in ["any.db", "any.csv"] {
            let file = write(&shop.dir, name, &bytes);
            let _ = query(&file, &format!("SELECT * FROM {sql}"));
            let _ = schema(&file);
        }
    }

    #[test]
    fn no_damage_breaks_it(at in 0_usize..16384, byte in 0_u8.., length in 1_usize..64) {
        let shop = shop();
        let mut bytes = std::fs::read(&shop.file).unwrap();
        let end = bytes.len().min(at + length);
        bytes[at.min(end)..end].fill(byte);
        std::fs::write(&shop.file, bytes).unwrap();
        let _ = schema(&shop.file);
        let _ = query(&shop.file, "SELECT * FROM customers JOIN orders ON customer = customers.id");
        let _ = query(&shop.file, "SELECT * FROM sqlite_schema");
        let _ = execute(&shop.file, "UPDATE orders SET total = total + 1; DELETE FROM customers WHERE id = 2");
    }
}
