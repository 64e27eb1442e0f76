#!/usr/bin/env bash
# Runs the built component on real files, through the host: bash plugins/sql/tests/guest.sh [LUCID]
# The logic is tested in sql.rs; here it is that WASI's files do what SQLite needs, and the sandbox
# what the user granted.
set -euo pipefail

lucid=${1:-lucid}
component=$(cd "$(dirname "$0")/.." && pwd)/sql.wasm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/open" "$work/closed"
count=0

# check PART TOOL ARGUMENTS GRANT…: the answer, or the error, must hold the part.
check() {
    local part=$1 tool=$2 arguments=$3 said
    shift 3
    said=$("$lucid" plugin call "$component" "$tool" "$arguments" "${@/#/--grant=}" 2>&1 || true)
    if [[ $said != *"$part"* ]]; then
        printf 'FAILED %s %s\nwanted: %s\nsaid: %s\n' "$tool" "$arguments" "$part" "$said"
        exit 1
    fi
    count=$((count + 1))
}

read=read:$work/open
write=write:$work/open
rows='WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000)'

check '3 statements done, 200000 rows' sql_execute \
    "{\"file\":\"shop.db\",\"sql\":\"CREATE TABLE t (a); $rows INSERT INTO t SELECT i FROM n; CREATE INDEX x ON t (a)\"}" \
    "$read" "$write"
check '20000100000' sql_query '{"file":"shop.db","sql":"SELECT sum(a) FROM t"}' "$read"
check 'ok' sql_query "{\"file\":\"$work/open/shop.db\",\"sql\":\"PRAGMA integrity_check\"}" "$read"
check '(200000 rows)' sql_schema '{"file":"shop.db"}' "$read"
check '1 statement done' sql_execute '{"file":"shop.db","sql":"VACUUM"}' "$read" "$write"
check 'nothing was changed' sql_execute '{"file":"shop.db","sql":"DELETE FROM t; SELEC 1"}' "$read" "$write"
check '200000' sql_query '{"file":"shop.db","sql":"SELECT count(*) FROM t"}' "$read"
check 'longer than 7 seconds' sql_query \
    '{"file":"shop.db","sql":"SELECT count(*) FROM t AS a, t AS b WHERE a.a + b.a < 0"}' "$read"
check 'local time unavailable' sql_query '{"file":"shop.db","sql":"SELECT datetime(1, '"'auto', 'localtime'"')"}' "$read"

# Memory: an error, and no trap, with the least that a plugin has.
check 'more memory' sql_query \
    "{\"file\":\"shop.db\",\"sql\":\"$rows SELECT * FROM (SELECT i, randomblob(10000) AS b FROM n) ORDER BY b\"}" "$read"

# What was not granted.
cp "$work/open/shop.db" "$work/closed/other.db"
ln -s "$work/closed/other.db" "$work/open/link.db"
check 'may not be changed' sql_execute '{"file":"shop.db","sql":"DELETE FROM t"}' "$read"
check 'no folder was granted' sql_query '{"file":"shop.db","sql":"SELECT 1"}'
check 'is in no folder of this tool' sql_query "{\"file\":\"$work/closed/other.db\",\"sql\":\"SELECT 1\"}" "$read"
check 'is in no folder of this tool' sql_query "{\"file\":\"$work/open/../closed/other.db\",\"sql\":\"SELECT 1\"}" "$read"
check 'leads out of the granted folders' sql_query '{"file":"link.db","sql":"SELECT 1"}' "$read"
check 'ATTACH' sql_query "{\"file\":\"shop.db\",\"sql\":\"ATTACH '$work/open/shop.db' AS o\"}" "$read"
check 'there is no file' sql_query '{"file":"none.db","sql":"SELECT 1"}' "$read"

# A CSV file of some size.
for ((i = 0; i < 2000; i++)); do printf '%s,"name, %s",%s.5\n' "$i" "$i" "$i"; done > "$work/rows"
{ echo 'id,name,price'; for ((i = 0; i < 100; i++)); do cat "$work/rows"; done } > "$work/open/big-list.csv"
check '200000 | 199900000.0' sql_query \
    '{"file":"big-list.csv","sql":"SELECT count(*), sum(price - 0.5) FROM big_list"}' "$read" memory:256

if [[ $(ls "$work/open") != $'big-list.csv\nlink.db\nshop.db' ]]; then
    echo "files were left behind:"
    ls "$work/open"
    exit 1
fi
echo "$count passed, 0 failed"
