//! SASL with DIGEST-MD5, server side: the exchange of one connection, and the
//! resulting user.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coord_wire::zookeeper::digest_md5::{
    Challenge, REALM, Response, Side, URI, encode_server_proof,
};
use subtle::ConstantTimeEq as _;

use crate::settings::Secret;

/// Names and passwords.
pub(crate) type Users = BTreeMap<String, Secret>;

/// How far a connection has come. It gets one attempt: a challenge is answered
/// once, so what was overheard is good for nothing.
#[derive(Debug, Default)]
pub(super) enum Exchange {
    #[default]
    NotBegun,
    Challenged(Challenge),
    Over,
}

/// What comes of a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To be answered; the client goes on.
    Challenge(Vec<u8>),
    /// To be answered; the client is this user.
    Proven { user: String, answer: Vec<u8> },
    /// For people; never says which of name and password it was.
    Refused(&'static str),
}

impl Exchange {
    /// Takes the client's next token. `random` makes the challenge fresh.
    pub(crate) fn step(&mut self, token: &[u8], users: &Users, random: [u8; 24]) -> Step {
        match std::mem::replace(self, Self::Over) {
            Self::NotBegun if users.is_empty() => Step::Refused("no SASL users are configured"),
            Self::NotBegun if !token.is_empty() => Step::Refused("the first token is not empty"),
            Self::NotBegun => {
                let nonce = STANDARD.encode(random);
                let challenge = Challenge { realm: REALM.to_owned(), nonce };
                let token = challenge.encode();
                *self = Self::Challenged(challenge);
                Step::Challenge(token)
            }
            Self::Challenged(challenge) => match Response::decode(token) {
                Ok(response) => verify(&challenge, response, users),
                Err(_) => Step::Refused("cannot decode the token"),
            },
            Self::Over => Step::Refused("the negotiation has already ended"),
        }
    }
}

fn verify(challenge: &Challenge, response: Response, users: &Users) -> Step {
    if response.nonce != challenge.nonce || response.realm != challenge.realm {
        return Step::Refused("it answers another challenge");
    }
    if !response.uri.eq_ignore_ascii_case(URI) {
        return Step::Refused("it is for another service");
    }
    // Who does not exist takes as long as who does.
    let password = users.get(&response.username);
    let proofs = response.proofs(password.map_or("", Secret::reveal), Side::Client);
    let mut proven = None;
    for (which, proof) in proofs.iter().enumerate() {
        if bool::from(proof.as_bytes().ct_eq(response.proof.as_bytes())) {
            proven = Some(which);
        }
    }
    let (Some(password), Some(which)) = (password, proven) else {
        return Step::Refused("the name or the password is wrong");
    };
    let mut answers = response.proofs(password.reveal(), Side::Server);
    let answer = encode_server_proof(&answers.swap_remove(which));
    Step::Proven { user: response.username, answer }
}

#[cfg(test)]
mod tests {
    use coord_wire::zookeeper::digest_md5::decode_server_proof;

    use super::*;

    fn users() -> Users {
        [("bob", "secret"), ("jörg", "paß")].map(|(name, word)| (name.into(), word.into())).into()
    }

    fn challenged(exchange: &mut Exchange, random: u8) -> Challenge {
        match exchange.step(b"", &users(), [random; 24]) {
            Step::Challenge(token) => Challenge::decode(&token).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn answered(exchange: &mut Exchange, response: &Response) -> Step {
        exchange.step(&response.encode(), &users(), [9; 24])
    }

    #[test]
    fn who_knows_the_password_is_let_in_and_told_that_the_server_knows_it() {
        for (name, word) in [("bob", "secret"), ("jörg", "paß")] {
            let mut exchange = Exchange::default();
            let challenge = challenged(&mut exchange, 1);
            let response = Response::to(&challenge, name, word, "client");
            let Step::Proven { user, answer } = answered(&mut exchange, &response) else {
                panic!("{name} is refused")
            };
            assert_eq!(user, name);
            let proof = decode_server_proof(&answer).unwrap();
            assert!(response.proofs(word, Side::Server).contains(&proof));
        }
    }

    #[test]
    fn what_was_overheard_is_good_for_nothing() {
        let mut first = Exchange::default();
        let challenge = challenged(&mut first, 1);
        let response = Response::to(&challenge, "bob", "secret", "client");
        assert!(matches!(answered(&mut first, &response), Step::Proven { .. }));
        // Neither again on the same connection nor on another.
        assert!(matches!(answered(&mut first, &response), Step::Refused(_)));
        let mut second = Exchange::default();
        challenged(&mut second, 2);
        assert!(matches!(answered(&mut second, &response), Step::Refused(_)));
    }

    #[test]
    fn a_wrong_name_and_a_wrong_password_are_told_alike() {
        let attempt = |name: &str, word: &str| {
            let mut exchange = Exchange::default();
            let challenge = challenged(&mut exchange, 1);
            answered(&mut exchange, &Response::to(&challenge, name, word, "client"))
        };
        let wrong = attempt("bob", "guess");
        assert_eq!(wrong, Step::Refused("the name or the password is wrong"));
        assert_eq!(attempt("nobody", "secret"), wrong);
        // An unknown name has no password, not the empty one.
        assert_eq!(attempt("nobody", ""), wrong);
    }

    #[test]
    fn an_answer_for_another_service_or_out_of_turn_is_refused() {
        let mut exchange = Exchange::default();
        let challenge = challenged(&mut exchange, 1);
        let mut response = Response::to(&challenge, "bob", "secret", "client");
        response.uri = "imap/zk-sasl-md5".to_owned();
        response.proof = response.proofs("secret", Side::Client).swap_remove(0);
        assert!(matches!(answered(&mut exchange, &response), Step::Refused(_)));

        let mut exchange = Exchange::default();
        assert!(matches!(answered(&mut exchange, &response), Step::Refused(_)));
        let mut exchange = Exchange::default();
        assert!(matches!(exchange.step(b"", &Users::new(), [0; 24]), Step::Refused(_)));
    }
}
