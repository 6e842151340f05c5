"""Reads the lake's events, and its snapshot of profiles, as other engines do: delta-rs reads the catalogue, DuckDB the files that it names."""

import json
import sys

import duckdb
from deltalake import DeltaTable

table = DeltaTable(sys.argv[1])
events, people, total, name = duckdb.execute(
    """
    SELECT count(*), count(DISTINCT fragment_id), sum((properties->>'total')::INT), min(event)
    FROM read_parquet($files)
    WHERE "timestamp" > TIMESTAMPTZ '2020-01-01 00:00:00Z'
    """,
    {"files": table.file_uris()},
).fetchone()
profiles = DeltaTable(sys.argv[2])
snapshot = duckdb.execute(
    """
    SELECT count(*), count(DISTINCT profile_id), min(traits->>'plan'), min("day")::TEXT = min("timestamp" AT TIME ZONE 'UTC')::DATE::TEXT
    FROM read_parquet($files, hive_partitioning = true) WHERE NOT is_restricted AND audiences IS NULL
    """,
    {"files": profiles.file_uris()},
).fetchone()
derived = duckdb.execute(
    """
    SELECT count(*), string_agg(DISTINCT audience, ','), sum((computed_traits->>'orders')::INT), bool_and(made_of LIKE '%' || profile_id || '%')
    FROM read_parquet($files), unnest(json_keys(audiences)) AS names(audience) WHERE audiences IS NOT NULL
    """,
    {"files": profiles.file_uris()},
).fetchone()
columns = [field.name for field in table.schema().fields]
print(json.dumps({
    "events": events,
    "people": people,
    "total": int(total),
    "name": name,
    "snapshot": snapshot,
    "derived": derived,
    "is_by_day": table.metadata().partition_columns == ["day"] and "day" in columns,
}))
