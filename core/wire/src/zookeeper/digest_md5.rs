//! DIGEST-MD5 (RFC 2831), the way of SASL in which ZooKeeper's clients prove a
//! password without sending it.
//!
//! ```text
//! client                              server
//!   (empty token)              ->
//!                              <-     Challenge: realm, nonce
//!   Response: user, proof      ->
//!                              <-     rspauth: the server knows the password, too
//! ```
//!
//! Only what ZooKeeper uses of it: authentication alone (`qop=auth`), once for
//! each challenge. MD5 is what both sides agreed on long ago; over a network
//! that others listen on, use TLS.
//!
//! Not here: who has which password, and comparing proofs in constant time.

use std::fmt::Write as _;

/// The realm of every ZooKeeper server.
pub const REALM: &str = "zk-sasl-md5";
/// What clients say they want to talk to.
pub const URI: &str = "zookeeper/zk-sasl-md5";
/// No longer token is read. RFC 2831 has half of it.
const TOKEN_BYTES_MAX: usize = 4096;
/// A challenge is answered once, and this is its number.
const FIRST: &str = "00000001";

/// A token that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a DIGEST-MD5 token {0}")]
pub struct Malformed(&'static str);

/// What the server asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Part of what is hashed with the password.
    pub realm: String,
    /// Fresh, so that no answer is good twice.
    pub nonce: String,
}

/// What the client answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Who.
    pub username: String,
    /// As in the challenge.
    pub realm: String,
    /// As in the challenge.
    pub nonce: String,
    /// The client's own, so that no answer of the server is good twice.
    pub client_nonce: String,
    /// What the client wants to talk to.
    pub uri: String,
    /// On whose behalf; most say nothing.
    pub authorization: Option<String>,
    /// 32 hexadecimal digits.
    pub proof: String,
}

/// Whose proof it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// That the client knows the password.
    Client,
    /// That the server does.
    Server,
}

impl Challenge {
    /// As a token.
    pub fn encode(&self) -> Vec<u8> {
        let (realm, nonce) = (quoted(&self.realm), quoted(&self.nonce));
        format!("realm={realm},nonce={nonce},qop=\"auth\",charset=utf-8,algorithm=md5-sess")
            .into_bytes()
    }

    /// From a token.
    ///
    /// # Errors
    /// `Malformed`, also if it offers only what is not done here.
    pub fn decode(token: &[u8]) -> Result<Self, Malformed> {
        let directives = Directives::parse(token)?;
        if directives.get("algorithm")?.as_deref() != Some("md5-sess") {
            return Err(Malformed("has an unsupported algorithm"));
        }
        let offered = directives.get("qop")?.unwrap_or_else(|| "auth".to_owned());
        if !offered.split(',').any(|one| one.trim() == "auth") {
            return Err(Malformed("does not offer qop=auth"));
        }
        // With several realms any may be chosen.
        let realm = directives.first("realm").unwrap_or_default();
        Ok(Self { realm, nonce: directives.required("nonce")? })
    }
}

impl Response {
    /// The answer of this user.
    pub fn to(challenge: &Challenge, username: &str, password: &str, client_nonce: &str) -> Self {
        let mut response = Self {
            username: username.to_owned(),
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            client_nonce: client_nonce.to_owned(),
            uri: URI.to_owned(),
            authorization: None,
            proof: String::new(),
        };
        // What fits into Latin-1 is hashed as such, which is what Java expects.
        response.proof = response.proofs(password, Side::Client).swap_remove(0);
        response
    }

    /// As a token.
    pub fn encode(&self) -> Vec<u8> {
        let Self { username, realm, nonce, client_nonce, uri, authorization, proof } = self;
        let mut out = format!(
            "charset=utf-8,username={},realm={},nonce={},nc={FIRST},cnonce={},digest-uri={},\
             response={proof},qop=auth",
            quoted(username),
            quoted(realm),
            quoted(nonce),
            quoted(client_nonce),
            quoted(uri),
        );
        if let Some(authorization) = authorization {
            out.push_str(",authzid=");
            out.push_str(&quoted(authorization));
        }
        out.into_bytes()
    }

