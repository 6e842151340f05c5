//! What a schema may be before anything is compiled of it: known keywords, local references, a bounded size.
//!
//! A schema comes from people who may apply a workspace, yet it runs on every event: one that refers to itself, fans out, or is
//! merely misspelt must not get so far. References in a circle are refused, all others are counted as often as they are
//! followed, so the cost of an event is bounded by its size times [`NODES_MAX`].

use serde_json::{Map, Value};

use crate::SchemaProblem;

/// Largest schema of one event, in bytes of JSON.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Most subschemas, each reference counted as often as it is followed.
const NODES_MAX: usize = 2_000;
/// Deepest nesting of subschemas.
const DEPTH_MAX: usize = 32;
/// Most values of an `enum`.
const ENUM_MAX: usize = 500;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_000;

/// Formats that are checked.
const FORMATS: [&str; 12] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "json-pointer",
    "regex",
    "time",
    "uri",
    "uuid",
];
const DIALECTS: [&str; 3] = [
    "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-07/schema",
];

/// What a keyword holds.
enum Holds {
    /// One subschema.
    Schema,
    /// A list of them.
    List,
    /// Subschemas by name; the names are patterns.
    Named {
        are_patterns: bool,
    },
    /// One subschema, or in draft 7 a list.
    SchemaOrList,
    Ref,
    Pattern,
    Format,
    Enum,
    Dialect,
    /// Nothing that leads further.
    Plain,
}

fn keyword(name: &str) -> Option<Holds> {
    Some(match name {
        "not"
        | "if"
        | "then"
        | "else"
        | "additionalProperties"
        | "additionalItems"
        | "contains"
        | "propertyNames" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::List,
        "properties" | "dependentSchemas" | "$defs" | "definitions" => Holds::Named { are_patterns: false },
        "patternProperties" => Holds::Named { are_patterns: true },
        "items" => Holds::SchemaOrList,
        "$ref" => Holds::Ref,
        "pattern" => Holds::Pattern,
        "format" => Holds::Format,
        "enum" => Holds::Enum,
        "$schema" => Holds::Dialect,
        "type" | "const" | "required" | "dependentRequired" | "minimum" | "maximum" | "exclusiveMinimum"
        | "exclusiveMaximum" | "multipleOf" | "minLength" | "maxLength" | "minItems" | "maxItems"
        | "uniqueItems" | "minContains" | "maxContains" | "minProperties" | "maxProperties" | "title"
        | "description" | "$comment" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly" => {
            Holds::Plain
        }
        _ => return None,
    })
}

/// One walk over a schema.
pub(crate) struct Inspection<'s> {
    root: &'s Value,
    nodes: usize,
    /// The references that are being followed.
    following: Vec<&'s str>,
}

impl<'s> Inspection<'s> {
    /// Checks a whole schema.
    pub(crate) fn of(root: &'s Value) -> Result<(), SchemaProblem> {
        let bytes = root.to_string().len();
        if bytes > SCHEMA_BYTES_MAX {
            let what = format!("the schema has {bytes} bytes, the limit is {SCHEMA_BYTES_MAX}");
            return Err(SchemaProblem::new("", what, "describe fewer fields, or leave descriptions out"));
        }
        Self { root, nodes: 0, following: Vec::new() }.schema(root, "", 0)
    }

