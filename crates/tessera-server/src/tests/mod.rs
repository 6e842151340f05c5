//! Tests of the whole shell: the real router, pipeline and couriers over a log and a store in memory.

mod access;
mod accounts;
mod admin;
mod audiences;
mod bad_input;
mod contact;
mod groups;
mod ingest;
mod live;
mod matchers;
mod rejects;
mod rights;
mod serving;
mod simulate;
mod stewardship;
mod tls;
mod world;
