//! Matches a file and prints how good it was: `linkage FILE TRUTH_COLUMN [IGNORED_COLUMN...]`. With `@across` only
//! records of different files are compared, `@spec` prints what is compared, and `@index` measures how long one new
//! record takes to be matched against all of them.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a tool for developers"
)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::time::Instant;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use tessera_match::{
    Column, Index, Model, ModelSpec, Pairs, Table, cluster, estimate, evaluate, link, train,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let began = Instant::now();
    let truth_column = &arguments[1];
    let ignored: Vec<&String> = arguments[2..].iter().filter(|argument| !argument.starts_with('@')).collect();
    let mut columns: Vec<Column> = Vec::new();
    let mut truth: Vec<u32> = Vec::new();
    let mut sources: Vec<u16> = Vec::new();
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for (source, path) in arguments[0].split(',').enumerate() {
        let (header, rows) = read(path);
        if columns.is_empty() {
            columns = header
                .iter()
                .filter(|name| *name != truth_column && !ignored.contains(name))
                .map(|name| Column::new(name))
                .collect();
        }
        for row in rows {
            let mut place = 0;
            for (name, value) in header.iter().zip(&row) {
                if name == truth_column {
                    let mut key = value.clone().unwrap_or_default();
                    if key.starts_with("rec-") {
                        key = key.split('-').take(2).collect::<Vec<_>>().join("-");
                    }
                    let next = u32::try_from(names.len()).unwrap();
                    truth.push(*names.entry(key).or_insert(next));
                } else if !ignored.contains(&name) {
                    columns[place].push(value.as_deref());
                    place += 1;
                }
            }
            sources.push(u16::try_from(source).unwrap());
        }
    }
    let table = Table::new(columns).unwrap().with_sources(sources).unwrap();
    println!("read      {:?}  {} rows", began.elapsed(), table.rows());
    let step = Instant::now();
    let mut spec = ModelSpec::infer(&table).unwrap();
    if arguments.iter().any(|argument| argument == "@across") {
        spec.pairs = Pairs::AcrossSources;
    }
    println!("infer     {:?}", step.elapsed());
    if arguments.iter().any(|argument| argument == "@spec") {
        for comparison in &spec.comparisons {
            println!("  {}: {:?}", comparison.column, comparison.levels);
        }
        for rule in estimate(&table, &spec).unwrap().rules {
            let name: Vec<String> =
                rule.rule.0.iter().map(|e| format!("{}{:?}:{:?}", e.column, e.with, e.form)).collect();
            println!("  {:9} {:6} {}", rule.pairs, rule.largest_block_rows, name.join(" + "));
        }
    }
    if arguments.iter().any(|argument| argument == "@index") {
        let model = train(&table, &spec, 1).unwrap();
        return one_by_one(table, model);
    }
    let step = Instant::now();
    let (model, scored) = link(&table, &spec, 1, &|_, _| ()).unwrap();
    println!("link      {:?}  {} rounds, prior {:e}", step.elapsed(), model.rounds(), model.prior());
    println!("score     {} compared, {} kept", scored.compared, scored.pairs.len());
    let step = Instant::now();
    let clusters = cluster(&table, &model, &scored);
    println!("cluster   {:?}  {} refused", step.elapsed(), clusters.refused_pairs);
    println!("total     {:?}", began.elapsed());
    let result = evaluate(&table, spec.pairs, &scored, &clusters, &truth);
    let line = |name: &str, q: tessera_match::Quality| {
        println!(
            "{name:9} P {:.4} R {:.4} F1 {:.4}  ({} right, {} wrong)",
            q.precision, q.recall, q.f1, q.true_pairs, q.false_pairs
        );
    };
    println!(
        "true pairs {}, reachable {:.4}, best at {:.5}",
        result.true_pairs, result.reachable, result.best_threshold
    );
    line("best", result.best);
    for (threshold, quality) in &result.at {
        line(&format!("{threshold}"), *quality);
    }
    line("clusters", result.clusters);
    for threshold in [0.3, 0.5, 0.7, 0.8, 0.95, 0.99, 0.999] {
        let mut model = model.clone();
        model.spec_mut().thresholds.link = threshold;
        line(
            &format!(" at {threshold}"),
            evaluate(&table, spec.pairs, &scored, &cluster(&table, &model, &scored), &truth).clusters,
        );
    }
    for bin in &result.calibration {
        println!("  {:.2}-{:.2} said {:.3} is {:.3}  ({})", bin.from, bin.to, bin.said, bin.is, bin.pairs);
    }
}

/// New records: those of the table, a letter of one value changed.
fn one_by_one(table: Table, model: Model) {
    let rows = table.rows();
    let records: Vec<Vec<Option<String>>> = (0..20_000)
        .map(|number| {
            let row = number * 7_919 % rows;
            let mut record: Vec<Option<String>> =
                table.columns().iter().map(|column| column.value(row).map(ToOwned::to_owned)).collect();
            let columns = record.len();
            if let Some(value) = &mut record[number % columns] {
                value.insert(value.len() / 2, 'x');
            }
            record
        })
        .collect();
    let step = Instant::now();
    let index = Index::new(table, model).unwrap();
    let built = step.elapsed().as_secs_f64();
    let (mut taken, mut found) = (Vec::new(), 0);
    for record in &records {
        let record: Vec<Option<&str>> = record.iter().map(Option::as_deref).collect();
        let step = Instant::now();
        found += index.matches(&record, 0).unwrap().len();
        taken.push(step.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    let at = |share: usize| taken[(taken.len() * share / 1_000).min(taken.len() - 1)];
    let figures = [
        ("incremental_p50_ms", at(500), "ms"),
        ("incremental_p99_ms", at(990), "ms"),
        ("incremental_max_ms", at(1_000), "ms"),
        ("incremental_found_per_record", found as f64 / taken.len() as f64, "records"),
        ("incremental_index_seconds", built, "s"),
    ];
    for (name, value, unit) in figures {
        println!("{{\"figure\":\"{name}\",\"value\":{value},\"unit\":\"{unit}\"}}");
    }
}

type Rows = Vec<Vec<Option<String>>>;

fn read(path: &str) -> (Vec<String>, Rows) {
    if path.ends_with("parquet") { read_parquet(path) } else { read_csv(path) }
}

fn read_csv(path: &str) -> (Vec<String>, Rows) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines =
        text.lines().map(|line| line.split(',').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    (header, lines.map(|row| row.into_iter().map(Some).collect()).collect())
}

fn read_parquet(path: &str) -> (Vec<String>, Rows) {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let fields = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    let header = fields.iter().map(|field| field.name().to_owned()).collect();
    let text = |field: &Field| match field {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let rows = reader.get_row_iter(None).unwrap();
    (header, rows.map(|row| row.unwrap().get_column_iter().map(|(_, field)| text(field)).collect()).collect())
}