    fn schema(&mut self, schema: &'s Value, at: &str, depth: usize) -> Result<(), SchemaProblem> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let what = format!(
                "the schema has more than {NODES_MAX} parts, each reference counted where it is used"
            );
            return Err(SchemaProblem::new(at, what, "divide the event, or describe it less closely"));
        }
        if depth > DEPTH_MAX {
            let what = format!("is nested more than {DEPTH_MAX} levels deep");
            return Err(SchemaProblem::new(at, what, "describe the outer levels only"));
        }
        let members = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(members) => members,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let hint = "a schema is an object, true or false";
                return Err(SchemaProblem::new(at, "is no schema", hint));
            }
        };
        members.iter().try_for_each(|(name, value)| self.member(name, value, at, depth))
    }

    fn member(&mut self, name: &str, value: &'s Value, at: &str, depth: usize) -> Result<(), SchemaProblem> {
        let below = format!("{at}/{}", escape(name));
        let Some(holds) = keyword(name) else {
            let hint = "correct its spelling, or leave it out: a keyword that nobody checks promises what is not kept";
            return Err(SchemaProblem::new(&below, format!("the keyword `{name}` is not known"), hint));
        };
        match holds {
            Holds::Schema => self.schema(value, &below, depth + 1),
            Holds::List => self.list(value, &below, depth + 1),
            Holds::SchemaOrList if value.is_array() => self.list(value, &below, depth + 1),
            Holds::SchemaOrList => self.schema(value, &below, depth + 1),
            Holds::Named { are_patterns } => self.named(value, &below, depth + 1, are_patterns),
            Holds::Ref => self.reference(value, &below, depth + 1),
            Holds::Pattern => pattern(value.as_str().unwrap_or_default(), &below),
            Holds::Format => one_of(value, &FORMATS, &below, "format"),
            Holds::Dialect => one_of(value, &DIALECTS, &below, "dialect"),
            Holds::Enum if value.as_array().is_some_and(|values| values.len() > ENUM_MAX) => {
                let what = format!("lists more than {ENUM_MAX} values");
                Err(SchemaProblem::new(&below, what, "use a type and a pattern"))
            }
            Holds::Enum | Holds::Plain => Ok(()),
        }
    }

    fn list(&mut self, value: &'s Value, at: &str, depth: usize) -> Result<(), SchemaProblem> {
        let Value::Array(schemas) = value else {
            return Err(SchemaProblem::new(at, "is no list", "give a list of schemas"));
        };
        let mut schemas = schemas.iter().enumerate();
        schemas.try_for_each(|(index, schema)| self.schema(schema, &format!("{at}/{index}"), depth))
    }

    fn named(
        &mut self,
        value: &'s Value,
        at: &str,
        depth: usize,
        are_patterns: bool,
    ) -> Result<(), SchemaProblem> {
        let Value::Object(schemas) = value else {
            return Err(SchemaProblem::new(at, "is no object", "give schemas by name"));
        };
        for (name, schema) in schemas {
            let below = format!("{at}/{}", escape(name));
            if are_patterns {
                pattern(name, &below)?;
            }
            self.schema(schema, &below, depth)?;
        }
        Ok(())
    }

    fn reference(&mut self, value: &'s Value, at: &str, depth: usize) -> Result<(), SchemaProblem> {
        let reference = value.as_str().unwrap_or_default();
        let Some(pointer) = reference.strip_prefix('#') else {
            let hint = "copy what it refers to below `$defs`, and refer to `#/$defs/NAME`";
            return Err(SchemaProblem::new(at, "refers outside of the schema", hint));
        };
        if self.following.contains(&reference) || pointer.is_empty() {
            let hint = "describe as many levels as are needed, one by one";
            return Err(SchemaProblem::new(at, "refers to itself in a circle", hint));
        }
        let Some(target) = self.root.pointer(pointer) else {
            return Err(SchemaProblem::new(at, "refers to nothing", "define it below `$defs`"));
        };
        self.following.push(reference);
        self.schema(target, at, depth)?;
        self.following.pop();
        Ok(())
    }
}

fn pattern(text: &str, at: &str) -> Result<(), SchemaProblem> {
    if text.len() <= PATTERN_BYTES_MAX {
        return Ok(());
    }
    let what = format!("has {} bytes, the limit of a pattern is {PATTERN_BYTES_MAX}", text.len());
    Err(SchemaProblem::new(at, what, "use a shorter pattern"))
}

fn one_of(value: &Value, known: &[&str], at: &str, what: &str) -> Result<(), SchemaProblem> {
    if value.as_str().is_some_and(|text| known.contains(&text)) {
        return Ok(());
    }
    let hint = format!("use one of {}", known.join(", "));
    Err(SchemaProblem::new(at, format!("is a {what} that is not known"), hint))
}

/// A name as part of a JSON pointer (RFC 6901).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Every schema that applies to the value itself, besides `schema`: by reference, `allOf` and the like.
pub(crate) fn in_place<'s>(
    root: &'s Value,
    schema: &'s Value,
    each: &mut impl FnMut(&'s Map<String, Value>),
) {
    let Value::Object(members) = schema else { return };
    each(members);
    for name in ["allOf", "anyOf", "oneOf"] {
        for schema in members.get(name).and_then(Value::as_array).into_iter().flatten() {
            in_place(root, schema, each);
        }
    }
    for name in ["if", "then", "else"] {
        members.get(name).into_iter().for_each(|schema| in_place(root, schema, each));
    }
    for schema in members.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(Map::values)
    {
        in_place(root, schema, each);
    }
    let target =
        members.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    // It was inspected before: no reference leads in a circle.
    if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
        in_place(root, target, each);
    }
}
