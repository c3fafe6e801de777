//! One line of input, cut into a verb, arguments and options.

/// A line being read: whatever a verb does not take is an error in the script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    verb: String,
    arguments: Vec<String>,
    options: Vec<(String, String)>,
    parts: Vec<Self>,
}

struct Token {
    text: String,
    /// Where the first unquoted `=` stands.
    equals: Option<usize>,
}

impl Line {
    /// Cuts `text`. What stands behind a free `;` is a line of its own: a part.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut lines = tokens.split(|token| token.text == ";").map(Self::from_tokens);
        let mut line = lines.next().ok_or("an empty line has no verb")??;
        line.parts = lines.collect::<Result<_, _>>()?;
        Ok(line)
    }

    fn from_tokens(tokens: &[Token]) -> Result<Self, String> {
        let (verb, rest) = tokens.split_first().ok_or("a part has no verb")?;
        let mut line = Self { verb: verb.text.clone(), ..Self::default() };
        for token in rest {
            match token.equals {
                Some(at) if is_key(&token.text[..at]) => {
                    line.options.push((token.text[..at].into(), token.text[at + 1..].into()));
                }
                _ => line.arguments.push(token.text.clone()),
            }
        }
        Ok(line)
    }

    /// Takes the lines that followed this one behind `;`.
    pub(crate) fn parts(&mut self) -> Vec<Self> {
        std::mem::take(&mut self.parts)
    }

    /// What to do.
    pub(crate) fn verb(&self) -> &str {
        &self.verb
    }

    /// Takes the next argument, which has to be there.
    pub(crate) fn argument(&mut self, what: &str) -> Result<String, String> {
        self.maybe_argument().ok_or_else(|| format!("`{}` needs {what}", self.verb))
    }

    /// Takes the next argument, if there is one.
    pub(crate) fn maybe_argument(&mut self) -> Option<String> {
        (!self.arguments.is_empty()).then(|| self.arguments.remove(0))
    }

    /// Takes an argument that is exactly this word, if it is there.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        let found = self.arguments.iter().position(|argument| argument == word);
        found.map(|at| self.arguments.remove(at)).is_some()
    }

    /// Takes the option `key`, if it is there.
    pub(crate) fn option(&mut self, key: &str) -> Option<String> {
        let at = self.options.iter().position(|(name, _)| name == key)?;
        Some(self.options.remove(at).1)
    }

    /// Takes the numeric option `key`, if it is there.
    pub(crate) fn number<N: std::str::FromStr>(&mut self, key: &str) -> Result<Option<N>, String> {
        self.option(key).map(|text| number(&text)).transpose()
    }

    /// Fails if something was not taken.
    pub(crate) fn finish(&self) -> Result<(), String> {
        if self.arguments.is_empty() && self.options.is_empty() && self.parts.is_empty() {
            return Ok(());
        }
        Err(format!("something is left over: {self:?}"))
    }
}

/// Reads a number.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("`{text}` is not such a number"))
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if_eq(&' ').is_some() {}
        if chars.peek().is_none() {
            return Ok(tokens);
        }
        let mut token = Token { text: String::new(), equals: None };
        while let Some(character) = chars.next_if(|character| *character != ' ') {
            match character {
                '"' => quoted(&mut chars, &mut token.text)?,
                '=' if token.equals.is_none() => {
                    token.equals = Some(token.text.len());
                    token.text.push('=');
                }
                other => token.text.push(other),
            }
        }
        tokens.push(token);
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn quoted(chars: &mut Chars<'_>, text: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("a quote is not closed")? {
            '"' => return Ok(()),
            '\\' => text.push(escaped(chars)?),
            other => text.push(other),
        }
    }
}

fn escaped(chars: &mut Chars<'_>) -> Result<char, String> {
    match chars.next() {
        Some('n') => Ok('\n'),
        Some(plain @ ('\\' | '"')) => Ok(plain),
        Some('u') => {
            let digits: String = chars.by_ref().skip(1).take_while(|digit| *digit != '}').collect();
            let code = u32::from_str_radix(&digits, 16).map_err(|_| "bad \\u{…}")?;
            char::from_u32(code).ok_or_else(|| format!("no character {digits}"))
        }
        other => Err(format!("unknown escape {other:?}")),
    }
}
