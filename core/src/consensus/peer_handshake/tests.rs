//! Handshakes as byte strings: good ones, and those of who has heard much but
//! does not have the secret.

use super::*;

const SECRET: &str = "the secret of all members";

fn policy(secrets: &[&str]) -> Policy {
    Policy { keys: secrets.iter().map(|secret| Key::new(secret)).collect(), ..Policy::default() }
}

fn lenient(secrets: &[&str]) -> Policy {
    Policy { allow_unauthenticated: true, ..policy(secrets) }
}

fn side(me: u64, policy: Policy, nonce: u8) -> Side {
    Side { me: MemberId(me), policy, tls: false, nonce: [nonce; 32] }
}

/// All that a handshake of two sides said.
#[derive(Debug, Default, Clone)]
struct Said {
    hello: Vec<u8>,
    answer: Vec<u8>,
    proofs: Vec<u8>,
    verdict: Vec<u8>,
}

/// Member 1 connects to member 2; what each side makes of it.
fn shake(one: Side, two: Side) -> (Result<Agreed, Refused>, Result<Agreed, Refused>, Said) {
    let mut said = Said::default();
    let (connecting, hello) = Connecting::new(one, MemberId(2), Purpose::Control);
    said.hello.clone_from(&hello);
    let (answer, challenging, agreed) = match hear(two, hello.into()) {
        Ok(Heard::Agreed(welcome, agreed)) => (welcome, None, Some(agreed)),
        Ok(Heard::Challenge(challenge, challenging)) => (challenge, Some(challenging), None),
        Err((_, why)) => {
            let told = connecting.answered(refusal(&why).into()).map(|_| unreachable!());
            return (told, Err(why), said);
        }
    };
    said.answer.clone_from(&answer);
    let (proofs, proving) = match connecting.answered(answer.into()) {
        Ok(Answered::Prove(proofs, proving)) => (proofs, proving),
        Ok(Answered::Agreed(here)) => return (Ok(here), Ok(agreed.unwrap()), said),
        Err(why) => return (Err(why), Ok(agreed.unwrap()), said),
    };
    said.proofs.clone_from(&proofs);
    match challenging.unwrap().judge(&proofs.into()) {
        Ok((verdict, there)) => {
            said.verdict.clone_from(&verdict);
            (proving.judged(verdict.into()), Ok(there), said)
        }
        Err(why) => (proving.judged(refusal(&why).into()), Err(why), said),
    }
}

fn good() -> (Agreed, Agreed, Said) {
    let (here, there, said) = shake(side(1, policy(&[SECRET]), 1), side(2, policy(&[SECRET]), 2));
    (here.unwrap(), there.unwrap(), said)
}

fn challenge_of(two: Side, hello: &[u8]) -> (Vec<u8>, Challenging) {
    match hear(two, Bytes::copy_from_slice(hello)) {
        Ok(Heard::Challenge(challenge, challenging)) => (challenge, challenging),
        _ => panic!("no challenge"),
    }
}

#[test]
fn members_with_the_same_secret_agree_and_seal_what_they_say() {
    let (here, there, said) = good();
    assert_eq!((there.from, there.purpose), (MemberId(1), Purpose::Control));
    let (mut here, mut there) = (here.seals.unwrap(), there.seals.unwrap());
    let seal = here.sending.seal(b"frame");
    assert!(there.receiving.is_intact(b"frame", &seal));
    let answer = there.sending.seal(b"frame");
    assert_ne!(seal, answer, "each direction has a key of its own");
    assert!(here.receiving.is_intact(b"frame", &answer));
    for message in [&said.hello, &said.answer, &said.proofs, &said.verdict] {
        let shown = String::from_utf8_lossy(message);
        assert!(!shown.contains(SECRET), "the secret never travels");
    }
}

#[test]
fn within_tls_on_both_sides_nothing_is_sealed_twice() {
    for (one, two) in [(true, true), (true, false), (false, true)] {
        let one = Side { tls: one, ..side(1, policy(&[SECRET]), 1) };
        let two = Side { tls: two, ..side(2, policy(&[SECRET]), 2) };
        let both = one.tls && two.tls;
        let (here, there, _) = shake(one, two);
        assert_eq!(here.unwrap().seals.is_none(), both);
        assert_eq!(there.unwrap().seals.is_none(), both);
    }
}

