"""Answers questions over a lake with DuckDB: one JSON line in, one out."""

import csv
import io
import json
import sys
import time

import duckdb

folder, threads = sys.argv[1], sys.argv[2]
connection = duckdb.connect(config={"threads": int(threads)})
connection.execute("SET TimeZone = 'UTC'")
connection.execute(
    "CREATE VIEW events AS SELECT *, fragment_id AS profile_id "
    f"FROM read_parquet('{folder}/day=*/*.parquet', hive_partitioning = true)"
)
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    started = time.perf_counter()
    rows = connection.execute(json.loads(line)["sql"]).fetchall()
    seconds = time.perf_counter() - started
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    print(json.dumps({"seconds": seconds, "rows": out.getvalue()}), flush=True)
