//! Which four-letter words are enabled. Some are expensive and some reveal
//! details, so only a few are enabled beyond loopback.

use std::net::IpAddr;

use coord_wire::zookeeper::four_letter::FourLetterWord;

/// What load balancers, monitors and clients ask for.
const FOR_STRANGERS: &str = "srvr,ruok,isro,envi,mntr";

/// The words that are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whitelist(Vec<FourLetterWord>);

impl Whitelist {
    /// Reads a setting: words with commas between, `*` for all. Without one it
    /// depends on who can connect: all on loopback, few anywhere else.
    /// Words that do not exist are passed over.
    pub(crate) fn new(setting: Option<&str>, listening: IpAddr) -> Self {
        let default = if listening.is_loopback() { "*" } else { FOR_STRANGERS };
        let named: Vec<&str> = setting.unwrap_or(default).split(',').map(str::trim).collect();
        let allowed = |word: &&FourLetterWord| {
            named.iter().any(|name| *name == "*" || name.as_bytes() == word.bytes())
        };
        Self(FourLetterWord::ALL.iter().filter(allowed).copied().collect())
    }

    pub(crate) fn allows(&self, word: FourLetterWord) -> bool {
        self.0.contains(&word)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn strangers_get_few_words_unless_told_otherwise() {
        for (setting, listening, wchc, ruok) in [
            (None, IpAddr::V4(Ipv4Addr::LOCALHOST), true, true),
            (None, IpAddr::V6(Ipv6Addr::LOCALHOST), true, true),
            (None, IpAddr::V4(Ipv4Addr::UNSPECIFIED), false, true),
            (Some("*"), IpAddr::V4(Ipv4Addr::UNSPECIFIED), true, true),
            (Some("wchc, mntr,what"), IpAddr::V4(Ipv4Addr::LOCALHOST), true, false),
            (Some(""), IpAddr::V4(Ipv4Addr::LOCALHOST), false, false),
        ] {
            let words = Whitelist::new(setting, listening);
            let allowed = (words.allows(FourLetterWord::Wchc), words.allows(FourLetterWord::Ruok));
            assert_eq!(allowed, (wchc, ruok), "{setting:?} at {listening}");
        }
    }
}
