//! Whether a row passes a test.
//!
//! A field that is not printed has its zero value; a key that is not in a map
//! is absent, which equals nothing, contains nothing, and is empty and nil.

use serde_json::Value;

use super::compile::{Check, Path, Step, Test};

/// Whether `row` passes `test`.
pub(super) fn holds(test: &Test, row: &Value) -> bool {
    judge(test, row, &mut Vec::new())
}

/// `locals` is what the names of the collections around stand for, outermost first.
fn judge(test: &Test, row: &Value, locals: &mut Vec<Value>) -> bool {
    match test {
        Test::And(terms) => terms.iter().all(|term| judge(term, row, locals)),
        Test::Or(terms) => terms.iter().any(|term| judge(term, row, locals)),
        Test::Not(term) => !judge(term, row, locals),
        Test::Match { path, check, negated } => {
            let base = base(path, row, locals);
            any_at(base, &path.steps, &mut |value| passes(check, value) != *negated)
        }
        Test::Collection { all, path, names, body } => {
            let base = base(path, row, locals).cloned();
            let outer = locals.len();
            any_at(base.as_ref(), &path.steps, &mut |value| {
                let mut each = |member: (Value, Value)| {
                    let (key, value) = member;
                    let alone = if matches!(key, Value::String(_)) { &key } else { &value };
                    if *names == 1 {
                        locals.push(alone.clone());
                    } else {
                        locals.extend([key, value]);
                    }
                    let holds = judge(body, row, locals);
                    locals.truncate(outer);
                    holds
                };
                let mut members = members(value);
                if *all { members.all(&mut each) } else { members.any(&mut each) }
            })
        }
    }
}

fn base<'a>(path: &Path, row: &'a Value, locals: &'a [Value]) -> Option<&'a Value> {
    path.local.map_or(Some(row), |number| locals.get(number))
}

/// Whether any of the values that `steps` lead to is wanted.
fn any_at(
    base: Option<&Value>,
    steps: &[Step],
    wanted: &mut dyn FnMut(Option<&Value>) -> bool,
) -> bool {
    let Some((step, rest)) = steps.split_first() else { return wanted(base) };
    let Some(base) = base else { return wanted(None) };
    match step {
        Step::Field(name) => any_at(Some(base.get(name).unwrap_or(&Value::Null)), rest, wanted),
        Step::Key(key) => any_at(base.get(key), rest, wanted),
        Step::Each => {
            let list = base.as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().any(|element| any_at(Some(element), rest, wanted))
        }
    }
}

/// Index and element of a list, key and value of a map.
fn members(value: Option<&Value>) -> Box<dyn Iterator<Item = (Value, Value)> + '_> {
    match value {
        Some(Value::Array(list)) => {
            Box::new(list.iter().enumerate().map(|(at, element)| (at.into(), element.clone())))
        }
        Some(Value::Object(map)) => {
            Box::new(map.iter().map(|(key, value)| (key.as_str().into(), value.clone())))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// Null stands for the zero value of whatever is asked about.
fn passes(check: &Check, value: Option<&Value>) -> bool {
    let Some(value) = value else { return matches!(check, Check::Empty | Check::Nil) };
    match check {
        Check::EqualText(text) => value.as_str().unwrap_or_default() == text,
        Check::EqualInteger(number) => value.as_i64().unwrap_or_default() == *number,
        Check::EqualBool(truth) => value.as_bool().unwrap_or_default() == *truth,
        Check::Contains(part) => match value {
            Value::String(text) => text.contains(part.as_str()),
            Value::Array(list) => list.iter().any(|element| element.as_str() == Some(part)),
            Value::Object(map) => map.contains_key(part),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        },
        Check::Matches(regex) => regex.is_match(value.as_str().unwrap_or_default()),
        Check::Empty => match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        },
        Check::Nil => value.is_null(),
    }
}
