//! The engine from outside: what must hold for any table.

use proptest::prelude::*;

use crate::{Column, Index, ModelSpec, Table, cluster, evaluate, link, score, train};

mod households;
pub(crate) use households::households;

type Person = [Option<String>; 4];

fn person() -> impl Strategy<Value = Person> {
    let name = prop::sample::select(vec!["ada", "adda", "bob", "robert", "grace", "gracie", "mary"]);
    let family = prop::sample::select(vec!["king", "kings", "hopper", "smith", "smyth"]);
    let day = prop::sample::select(vec!["1990-01-02", "1990-02-01", "1985-05-05", "1985-05-06"]);
    let mail = prop::sample::select(vec!["a@x.org", "b@x.org", "c@y.org", "a@y.org"]);
    let maybe = |value: &str| Some(value.to_owned());
    (name, family, prop::option::of(day), prop::option::of(mail)).prop_map(
        move |(name, family, day, mail)| {
            [maybe(name), maybe(family), day.map(str::to_owned), mail.map(str::to_owned)]
        },
    )
}

fn table(people: &[Person]) -> Table {
    let mut columns = ["first_name", "surname", "birth_date", "email"].map(Column::new);
    for person in people {
        for (column, value) in columns.iter_mut().zip(person) {
            column.push(value.as_deref());
        }
    }
    Table::new(columns.to_vec()).unwrap()
}

/// A specification with rules, also for tables so small that all pairs could be compared.
fn spec(table: &Table) -> ModelSpec {
    let rules = "
- [{column: first_name}]
- [{column: surname, form: phonetic}, {column: birth_date, form: year}]
- [{column: email}]
- [{column: first_name, with: surname}]
";
    let mut spec = ModelSpec::infer(table).unwrap();
    spec.blocking = serde_saphyr::from_str(rules).unwrap();
    spec.thresholds.keep = 0.0;
    spec
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_record_by_itself_finds_what_the_batch_finds(people in prop::collection::vec(person(), 12..30), cut in 2_usize..10) {
        let all = table(&people);
        let model = train(&all, &spec(&all), 7).unwrap();
        let batch = score(&all, &model).unwrap();
        let mut index = Index::new(table(&people[..cut]), model).unwrap();
        for (row, person) in people.iter().enumerate().skip(cut) {
            let values: Vec<Option<&str>> = person.iter().map(Option::as_deref).collect();
            let mut found = index.matches(&values, 0).unwrap();
            found.sort_by_key(|pair| pair.right);
            let expected: Vec<(u32, f32)> = batch
                .pairs
                .iter()
                .filter(|pair| pair.right as usize == row)
                .map(|pair| (pair.left, pair.weight))
                .collect();
            let found: Vec<(u32, f32)> = found.iter().map(|pair| (pair.right, pair.weight)).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(index.insert(&values, 0).unwrap(), row);
        }
    }

    #[test]
    fn what_was_removed_is_found_no_more(people in prop::collection::vec(person(), 12..20), gone in 0_usize..12) {
        let all = table(&people);
        let model = train(&all, &spec(&all), 7).unwrap();
        let mut index = Index::new(all, model).unwrap();
        index.remove(gone);
        for person in &people {
            let values: Vec<Option<&str>> = person.iter().map(Option::as_deref).collect();
            prop_assert!(index.matches(&values, 0).unwrap().iter().all(|pair| pair.right as usize != gone));
        }
    }

    #[test]
    fn an_index_that_records_came_and_went_in_is_the_index_of_those_left(
        people in prop::collection::vec(person(), 14..30),
        gone in prop::collection::btree_set(0_usize..14, 0..9),
    ) {
        let all = table(&people);
        let model = train(&all, &spec(&all), 7).unwrap();
        let mut index = Index::new(table(&people[..7]), model.clone()).unwrap();
        for person in &people[7..] {
            let values: Vec<Option<&str>> = person.iter().map(Option::as_deref).collect();
            index.insert(&values, 0).unwrap();
        }
        gone.iter().for_each(|row| index.remove(*row));
        let left: Vec<Person> =
            people.iter().enumerate().filter(|(row, _)| !gone.contains(row)).map(|(_, person)| person.clone()).collect();
        let fresh = Index::new(table(&left), model).unwrap();
        let old_rows: Vec<usize> = (0..people.len()).filter(|row| !gone.contains(row)).collect();
        let find = |index: &Index, person: &Person| {
            let record: Vec<Option<&str>> = person.iter().map(Option::as_deref).collect();
            let mut found: Vec<(u32, f32)> =
                index.matches(&record, 0).unwrap().iter().map(|pair| (pair.right, pair.weight)).collect();
            found.sort_by_key(|(row, _)| *row);
            found
        };
        let expected: Vec<Vec<(u32, f32)>> = people.iter().map(|person| find(&fresh, person)).collect();
        for (person, expected) in people.iter().zip(&expected) {
            let there: Vec<(u32, f32)> = expected
                .iter()
                .map(|(row, weight)| (u32::try_from(old_rows[*row as usize]).unwrap(), *weight))
                .collect();
            prop_assert_eq!(find(&index, person), there);
        }
        for (row, person) in people.iter().enumerate() {
            let values: Vec<Option<&str>> = person.iter().map(Option::as_deref).collect();
            prop_assert_eq!(index.holds(row, &values), !gone.contains(&row));
        }
        prop_assert_eq!(index.renew().unwrap(), old_rows);
        for (person, expected) in people.iter().zip(expected) {
            prop_assert_eq!(find(&index, person), expected);
        }
    }

    #[test]
    fn a_model_without_values_is_the_model_again_with_those_of_its_records(people in prop::collection::vec(person(), 12..40)) {
        let table = table(&people);
        let model = train(&table, &spec(&table), 7).unwrap();
        let bare = model.clone().without_values();
        let text = serde_json::to_string(&bare).unwrap();
        prop_assert!(!text.contains("frequent\":"), "{text}");
        prop_assert_eq!(bare.with_values_of(&table).unwrap(), model);
    }

    #[test]
    fn threads_do_not_show_and_a_stored_model_scores_the_same(people in prop::collection::vec(person(), 12..40)) {
        let table = table(&people);
        let spec = spec(&table);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| link(&table, &spec, 3, &|_, _| ()).unwrap())
        };
        let (one, four) = (run(1), run(4));
        prop_assert_eq!(&one, &four);
        let stored = serde_json::to_string(&one.0).unwrap();
        let model: crate::Model = serde_json::from_str(&stored).unwrap();
        let again = score(&table, &model).unwrap();
        prop_assert_eq!(again.pairs.len(), one.1.pairs.len());
        for (again, before) in again.pairs.iter().zip(&one.1.pairs) {
            // Numbers written as text may come back a last digit off.
            prop_assert!((again.weight - before.weight).abs() < 1e-3);
            prop_assert_eq!((again.left, again.right), (before.left, before.right));
        }
        prop_assert_eq!(train(&table, &spec, 3).unwrap(), one.0);
    }

    #[test]
    fn clusters_break_no_limit(people in prop::collection::vec(person(), 12..40)) {
        let sources: Vec<u16> = (0..people.len()).map(|row| u16::try_from(row % 3).unwrap()).collect();
        let table = table(&people).with_sources(sources).unwrap();
        let mut spec = spec(&table);
        spec.limits.one_per_source = true;
        spec.limits.cluster_rows_max = 2;
        spec.thresholds.link = 0.0;
        spec.thresholds.review = 0.0;
        let (model, mut scored) = link(&table, &spec, 3, &|_, _| ()).unwrap();
        let clusters = cluster(&table, &model, &scored);
        for (row, id) in clusters.ids.iter().enumerate() {
            let others = clusters.ids.iter().enumerate().filter(|(other, own)| own == &id && *other != row);
            let sources: Vec<u16> = others.map(|(other, _)| table.source(other)).collect();
            prop_assert!(sources.len() < 2 && !sources.contains(&table.source(row)));
        }
        scored.pairs.reverse();
        prop_assert_eq!(cluster(&table, &model, &scored), clusters);
    }
}

