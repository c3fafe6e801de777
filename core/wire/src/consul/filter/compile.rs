//! Compiles an expression to a filter: resolves selectors, parses values.

use super::parse::{Expression, Operator};
use super::shape::{Kind, Shape};
use crate::consul::regexp::Regexp;

/// Size of all compiled regular expressions of a filter. Bytes.
const REGEXPS_BYTES_MAX: usize = 1 << 20;
/// Each level multiplies the work by the length of a list.
const COLLECTION_DEPTH_MAX: usize = 3;

/// An expression about rows of a known shape.
#[derive(Debug)]
pub(super) enum Test {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Match { path: Path, check: Check, negated: bool },
    Collection { all: bool, path: Path, names: usize, body: Box<Self> },
}

/// Where a value is found.
#[derive(Debug)]
pub(super) struct Path {
    /// The number of a collection's name, counted from the outside; or the row.
    pub(super) local: Option<usize>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// A field that every object of this shape has, printed or not.
    Field(&'static str),
    /// A key that may be absent.
    Key(String),
    /// All elements of a list.
    Each,
}

/// What is asked about a value.
#[derive(Debug)]
pub(super) enum Check {
    EqualText(String),
    EqualInteger(i64),
    EqualBool(bool),
    Contains(String),
    Matches(Regexp),
    Empty,
    Nil,
}

/// A name that a collection gave to what it goes through.
#[derive(Debug, Clone)]
struct Local {
    name: String,
    kind: Kind,
}

pub(super) fn test(expression: &Expression, shape: &Shape) -> Result<Test, String> {
    let regexp_bytes = REGEXPS_BYTES_MAX;
    Compiler { shape, locals: Vec::new(), collections: 0, regexp_bytes }.test(expression)
}

struct Compiler<'a> {
    shape: &'a Shape,
    locals: Vec<Local>,
    collections: usize,
    /// What is left for regular expressions.
    regexp_bytes: usize,
}

impl Compiler<'_> {
    fn test(&mut self, expression: &Expression) -> Result<Test, String> {
        Ok(match expression {
            Expression::And(terms) => Test::And(self.tests(terms)?),
            Expression::Or(terms) => Test::Or(self.tests(terms)?),
            Expression::Not(term) => Test::Not(Box::new(self.test(term)?)),
            Expression::Match { selector, operator, negated, value } => {
                let (path, kind) = self.path(selector)?;
                let check = self.check(kind, *operator, *negated, value, &spelled(selector))?;
                Test::Match { path, check, negated: *negated }
            }
            Expression::Collection { all, selector, names, body } => {
                let (path, kind) = self.path(selector)?;
                if self.collections == COLLECTION_DEPTH_MAX {
                    return Err("collections are nested too deeply".to_owned());
                }
                let outer = self.locals.len();
                self.locals.extend(locals(kind, names, &spelled(selector))?);
                self.collections += 1;
                let body = self.test(body);
                self.collections -= 1;
                self.locals.truncate(outer);
                Test::Collection { all: *all, path, names: names.len(), body: Box::new(body?) }
            }
        })
    }

    fn check(
        &mut self,
        kind: Kind,
        operator: Operator,
        negated: bool,
        value: &str,
        selector: &str,
    ) -> Result<Check, String> {
        let coerced = |problem: String| {
            format!("Failed to coerce value {value:?} for selector {selector:?}: {problem}")
        };
        Ok(match (operator, kind) {
            (Operator::Equal, Kind::Text) => Check::EqualText(value.to_owned()),
            (Operator::Equal, Kind::Integer) => {
                Check::EqualInteger(integer(value).map_err(coerced)?)
            }
            (Operator::Equal, Kind::Bool) => Check::EqualBool(boolean(value).map_err(coerced)?),
            (Operator::In, Kind::Text | Kind::Texts | Kind::Map(_)) => {
                Check::Contains(value.to_owned())
            }
            (Operator::Matches, Kind::Text) => Check::Matches(self.regexp(value)?),
            (Operator::Empty, Kind::Text | Kind::Texts | Kind::Map(_) | Kind::Objects(_)) => {
                Check::Empty
            }
            (Operator::Nil, _) => Check::Nil,
            _ => {
                let name = operator.name(negated);
                return Err(format!("Invalid match operator {name:?} for selector {selector:?}"));
            }
        })
    }

    fn regexp(&mut self, text: &str) -> Result<Regexp, String> {
        let regexp = Regexp::compile(text, self.regexp_bytes).map_err(|problem| {
            format!("Failed to compile regular expression {text:?}: {problem}")
        })?;
        self.regexp_bytes -= regexp.bytes();
        Ok(regexp)
    }

    fn tests(&mut self, terms: &[Expression]) -> Result<Vec<Test>, String> {
        terms.iter().map(|term| self.test(term)).collect()
    }

    fn path(&self, selector: &[String]) -> Result<(Path, Kind), String> {
        let invalid = || format!("Selector {:?} is not valid", spelled(selector));
        let (first, rest) = selector.split_first().ok_or_else(invalid)?;
        let local = self.locals.iter().rposition(|local| local.name == *first);
        let (mut steps, mut kind) = match local {
            Some(number) => (Vec::new(), self.locals[number].kind),
            None => {
                let (name, kind) = self.shape.field(first).ok_or_else(invalid)?;
                (vec![Step::Field(name)], kind)
            }
        };
        for name in rest {
            if let Kind::Map(value) = kind {
                steps.push(Step::Key(name.clone()));
                kind = *value;
                continue;
            }
            let shape = match kind {
                Kind::Object(shape) => shape,
                Kind::Objects(shape) => {
                    steps.push(Step::Each);
                    shape
                }
                Kind::Map(_) | Kind::Text | Kind::Integer | Kind::Bool | Kind::Texts => {
                    return Err(invalid());
                }
            };
            let (name, inner) = shape.field(name).ok_or_else(invalid)?;
            steps.push(Step::Field(name));
            kind = inner;
        }
        Ok((Path { local, steps }, kind))
    }
}

fn spelled(selector: &[String]) -> String {
    selector.join(".")
}

/// What the names of a collection stand for: of a list the element, or index
/// and element; of a map the key, or key and value.
fn locals(kind: Kind, names: &[String], selector: &str) -> Result<Vec<Local>, String> {
    let (key, value) = match kind {
        Kind::Texts => (Kind::Integer, Kind::Text),
        Kind::Objects(shape) => (Kind::Integer, Kind::Object(shape)),
        Kind::Map(value) => (Kind::Text, *value),
        Kind::Text | Kind::Integer | Kind::Bool | Kind::Object(_) => {
            return Err(format!("Selector {selector:?} is not a list or a map"));
        }
    };
    let alone = if matches!(kind, Kind::Map(_)) { key } else { value };
    let kinds = if names.len() == 1 { vec![alone] } else { vec![key, value] };
    Ok(names.iter().zip(kinds).map(|(name, kind)| Local { name: name.clone(), kind }).collect())
}

fn integer(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let problem = if plain { "value out of range" } else { "invalid syntax" };
    text.parse()
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| format!("strconv.ParseInt: parsing {text:?}: {problem}"))
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}
