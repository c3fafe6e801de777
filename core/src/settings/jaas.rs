//! Reads SASL users from a JAAS file, the login configuration of Java programs:
//!
//! ```text
//! Server {
//!     org.apache.zookeeper.server.auth.DigestLoginModule required
//!     user_super="adminsecret"
//!     user_bob="bobsecret";
//! };
//! ```
//!
//! Only the section `Server` is read, and in it only users of DIGEST-MD5.
//! Errors name lines but never values, which may be passwords.

use std::collections::BTreeMap;
use std::path::Path;

use super::Secret;
use crate::error::Error;

const SECTION: &str = "Server";
const MODULE: &str = "org.apache.zookeeper.server.auth.DigestLoginModule";
const USER: &str = "user_";

/// The users and their passwords.
///
/// # Errors
/// `Invalid`, naming the file and the line.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Secret>, Error> {
    let named = |problem: String| Error::invalid(format!("{}: {problem}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| named("cannot be read".to_owned()).caused_by(error))?;
    parse(&text).map_err(named)
}

fn parse(text: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut words = Words { rest: text, line: 1 };
    while let Some(section) = words.next()? {
        words.expect("{")?;
        let mut users = BTreeMap::new();
        loop {
            let module = words.some()?;
            if module == "}" {
                break;
            }
            // required, sufficient, …: with one module it makes no difference.
            words.some()?;
            let options = words.options()?;
            if section != SECTION {
                continue;
            }
            if module != MODULE {
                return Err(format!("{module} is not supported, only {MODULE}"));
            }
            let user =
                |(key, value): (String, Secret)| Some((key.strip_prefix(USER)?.to_owned(), value));
            users.extend(options.into_iter().filter_map(user));
        }
        words.expect(";")?;
        if section == SECTION {
            return Ok(users);
        }
    }
    Err(format!("has no section {SECTION}"))
}

/// A tokenizer: words, quoted words and punctuation.
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl Words<'_> {
    /// The next token; `None` at the end.
    fn next(&mut self) -> Result<Option<String>, String> {
        self.skip_blanks()?;
        let mut characters = self.rest.chars();
        let Some(first) = characters.next() else { return Ok(None) };
        match first {
            '{' | '}' | ';' | '=' => {
                self.advance(1);
                Ok(Some(first.to_string()))
            }
            '"' => self.quoted().map(Some),
            _ => {
                let is_end = |c: char| c.is_whitespace() || "{};=\"".contains(c);
                let end = self.rest.find(is_end).unwrap_or(self.rest.len());
                let word = self.rest[..end].to_owned();
                self.advance(end);
                Ok(Some(word))
            }
        }
    }

    fn some(&mut self) -> Result<String, String> {
        self.next()?.ok_or_else(|| "the file ends inside a section".to_owned())
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.some()? == sign {
            return Ok(());
        }
        Err(format!("line {}: expected {sign}", self.line))
    }

    /// `key=value` up to a semicolon.
    fn options(&mut self) -> Result<Vec<(String, Secret)>, String> {
        let mut options = Vec::new();
        loop {
            let key = self.some()?;
            if key == ";" {
                return Ok(options);
            }
            self.expect("=")?;
            options.push((key, self.some()?.into()));
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let line = self.line;
        let mut word = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.advance(at + 1);
                    return Ok(word);
                }
                '\\' => word.extend(characters.next().map(|(_, escaped)| escaped)),
                other => word.push(other),
            }
        }
        Err(format!("line {line}: unterminated quote"))
    }

    /// White space and both kinds of comments.
    fn skip_blanks(&mut self) -> Result<(), String> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            let end = if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/");
                end.ok_or_else(|| format!("line {}: unterminated comment", self.line))? + 2
            } else {
                return Ok(());
            };
            self.advance(end);
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_zookeepers_manual_is_read() {
        let text = r#"
            // how servers talk to each other
            QuorumServer { org.apache.zookeeper.server.auth.DigestLoginModule required user_q="x"; };
            Server {
                /* everybody */
                org.apache.zookeeper.server.auth.DigestLoginModule required
                user_super="adminsecret"
                user_bob="bob\"s; secret"
                # nobody
                user_kazoo=plain;
            };
            Client { org.apache.zookeeper.server.auth.DigestLoginModule required
                username="bob" password="bobsecret"; };
        "#;
        let users = parse(text).unwrap();
        let shown: Vec<_> = users.iter().map(|(name, word)| (&**name, word.reveal())).collect();
        let expected = [("bob", "bob\"s; secret"), ("kazoo", "plain"), ("super", "adminsecret")];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_place_alone() {
        for (text, reason) in [
            ("", "has no section Server"),
            ("Client { m required; };", "has no section Server"),
            (
                "Server { com.sun.security.auth.module.Krb5LoginModule required; };",
                "Krb5LoginModule",
            ),
            ("Server {\nm required user_bob \"hush\";\n};", "line 2: expected ="),
            ("Server { m required user_bob=\"hush", "line 1: unterminated quote"),
            ("Server { m required user_bob=hush", "ends inside a section"),
            ("Client { m required; }", "ends inside a section"),
            ("/* Server", "unterminated comment"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
            assert!(!refused.contains("hush"), "{refused}");
        }
    }
}
