//! Query strings, parsed and printed like Go's `net/url`.

use coord_wire::percent;

use super::error_map::HttpError;

/// More parameters than anybody needs: each look-up goes through them.
const PARAMS_MAX: usize = 1000;

/// The parameters of one request, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(query: &str) -> Result<Self, HttpError> {
        let mut params = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            if params.len() == PARAMS_MAX {
                return Err(HttpError::bad_request(format!(
                    "The query has more than {PARAMS_MAX} parameters"
                )));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            params.push((text(name)?, text(value)?));
        }
        Ok(Self(params))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The first value given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| &**value)
    }

    /// The first value given, unless it is empty.
    pub(crate) fn nonempty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| &**value)
    }

    /// A number; absent is `None`.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, HttpError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ if digits => Err(HttpError::internal(format!(
                "strconv.ParseUint: parsing {value:?}: value out of range"
            ))),
            _ => Err(HttpError::internal(format!(
                "strconv.ParseUint: parsing {value:?}: invalid syntax"
            ))),
        }
    }

    /// Written again, names sorted.
    pub(crate) fn reencoded(&self) -> String {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let parts: Vec<String> = sorted
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        parts.join("&")
    }
}

/// A boolean as Go reads one.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn text(part: &str) -> Result<String, HttpError> {
    let bytes = percent::decode(&part.replace('+', " ")).map_err(HttpError::internal)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent::encode_into(&mut out, text.as_bytes(), |byte| {
        percent::is_unreserved(byte) || byte == b' '
    });
    // Nothing else is a blank: a plus is escaped.
    out.replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_repeated_names_kept() {
        let params = Params::parse("tag=a%20b&tag=c+d&passing&index=5").unwrap();
        assert_eq!(params.all("tag").collect::<Vec<_>>(), ["a b", "c d"]);
        assert_eq!(params.get("passing"), Some(""));
        assert_eq!(params.nonempty("passing"), None);
        assert_eq!(params.number("index").unwrap(), Some(5));
    }

    #[test]
    fn parameters_without_end_are_refused() {
        assert!(Params::parse(&"tag=a&".repeat(1000)).is_ok());
        let error = Params::parse(&"tag=a&".repeat(1001)).unwrap_err();
        assert_eq!(error.text(), "The query has more than 1000 parameters");
    }

    #[test]
    fn a_number_that_is_none_gets_gos_sentence() {
        let error = Params::parse("cas=abc").unwrap().number("cas").unwrap_err();
        assert_eq!(error.text(), "strconv.ParseUint: parsing \"abc\": invalid syntax");
        let error = Params::parse("cas=18446744073709551616").unwrap().number("cas").unwrap_err();
        assert_eq!(
            error.text(),
            "strconv.ParseUint: parsing \"18446744073709551616\": value out of range"
        );
        assert!(Params::parse("cas=%2B1").unwrap().number("cas").is_err());
    }

    #[test]
    fn a_broken_escape_is_an_internal_error() {
        assert_eq!(Params::parse("a=%zz").unwrap_err().text(), "invalid URL escape \"%zz\"");
    }

    #[test]
    fn a_query_is_written_again_with_sorted_names() {
        assert_eq!(Params::parse("cas=1&acquire=x").unwrap().reencoded(), "acquire=x&cas=1");
        assert_eq!(Params::parse("recurse&cas=1").unwrap().reencoded(), "cas=1&recurse=");
        assert_eq!(Params::parse("a=b%20c%2B%26%7E").unwrap().reencoded(), "a=b+c%2B%26~");
    }
}
