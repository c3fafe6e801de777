//! Parses filter expressions: recursive descent, with Consul's error texts.
//!
//! ```text
//! or    := and { "or" and }          and := not { "and" not }
//! not   := "not" not | "(" or ")" | collection | match
//! match := selector ("==" | "!=" | ["not"] "contains" | ["not"] "matches") value
//!        | selector "is" ["not"] ("empty" | "nil") | value ["not"] "in" selector
//! collection := ("any" | "all") selector "as" name ["," name] "{" or "}"
//! ```

/// How deep parentheses, negations and collections may nest.
const DEPTH_MAX: usize = 64;

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Match { selector: Vec<String>, operator: Operator, negated: bool, value: String },
    Collection { all: bool, selector: Vec<String>, names: Vec<String>, body: Box<Self> },
}

/// How a selected value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    In,
    Matches,
    Empty,
    Nil,
}

impl Operator {
    /// As Consul's texts name it.
    pub(super) fn name(self, negated: bool) -> &'static str {
        match (self, negated) {
            (Self::Equal, false) => "Equal",
            (Self::Equal, true) => "Not Equal",
            (Self::In, false) => "In",
            (Self::In, true) => "Not In",
            (Self::Matches, false) => "Matches",
            (Self::Matches, true) => "Not Matches",
            (Self::Empty, false) => "Is Empty",
            (Self::Empty, true) => "Is Not Empty",
            (Self::Nil, false) => "Is Nil",
            (Self::Nil, true) => "Is Not Nil",
        }
    }
}