    /// From a token.
    ///
    /// # Errors
    /// `Malformed`, also if it asks for more than authentication or answers
    /// for a second time.
    pub fn decode(token: &[u8]) -> Result<Self, Malformed> {
        let directives = Directives::parse(token)?;
        if directives.get("qop")?.is_some_and(|qop| qop != "auth") {
            return Err(Malformed("requests a qop other than auth"));
        }
        if directives.required("nc")? != FIRST {
            return Err(Malformed("replays a nonce count"));
        }
        Ok(Self {
            username: directives.required("username")?,
            realm: directives.get("realm")?.unwrap_or_default(),
            nonce: directives.required("nonce")?,
            client_nonce: directives.required("cnonce")?,
            uri: directives.required("digest-uri")?,
            authorization: directives.get("authzid")?,
            proof: directives.required("response")?,
        })
    }

    /// What proves that `side` knows the password. Two if name or password has
    /// letters that clients encode differently: as Latin-1, then as UTF-8.
    pub fn proofs(&self, password: &str, side: Side) -> Vec<String> {
        let names = [latin1(&self.username), self.username.clone().into_bytes()];
        let passwords = [latin1(password), password.as_bytes().to_vec()];
        let mut proofs: Vec<String> = names
            .iter()
            .zip(&passwords)
            .map(|(username, password)| self.proof_of(username, password, side))
            .collect();
        proofs.dedup();
        proofs
    }

    fn proof_of(&self, username: &[u8], password: &[u8], side: Side) -> String {
        let realm = self.realm.as_bytes();
        let (nonce, client_nonce) = (self.nonce.as_bytes(), self.client_nonce.as_bytes());
        let secret = *md5::compute(joined(&[username, realm, password]));
        let mut session = joined(&[&secret, nonce, client_nonce]);
        if let Some(authorization) = &self.authorization {
            session.push(b':');
            session.extend_from_slice(authorization.as_bytes());
        }
        let method: &[u8] = match side {
            Side::Client => b"AUTHENTICATE",
            Side::Server => b"",
        };
        let target = joined(&[method, self.uri.as_bytes()]);
        let (session, target) = (hexadecimal(&session), hexadecimal(&target));
        hexadecimal(&joined(&[
            session.as_bytes(),
            nonce,
            FIRST.as_bytes(),
            client_nonce,
            b"auth",
            target.as_bytes(),
        ]))
    }
}

/// The server's last token.
pub fn encode_server_proof(proof: &str) -> Vec<u8> {
    format!("rspauth={proof}").into_bytes()
}

/// The proof in the server's last token.
///
/// # Errors
/// `Malformed`.
pub fn decode_server_proof(token: &[u8]) -> Result<String, Malformed> {
    Directives::parse(token)?.required("rspauth")
}

/// `key=value,key="quoted"`.
struct Directives(Vec<(String, String)>);

impl Directives {
    fn parse(token: &[u8]) -> Result<Self, Malformed> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Malformed("is too long"));
        }
        // Those who do not say that they write UTF-8 mostly do.
        let text = match std::str::from_utf8(token) {
            Ok(text) => text.to_owned(),
            Err(_) => token.iter().copied().map(char::from).collect(),
        };
        let mut found = Vec::new();
        let mut rest = text.trim_start_matches(is_between);
        while !rest.is_empty() {
            let (key, behind) =
                rest.split_once('=').ok_or(Malformed("has a key without a value"))?;
            let (value, behind) = value(behind.trim_start())?;
            found.push((key.trim().to_ascii_lowercase(), value));
            if !behind.is_empty() && !behind.starts_with(is_between) {
                return Err(Malformed("continues after a quoted value"));
            }
            rest = behind.trim_start_matches(is_between);
        }
        Ok(Self(found))
    }

    fn first(&self, wanted: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone())
    }

    /// At most one.
    fn get(&self, wanted: &str) -> Result<Option<String>, Malformed> {
        if self.0.iter().filter(|(key, _)| key == wanted).count() > 1 {
            return Err(Malformed("repeats a key"));
        }
        Ok(self.first(wanted))
    }

    fn required(&self, wanted: &str) -> Result<String, Malformed> {
        self.get(wanted)?.ok_or(Malformed("lacks something"))
    }
}