#[test]
fn a_wrong_secret_is_refused_and_both_sides_say_why() {
    let (here, there, _) =
        shake(side(1, policy(&["another secret"]), 1), side(2, policy(&[SECRET]), 2));
    for outcome in [here, there] {
        let refused = outcome.unwrap_err();
        assert!(refused.needs_operator && refused.why.contains("peers.secret"), "{refused:?}");
    }
}

#[test]
fn a_side_without_a_secret_is_refused_by_one_that_has_it() {
    let (here, there, _) = shake(side(1, policy(&[]), 1), side(2, policy(&[SECRET]), 2));
    for outcome in [here, there] {
        let refused = outcome.unwrap_err();
        assert!(refused.needs_operator && refused.why.contains("peers.secret"), "{refused:?}");
    }
    let (here, _, _) = shake(side(1, policy(&[SECRET]), 1), side(2, policy(&[]), 2));
    let refused = here.unwrap_err();
    assert!(refused.needs_operator && refused.why.contains("peers.secret"), "{refused:?}");
}

#[test]
fn members_without_secrets_agree_on_nothing_but_names() {
    let (here, there, _) = shake(side(1, policy(&[]), 1), side(2, policy(&[]), 2));
    assert!(here.unwrap().seals.is_none());
    assert!(there.unwrap().seals.is_none());
}

#[test]
fn a_cluster_takes_a_secret_up_one_member_at_a_time() {
    // Without, with and lenient, with alone: each knows the round before and after it.
    let rounds = [lenient(&[]), lenient(&[SECRET]), policy(&[SECRET])];
    for (one, two) in [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)] {
        let (here, there, _) =
            shake(side(1, rounds[one].clone(), 1), side(2, rounds[two].clone(), 2));
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!(here.seals.is_some(), one > 0 && two > 0);
        assert_eq!(there.seals.is_some(), here.seals.is_some());
    }
    // Lenient is not blind: a wrong secret is a mistake somebody wants to know of.
    let (here, there, _) =
        shake(side(1, lenient(&["another secret"]), 1), side(2, lenient(&[SECRET]), 2));
    assert!(here.is_err() && there.is_err());
}

#[test]
fn a_cluster_changes_its_secret_one_member_at_a_time() {
    let rounds = [policy(&["old one"]), policy(&["new one", "old one"]), policy(&["new one"])];
    for (one, two) in [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)] {
        let (here, there, _) =
            shake(side(1, rounds[one].clone(), 1), side(2, rounds[two].clone(), 2));
        let (mut here, mut there) = (here.unwrap().seals.unwrap(), there.unwrap().seals.unwrap());
        let seal = here.sending.seal(b"frame");
        assert!(there.receiving.is_intact(b"frame", &seal), "the same key on both sides");
    }
    let (here, there, _) = shake(side(1, rounds[0].clone(), 1), side(2, rounds[2].clone(), 2));
    assert!(here.is_err() && there.is_err());
}

#[test]
fn a_proof_that_was_heard_once_proves_nothing_later() {
    let (_, _, said) = good();
    // The same hello again, and a member whose chance is another this time.
    let (challenge, challenging) = challenge_of(side(2, policy(&[SECRET]), 3), &said.hello);
    assert_ne!(challenge, said.answer);
    assert!(challenging.judge(&said.proofs.into()).is_err());
    // Nor does a recorded answer prove a member to one that connects anew.
    let (connecting, _) =
        Connecting::new(side(1, policy(&[SECRET]), 9), MemberId(2), Purpose::Control);
    let Ok(Answered::Prove(_, proving)) = connecting.answered(said.answer.into()) else {
        panic!("no proof asked for")
    };
    assert!(proving.judged(said.verdict.into()).unwrap_err().needs_operator);
}