/// Reads a whole text.
pub(super) fn expression(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.or()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.unexpected(r#""and", "or" or EOF"#));
    }
    Ok(expression)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

/// One side of a match: a value, which may be a selector as well.
struct Operand {
    begins: usize,
    selector: Option<Vec<String>>,
    text: String,
}

/// An operator as it was written.
struct Spoken {
    operator: Operator,
    negated: bool,
    /// As in `value in selector`.
    value_first: bool,
}

impl Spoken {
    fn new(operator: Operator, negated: bool) -> Self {
        Self { operator, negated, value_first: false }
    }
}

impl Parser<'_> {
    fn or(&mut self) -> Parsed<Expression> {
        let mut terms = vec![self.and()?];
        while self.keyword("or") {
            terms.push(self.and()?);
        }
        Ok(if terms.len() == 1 { terms.swap_remove(0) } else { Expression::Or(terms) })
    }

    fn and(&mut self) -> Parsed<Expression> {
        let mut terms = vec![self.not()?];
        while self.keyword("and") {
            terms.push(self.not()?);
        }
        Ok(if terms.len() == 1 { terms.swap_remove(0) } else { Expression::And(terms) })
    }

    fn not(&mut self) -> Parsed<Expression> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("the expression is nested too deeply"));
        }
        let expression = if self.keyword("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.symbol("(") {
            let inner = self.or()?;
            if !self.symbol(")") {
                return Err(self.unexpected(r#"")", "and" or "or""#));
            }
            inner
        } else if let Some(collection) = self.collection()? {
            collection
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    /// A collection, unless it turns out that a field is just named so.
    fn collection(&mut self) -> Parsed<Option<Expression>> {
        let begins = self.at;
        let all = self.keyword("all");
        if !all && !self.keyword("any") {
            return Ok(None);
        }
        self.blanks();
        let begun = self
            .peek()
            .is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, '_' | '"' | '`'));
        let operand = begun.then(|| self.operand().ok()).flatten();
        let selector = operand.and_then(|operand| operand.selector);
        let Some(selector) = selector.filter(|_| self.keyword("as")) else {
            self.at = begins;
            return Ok(None);
        };
        let mut names = vec![self.name()?];
        if self.symbol(",") {
            names.push(self.name()?);
        }
        if !self.symbol("{") {
            return Err(self.unexpected(r#""{""#));
        }
        let body = Box::new(self.or()?);
        if !self.symbol("}") {
            return Err(self.unexpected(r#""}", "and" or "or""#));
        }
        Ok(Some(Expression::Collection { all, selector, names, body }))
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.operand()?;
        let Spoken { operator, negated, value_first } = self.operator()?;
        let (selector, value) = if value_first {
            let right = self.operand()?;
            let selector = right.selector.ok_or_else(|| {
                self.at = right.begins;
                self.error(r#"rule "match": Invalid selector"#)
            })?;
            (selector, left.text)
        } else {
            let selector = left.selector.ok_or_else(|| {
                self.at = left.begins;
                self.error(r#"rule "match": Invalid selector"#)
            })?;
            let unary = matches!(operator, Operator::Empty | Operator::Nil);
            (selector, if unary { String::new() } else { self.operand()?.text })
        };
        Ok(Expression::Match { selector, operator, negated, value })
    }

    fn operator(&mut self) -> Parsed<Spoken> {
        if self.symbol("==") {
            return Ok(Spoken::new(Operator::Equal, false));
        }
        if self.symbol("!=") {
            return Ok(Spoken::new(Operator::Equal, true));
        }
        if self.keyword("is") {
            let negated = self.keyword("not");
            return match () {
                () if self.keyword("empty") => Ok(Spoken::new(Operator::Empty, negated)),
                () if self.keyword("nil") => Ok(Spoken::new(Operator::Nil, negated)),
                () => Err(self.unexpected(r#""empty", "nil" or "not""#)),
            };
        }
        let negated = self.keyword("not");
        match () {
            () if self.keyword("in") => {
                Ok(Spoken { operator: Operator::In, negated, value_first: true })
            }
            () if self.keyword("contains") => Ok(Spoken::new(Operator::In, negated)),
            () if self.keyword("matches") => Ok(Spoken::new(Operator::Matches, negated)),
            () if negated => Err(self.unexpected(r#""contains", "in" or "matches""#)),
            () => Err(self
                .unexpected(r#""!=", ".", "==", "[", "contains", "in", "is", "matches" or "not""#)),
        }
    }

    /// A selector, a number or a quoted text.
    fn operand(&mut self) -> Parsed<Operand> {
        self.blanks();
        let begins = self.at;
        let (selector, text) = match self.peek() {
            Some('"' | '`') => {
                let text = self.quoted()?;
                (pointer(&text), text)
            }
            Some('-' | '0'..='9') => (None, self.number()?),
            Some(first) if first.is_ascii_alphabetic() || first == '_' => {
                let selector = self.selector()?;
                (Some(selector), self.text[begins..self.at].to_owned())
            }
            _ => {
                return Err(
                    self.unexpected(r#""(", "-", "0", "\"", "`", "not", [1-9] or [a-zA-Z]"#)
                );
            }
        };
        Ok(Operand { begins, selector, text })
    }

    fn selector(&mut self) -> Parsed<Vec<String>> {
        let mut steps = vec![self.name()?];
        loop {
            if self.text[self.at..].starts_with('.') {
                self.at += 1;
                steps.push(self.name()?);
            } else if self.text[self.at..].starts_with('[') {
                self.at += 1;
                self.blanks();
                if !matches!(self.peek(), Some('"' | '`')) {
                    return Err(self.error(r#"rule "index": Invalid index"#));
                }
                steps.push(self.quoted()?);
                if !self.symbol("]") {
                    return Err(self.error(r#"rule "index": Unclosed index expression"#));
                }
            } else {
                return Ok(steps);
            }
        }
    }

    fn name(&mut self) -> Parsed<String> {
        self.blanks();
        let rest = &self.text[self.at..];
        let length = rest.find(|next| !is_name(next)).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.unexpected("[a-zA-Z]"));
        }
        let name = rest[..length].to_owned();
        self.at += length;
        Ok(name)
    }

    fn number(&mut self) -> Parsed<String> {
        let rest = &self.text[self.at..];
        let ends = |next: char| next.is_whitespace() || matches!(next, ')' | '}');
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let digits = word.strip_prefix('-').unwrap_or(word);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(part) || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(self.error(r#"rule "number": Invalid number literal"#));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }

    fn quoted(&mut self) -> Parsed<String> {
        let unterminated = r#"rule "string": Unterminated string literal"#;
        let begins = self.at;
        let mut rest = self.text[begins..].char_indices();
        let quote = rest.next().map_or('"', |(_, quote)| quote);
        let mut text = String::new();
        while let Some((offset, next)) = rest.next() {
            if next == quote {
                self.at = begins + offset + next.len_utf8();
                return Ok(text);
            }
            if next == '\\' && quote == '"' {
                let Some(character) = escaped(&mut rest) else {
                    self.at = begins + offset;
                    return Err(self.error(r#"rule "string": invalid syntax"#));
                };
                text.push(character);
            } else {
                text.push(next);
            }
        }
        Err(self.error(unterminated))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].trim_start().strip_prefix(word);
        let Some(rest) = found.filter(|rest| !rest.starts_with(is_name)) else { return false };
        self.at = self.text.len() - rest.len();
        true
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let Some(rest) = self.text[self.at..].trim_start().strip_prefix(symbol) else {
            return false;
        };
        self.at = self.text.len() - rest.len();
        true
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn unexpected(&mut self, expected: &str) -> String {
        self.blanks();
        self.error(&format!("no match found, expected: {expected}"))
    }

    /// `line:column (offset): problem`, as Consul places a mistake.
    fn error(&self, problem: &str) -> String {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|next| *next != '\n').count() + 1;
        format!("{line}:{column} ({}): {problem}", self.at)
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '/')
}

/// The steps of `/a/b`; nothing if the text is no such pointer.
fn pointer(text: &str) -> Option<Vec<String>> {
    let steps = text.strip_prefix('/')?;
    Some(steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

/// The character that an escape stands for, as Go writes them.
fn escaped(rest: &mut std::str::CharIndices<'_>) -> Option<char> {
    let digits = match rest.next()?.1 {
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        'v' => return Some('\u{b}'),
        same @ ('\\' | '"') => return Some(same),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let mut code: u32 = 0;
    for _ in 0..digits {
        code = code.checked_mul(16)?.checked_add(rest.next()?.1.to_digit(16)?)?;
    }
    char::from_u32(code)
}