/// The public set of Splink's tests (`fake_1000.csv`, MIT).
#[test]
fn a_small_public_set_is_matched_without_configuration() {
    let text = include_str!("tests/fake_1000.csv");
    let mut columns = ["first_name", "surname", "dob", "city", "email"].map(Column::new);
    let mut truth = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        for (column, value) in columns.iter_mut().zip(&cells[1..6]) {
            column.push(Some(value));
        }
        truth.push(cells[6].parse::<u32>().unwrap());
    }
    let table = Table::new(columns.to_vec()).unwrap();
    let spec = ModelSpec::infer(&table).unwrap();
    let (model, scored) = link(&table, &spec, 1, &|_, _| ()).unwrap();
    let found = evaluate(&table, spec.pairs, &scored, &cluster(&table, &model, &scored), &truth);
    assert!(found.best.f1 > 0.9, "{:?}", found.best);
    assert!(found.clusters.f1 > 0.95, "{:?}", found.clusters);
    let at_95 = found.at.iter().find(|(threshold, _)| (threshold - 0.95).abs() < 1e-9).unwrap().1;
    assert!(at_95.precision >= 0.95, "{at_95:?}");
}

/// Who lives together shares nearly everything but given name and birth date. In these records most pairs that agree
/// in anything are of two people of one home.
#[test]
fn a_household_is_not_one_person() {
    let (table, truth) = households(160);
    let spec = ModelSpec::infer(&table).unwrap();
    let (model, scored) = link(&table, &spec, 1, &|_, _| ()).unwrap();
    let found = evaluate(&table, spec.pairs, &scored, &cluster(&table, &model, &scored), &truth);
    let at_95 = found.at.iter().find(|(threshold, _)| (threshold - 0.95).abs() < 1e-9).unwrap().1;
    assert!(at_95.precision >= 0.95, "{at_95:?}");
    assert!(found.clusters.f1 > 0.9, "{:?}", found.clusters);
}
