//! Columns whose texts repeat, read as a list of texts and a number for each row: each text is looked at once.

use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray, DictionaryArray, RecordBatch, StringArray};
use datafusion::arrow::buffer::{BooleanBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::arrow::error::ArrowError;

/// Columns that are worth it.
const CODED: [&str; 5] = ["fragment_id", "purposes", "type", "event", "source"];

/// The field as a reader of a few columns wants it.
pub(crate) fn coded(field: &Arc<Field>) -> Arc<Field> {
    if !CODED.contains(&field.name().as_str()) {
        return Arc::clone(field);
    }
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(field.as_ref().clone().with_data_type(kind))
}

/// A column that was read so.
#[derive(Clone, Copy)]
pub(crate) struct Codes<'a>(&'a DictionaryArray<Int32Type>);

impl<'a> Codes<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, name: &str) -> Option<Self> {
        batch.column_by_name(name)?.as_any().downcast_ref().map(Self)
    }

    /// The texts.
    pub(crate) fn texts(self) -> Option<&'a StringArray> {
        self.0.values().as_any().downcast_ref()
    }

    /// Which text each row has. Rows without one have any number.
    pub(crate) fn numbers(self) -> &'a ScalarBuffer<i32> {
        self.0.keys().values()
    }

    /// The text of a row.
    pub(crate) fn text(self, row: usize) -> Option<&'a str> {
        let number = self.0.key(row)?;
        self.texts().filter(|texts| texts.is_valid(number)).map(|texts| texts.value(number))
    }

    /// Which rows have a text that is one of those. `known` is of this column and of `is_one` alone.
    pub(crate) fn are(self, known: &mut Memo<bool>, is_one: impl Fn(&str) -> bool) -> BooleanBuffer {
        let Some(texts) = self.texts() else { return BooleanBuffer::new_unset(self.0.len()) };
        known.renew(texts, is_one);
        let passes: BooleanBuffer =
            self.numbers().iter().map(|number| known.get(*number).copied().unwrap_or(false)).collect();
        match self.0.keys().nulls() {
            Some(nulls) => &passes & nulls.inner(),
            None => passes,
        }
    }
}

/// A list of texts whose values were made once: `T` of each text, for as long as batches come with the same list.
pub(crate) struct Memo<T> {
    /// Kept, so that no other list comes to lie where it lies.
    texts: Option<StringArray>,
    pub(crate) values: Vec<T>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { texts: None, values: Vec::new() }
    }
}

impl<T> Memo<T> {
    /// Makes the values anew if the list is another one; whether it is.
    pub(crate) fn renew(&mut self, texts: &StringArray, value: impl Fn(&str) -> T) -> bool {
        let is_same = |known: &StringArray| {
            known.len() == texts.len()
                && known.value_data().as_ptr() == texts.value_data().as_ptr()
                && known.value_offsets().as_ptr() == texts.value_offsets().as_ptr()
        };
        if self.texts.as_ref().is_some_and(is_same) {
            return false;
        }
        self.values = (0..texts.len()).map(|at| value(texts.value(at))).collect();
        self.texts = Some(texts.clone());
        true
    }

    pub(crate) fn get(&self, number: i32) -> Option<&T> {
        self.values.get(usize::try_from(number).ok()?)
    }
}

/// The rows that pass, as a reader of files wants them.
pub(crate) fn rows(passes: BooleanBuffer) -> BooleanArray {
    BooleanArray::new(passes, None)
}

/// A column is not there, or of another type.
pub(crate) fn missing(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("column `{name}`"))
}