#[test]
fn who_reflects_what_a_member_says_proves_nothing() {
    // A stranger lets member 2 connect to it, and says to member 2 what it hears.
    let (connecting, hello) =
        Connecting::new(side(2, policy(&[SECRET]), 1), MemberId(1), Purpose::Control);
    assert!(hear(side(2, policy(&[SECRET]), 2), hello.clone().into()).is_err(), "not to it");
    // It says it is member 1 instead, and hands the challenge on.
    let (_, mine) = Connecting::new(side(1, policy(&[]), 1), MemberId(2), Purpose::Control);
    let mut proving_hello = mine.clone();
    let flags = proving_hello.len() - size_of::<Nonce>() - 1;
    proving_hello[flags] = PROVES;
    let (challenge, challenging) = challenge_of(side(2, policy(&[SECRET]), 2), &proving_hello);
    let Ok(Answered::Prove(proofs, proving)) = connecting.answered(challenge.into()) else {
        panic!("no proof asked for")
    };
    assert!(challenging.judge(&proofs.clone().into()).is_err());
    // Its own proof is no proof of the other side.
    assert!(proving.judged([&[WELCOME][..], &proofs].concat().into()).is_err());
}

#[test]
fn what_was_altered_on_the_way_is_not_agreed_on() {
    let (_, _, said) = good();
    for place in 0..said.hello.len() {
        let mut hello = said.hello.clone();
        hello[place] ^= 1;
        let Ok(Heard::Challenge(_, challenging)) =
            hear(side(2, policy(&[SECRET]), 2), hello.into())
        else {
            continue;
        };
        assert!(challenging.judge(&said.proofs.clone().into()).is_err(), "byte {place} of hello");
    }
    for place in 0..said.verdict.len() {
        let mut verdict = said.verdict.clone();
        verdict[place] ^= 1;
        let (connecting, _) =
            Connecting::new(side(1, policy(&[SECRET]), 1), MemberId(2), Purpose::Control);
        let Ok(Answered::Prove(_, proving)) = connecting.answered(said.answer.clone().into())
        else {
            panic!("no proof asked for")
        };
        assert!(proving.judged(verdict.into()).is_err(), "byte {place} of the verdict");
    }
}

#[test]
fn empty_and_cut_proofs_are_refused() {
    let (_, _, said) = good();
    for len in 0..said.proofs.len() {
        let (_, challenging) = challenge_of(side(2, policy(&[SECRET]), 2), &said.hello);
        assert!(challenging.judge(&said.proofs[..len].to_vec().into()).is_err(), "{len} bytes");
    }
    for len in 0..said.verdict.len() {
        let (connecting, _) =
            Connecting::new(side(1, policy(&[SECRET]), 1), MemberId(2), Purpose::Control);
        let Ok(Answered::Prove(_, proving)) = connecting.answered(said.answer.clone().into())
        else {
            panic!("no proof asked for")
        };
        assert!(proving.judged(said.verdict[..len].to_vec().into()).is_err(), "{len} bytes");
    }
}

#[test]
fn a_hello_must_be_whole_and_of_another_member() {
    let (_, _, said) = good();
    for len in 0..said.hello.len() {
        assert!(hear(side(2, policy(&[]), 2), said.hello[..len].to_vec().into()).is_err());
    }
    for from in [0, 2, 255, u64::MAX] {
        let (_, hello) = Connecting::new(side(from, policy(&[]), 1), MemberId(2), Purpose::Control);
        let (_, refused) = hear(side(2, policy(&[]), 2), hello.into()).err().unwrap();
        assert!(refused.why.contains("number"), "{refused:?}");
    }
    let (_, refused) = hear(side(2, policy(&[]), 2), "GET / HTTP/1.1\r\n".into()).err().unwrap();
    assert!(refused.why.contains("port is for other members"), "{refused:?}");
}

#[test]
fn what_a_stranger_says_cannot_break_a_line_of_the_log() {
    let (connecting, _) = Connecting::new(side(1, policy(&[]), 1), MemberId(2), Purpose::Control);
    let refused = connecting.answered(b"\x01no\nWARN forged \x1b[31m"[..].into()).err().unwrap();
    assert!(!refused.why.contains(['\n', '\x1b']), "{refused:?}");
}