fn is_between(character: char) -> bool {
    character == ',' || character.is_ascii_whitespace()
}

/// A value and what is behind it.
fn value(text: &str) -> Result<(String, &str), Malformed> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(is_between).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    Err(Malformed("has an unterminated quote"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// As Latin-1 if every letter is in it, otherwise as UTF-8.
fn latin1(text: &str) -> Vec<u8> {
    let letters = text.chars().map(|character| u8::try_from(u32::from(character)).ok());
    letters.collect::<Option<_>>().unwrap_or_else(|| text.as_bytes().to_vec())
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&b':')
}

fn hexadecimal(hashed: &[u8]) -> String {
    let mut out = String::with_capacity(32);
    for byte in md5::compute(hashed).iter() {
        write!(out, "{byte:02x}").expect("text takes everything");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 2831, section 4, which talks to another service.
    #[test]
    fn the_example_of_the_standard_is_computed() {
        let token = b"charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",\
            nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\",\
            digest-uri=\"imap/elwood.innosoft.com\",\
            response=d388dad90d4bbd760a152321f2143af7,qop=auth";
        let response = Response::decode(token).unwrap();
        assert_eq!(response.username, "chris");
        assert_eq!(response.proofs("secret", Side::Client), std::slice::from_ref(&response.proof));
        let server = response.proofs("secret", Side::Server);
        assert_eq!(server, ["ea40f60335c427b5527b84dbabcdfffd"]);
        assert_eq!(
            decode_server_proof(&encode_server_proof(&server[0])).as_deref(),
            Ok("ea40f60335c427b5527b84dbabcdfffd")
        );
    }

    #[test]
    fn a_challenge_of_a_genuine_server_is_read() {
        let token =
            b"realm=\"zk-sasl-md5\",nonce=\"vJ8+/a\\\"b=\",charset=utf-8,algorithm=md5-sess";
        let challenge = Challenge::decode(token).unwrap();
        assert_eq!(challenge, Challenge { realm: REALM.into(), nonce: "vJ8+/a\"b=".into() });
        assert_eq!(Challenge::decode(&challenge.encode()), Ok(challenge));
    }

    #[test]
    fn what_is_not_plain_authentication_for_the_first_time_is_refused() {
        let good =
            "username=\"u\",nonce=\"n\",cnonce=\"c\",digest-uri=\"d\",response=r,nc=00000001";
        Response::decode(good.as_bytes()).unwrap();
        for bad in [
            good.replace("nc=00000001", "nc=00000002"),
            good.replace("nc=00000001", "qop=auth-conf,nc=00000001"),
            good.replace("username=\"u\",", ""),
            format!("{good},nonce=\"m\""),
            format!("{good},realm=\"open"),
            format!("{good},lonely"),
            good.replace("\"u\"", "\"u\"x"),
            format!("{good},x={}", "y".repeat(5000)),
            String::new(),
        ] {
            assert!(Response::decode(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["", "nonce=\"n\"", "nonce=\"n\",algorithm=md5-sess,qop=\"auth-int\""] {
            assert!(Challenge::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn letters_beyond_ascii_are_tried_in_both_encodings() {
        let challenge = Challenge { realm: REALM.into(), nonce: "n".into() };
        let both = Response::to(&challenge, "jörg", "pw", "c").proofs("pw", Side::Client);
        assert_eq!(both.len(), 2);
        assert_ne!(both[0], both[1]);
        let one = Response::to(&challenge, "пётр", "пароль", "c").proofs("пароль", Side::Client);
        assert_eq!(one.len(), 1);
    }

    proptest! {
        #[test]
        fn a_response_survives_its_token(
            username in any::<String>().prop_filter("fits", |text| text.len() < 500),
            nonce in "[ -~]{1,40}",
            authorization in proptest::option::of("[ -~]{0,40}"),
        ) {
            let challenge = Challenge { realm: REALM.into(), nonce };
            let mut response = Response::to(&challenge, &username, "pw", "cc");
            response.authorization = authorization;
            prop_assert_eq!(Response::decode(&response.encode()), Ok(response));
        }

        #[test]
        fn any_bytes_are_a_token_or_not(token in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Response::decode(&token);
            let _ = Challenge::decode(&token);
        }
    }
}
