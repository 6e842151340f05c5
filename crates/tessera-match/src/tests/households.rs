//! Made-up people of German households, who share family name, address, and often telephone and e-mail.

use crate::table::{Column, Table};
use crate::train::mix;

const GIVEN: [&str; 48] = [
    "Anna", "Bernd", "Clara", "Dieter", "Emma", "Felix", "Greta", "Hans", "Ida", "Jonas", "Käthe", "Lukas",
    "Marie", "Nils", "Olga", "Paul", "Ruth", "Stefan", "Tanja", "Uwe", "Vera", "Werner", "Yvonne", "Zoe",
    "Annika", "Björn", "Carla", "Daniel", "Elke", "Frank", "Gisela", "Heike", "Ingrid", "Jürgen", "Klaus",
    "Lena", "Markus", "Nadine", "Oskar", "Petra", "Ralf", "Sabine", "Thomas", "Ulrike", "Volker", "Wiebke",
    "Xaver", "Frieda",
];
const STARTS: [&str; 20] = [
    "Acker", "Berg", "Brand", "Dorn", "Eber", "Feld", "Gruen", "Hof", "Kirch", "Kohl", "Lang", "Moor", "Neu",
    "Ober", "Rosen", "Schoen", "Stein", "Tal", "Wald", "Wein",
];
const ENDS: [&str; 12] = [
    "mann", "berger", "hardt", "bauer", "müller", "meier", "dörfer", "feld", "hagen", "stein", "brunn",
    "thal",
];

/// Numbers that look random, the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 += 1;
        mix(self.0) % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap()]
    }

    fn date(&mut self) -> String {
        format!("{}-{:02}-{:02}", 1940 + self.below(65), 1 + self.below(12), 1 + self.below(28))
    }

    fn address(&mut self) -> [String; 3] {
        let street = format!("{}weg {}", self.of(&STARTS), 1 + self.below(120));
        let place = usize::try_from(self.below(60)).unwrap();
        let city = format!("{}{}", STARTS[place % 20], ["stadt", "hausen", "dorf"][place / 20]);
        [street, format!("{}", 10_115 + 937 * place), city]
    }

    fn misspelt(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        let place = usize::try_from(self.below(letters.len() as u64)).unwrap();
        letters[place] = 'x';
        letters.into_iter().collect()
    }
}

/// `homes` of one to four people of one to four records each, and who is who.
pub(crate) fn households(homes: u64) -> (Table, Vec<u32>) {
    let mut draw = Draw(17);
    let names = ["vorname", "nachname", "geburtsdatum", "email", "telefon", "strasse", "plz", "ort"];
    let mut columns = names.map(Column::new);
    let (mut truth, mut person) = (Vec::new(), 0);
    for _ in 0..homes {
        let family = format!("{}{}", draw.of(&STARTS), draw.of(&ENDS));
        let [street, code, city] = draw.address();
        let shared = [format!("familie.{family}{}@web.de", draw.below(99)), telephone(&mut draw)];
        for _ in 0..1 + draw.below(4) {
            person += 1;
            let given = draw.of(&GIVEN);
            let own = [format!("{given}.{family}{}@gmx.de", draw.below(99)), telephone(&mut draw)];
            let [email, phone] =
                [0, 1].map(|place| if draw.chance(35) { shared[place].clone() } else { own[place].clone() });
            let date = draw.date();
            for copy in 0..1 + draw.below(4) {
                let values = [given, &family, &date, &email, &phone, &street, &code, &city];
                let mut row = values.map(ToOwned::to_owned);
                if copy > 0 {
                    spoil(&mut draw, &mut row);
                }
                for (column, value) in columns.iter_mut().zip(&row) {
                    let is_there = matches!(column.name(), "vorname" | "nachname") || !draw.chance(15);
                    column.push(is_there.then_some(value));
                }
                truth.push(person);
            }
        }
    }
    (Table::new(columns.to_vec()).unwrap(), truth)
}

fn telephone(draw: &mut Draw) -> String {
    format!("+49 30 {}", 1_000_000 + draw.below(8_999_999))
}

/// What happens to a person's later records.
fn spoil(draw: &mut Draw, row: &mut [String; 8]) {
    if draw.chance(12) {
        row[0] = draw.misspelt(&row[0]);
    }
    if draw.chance(8) {
        row[1] = draw.misspelt(&row[1]);
    }
    if draw.chance(5) {
        row[2] = draw.date();
    }
    if draw.chance(15) {
        row[3] = format!("{}{}@posteo.de", row[0], draw.below(999));
    }
    if draw.chance(15) {
        row[4] = telephone(draw);
    }
    if draw.chance(12) {
        let [street, code, city] = draw.address();
        (row[5], row[6], row[7]) = (street, code, city);
    }
}
