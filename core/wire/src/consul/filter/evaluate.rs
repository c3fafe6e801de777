//! Evaluates a filter on a row.
//!
//! A field that is not printed has its zero value; a key that is not in a map
//! is absent, which equals nothing, contains nothing, and is empty and nil.
//! Every step is charged before it is taken, see [`Work`].

use serde_json::Value;

use super::compile::{Check, Path, Step, Test};
use super::work::{Ended, Work};

/// Bytes of a text that are looked at for one step.
const BYTES_PER_STEP: usize = 32;

/// Whether `row` passes `test`.
pub(super) fn holds(test: &Test, row: &Value, work: &Work) -> Result<bool, Ended> {
    Judge { row, work, locals: Vec::new() }.judge(test)
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
enum Found<'a> {
    Value(&'a Value),
    /// The key of a map, as a collection names it.
    Key(&'a str),
    /// The position in a list, as a collection names it.
    Position(usize),
    Absent,
}

struct Judge<'a> {
    row: &'a Value,
    work: &'a Work,
    /// What the names of the collections around stand for, outermost first.
    locals: Vec<Found<'a>>,
}

impl<'a> Judge<'a> {
    fn judge(&mut self, test: &Test) -> Result<bool, Ended> {
        self.work.spend(1)?;
        match test {
            Test::And(terms) => {
                for term in terms {
                    if !self.judge(term)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Or(terms) => {
                for term in terms {
                    if self.judge(term)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Not(term) => Ok(!self.judge(term)?),
            Test::Match { path, check, negated } => {
                self.any_at(self.base(path), &path.steps, &mut |judge, found| {
                    Ok(passes(check, found, judge.work)? != *negated)
                })
            }
            Test::Collection { all, path, names, body } => {
                self.any_at(self.base(path), &path.steps, &mut |judge, found| {
                    judge.members(found, *all, *names, body)
                })
            }
        }
    }

    fn base(&self, path: &Path) -> Found<'a> {
        match path.local {
            None => Found::Value(self.row),
            Some(number) => self.locals.get(number).copied().unwrap_or(Found::Absent),
        }
    }

    /// Whether any of the values that `steps` lead to is wanted.
    fn any_at(
        &mut self,
        base: Found<'a>,
        steps: &[Step],
        wanted: &mut dyn FnMut(&mut Self, Found<'a>) -> Result<bool, Ended>,
    ) -> Result<bool, Ended> {
        self.work.spend(1)?;
        let Some((step, rest)) = steps.split_first() else { return wanted(self, base) };
        let Found::Value(value) = base else { return wanted(self, Found::Absent) };
        match step {
            Step::Field(name) => {
                let field = value.get(name).unwrap_or(&Value::Null);
                self.any_at(Found::Value(field), rest, wanted)
            }
            Step::Key(key) => {
                let found = value.get(key).map_or(Found::Absent, Found::Value);
                self.any_at(found, rest, wanted)
            }
            Step::Each => {
                for element in value.as_array().map(Vec::as_slice).unwrap_or_default() {
                    if self.any_at(Found::Value(element), rest, wanted)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// Whether all members of a list or map pass, or any does. The body names
    /// position and element of a list, key and value of a map; or with one name
    /// the element, or the key.
    fn members(
        &mut self,
        found: Found<'a>,
        all: bool,
        names: usize,
        body: &Test,
    ) -> Result<bool, Ended> {
        let outer = self.locals.len();
        let ends_with = |judge: &mut Self, key: Found<'a>, value: Found<'a>, alone| {
            match names {
                1 => judge.locals.push(alone),
                _ => judge.locals.extend([key, value]),
            }
            let holds = judge.judge(body);
            judge.locals.truncate(outer);
            Ok(holds? != all)
        };
        match found {
            Found::Value(Value::Array(list)) => {
                for (at, element) in list.iter().enumerate() {
                    let element = Found::Value(element);
                    if ends_with(self, Found::Position(at), element, element)? {
                        return Ok(!all);
                    }
                }
            }
            Found::Value(Value::Object(map)) => {
                for (key, value) in map {
                    let key = Found::Key(key);
                    if ends_with(self, key, Found::Value(value), key)? {
                        return Ok(!all);
                    }
                }
            }
            Found::Value(_) | Found::Key(_) | Found::Position(_) | Found::Absent => {}
        }
        Ok(all)
    }
}

/// Null stands for the zero value of whatever is asked about.
fn passes(check: &Check, found: Found<'_>, work: &Work) -> Result<bool, Ended> {
    let value = match found {
        Found::Absent => return Ok(matches!(check, Check::Empty | Check::Nil)),
        Found::Key(key) => return passes_text(check, key, work),
        Found::Position(at) => {
            return Ok(match check {
                Check::EqualInteger(number) => usize::try_from(*number) == Ok(at),
                _ => false,
            });
        }
        Found::Value(Value::String(text)) => return passes_text(check, text, work),
        Found::Value(Value::Null) => {
            return match check {
                Check::Nil => Ok(true),
                Check::Contains(_) => Ok(false),
                _ => passes_text(check, "", work),
            };
        }
        Found::Value(value) => value,
    };
    Ok(match check {
        Check::EqualText(text) => text.is_empty(),
        Check::EqualInteger(number) => value.as_i64().unwrap_or_default() == *number,
        Check::EqualBool(truth) => value.as_bool().unwrap_or_default() == *truth,
        Check::Contains(part) => match value {
            Value::Array(list) => {
                work.spend(list.len() as u64)?;
                list.iter().any(|element| element.as_str() == Some(part))
            }
            Value::Object(map) => map.contains_key(part),
            _ => false,
        },
        Check::Matches(pattern) => pattern.is_match(""),
        Check::Empty => match value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        },
        Check::Nil => false,
    })
}

fn passes_text(check: &Check, text: &str, work: &Work) -> Result<bool, Ended> {
    Ok(match check {
        Check::EqualText(wanted) => text == wanted,
        Check::EqualInteger(number) => *number == 0,
        Check::EqualBool(truth) => !truth,
        Check::Contains(part) => {
            work.spend((text.len() / BYTES_PER_STEP) as u64)?;
            text.contains(part.as_str())
        }
        Check::Matches(pattern) => {
            work.spend(pattern.steps(text))?;
            pattern.is_match(text)
        }
        Check::Empty => text.is_empty(),
        Check::Nil => false,
    })
}
