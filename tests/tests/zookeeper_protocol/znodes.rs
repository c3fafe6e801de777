//! The tree as clients see it: names, stats, access lists, multis.

use bytes::Bytes;
use coord_wire::zookeeper::multi::MultiResult;
use coord_wire::zookeeper::request::{CreateForm, Read};
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{
    Client, ace, auth, create, create_as, create_with, delete, exists, get_children, get_data,
    set_data,
};
use crate::connection::Member;

fn created(client: &mut Client, path: &str, flags: i32) -> String {
    match client.call(&create_as(path, CreateForm::Plain, flags)) {
        Ok(Reply::Created(path)) => path.as_str().to_owned(),
        other => panic!("{path}: {other:?}"),
    }
}

fn access_list(client: &mut Client, path: &str) -> Vec<String> {
    match client.call(&Request::GetAcl { path: path.into() }) {
        Ok(Reply::Acl { acl, .. }) => acl
            .iter()
            .map(|ace| format!("{} {}:{}", ace.perms, ace.identity.scheme, ace.identity.id))
            .collect(),
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn a_fresh_tree_counts_children_as_zookeepers_does() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    assert_eq!(client.stat("/").cversion, -1);
    assert_eq!(client.stat("/zookeeper").cversion, -2);
    let count = client.call(&Request::GetAllChildrenNumber { path: "/".into() });
    assert_eq!(count, Ok(Reply::Number(3)));
}

#[test]
fn deletions_count_in_the_cversion_and_not_in_sequence_numbers() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    for path in ["/p", "/p/a", "/p/b"] {
        client.made(path);
    }
    client.call(&delete("/p/a")).unwrap();
    assert_eq!(client.stat("/p").cversion, 3);
    assert_eq!(created(&mut client, "/p/s-", 2), "/p/s-0000000002");
    assert_eq!(created(&mut client, "/p/", 2), "/p/0000000003");
}

#[test]
fn null_data_stays_null_and_empty_data_empty() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    for data in [Some(&b""[..]), None, Some(b"x")] {
        client.call(&set_data("/a", data)).unwrap();
        let Ok(Reply::Data { data: read, stat }) = client.call(&get_data("/a", false)) else {
            panic!("/a is there")
        };
        assert_eq!(read, data.map(Bytes::from_static));
        assert_eq!(stat.data_length, i32::try_from(data.map_or(0, <[u8]>::len)).unwrap());
    }
}

#[test]
fn impossible_paths_are_bad_arguments_for_writes_and_absent_for_reads() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    for path in [
        "a",
        "/a/",
        "/a//b",
        "/a/.",
        "/a/..",
        "/a/\0",
        "/a/\u{1}",
        "/a/\u{1f}",
        "/a/\u{7f}",
        "/a/\u{9f}",
        "/a/\u{e000}",
        "/a/\u{f8ff}",
        "/a/\u{fff0}",
        "/a/\u{ffff}",
        "/a/\u{1f600}",
    ] {
        if path != "/a//b" {
            assert_eq!(client.call(&create(path)), Err(ErrorCode::BadArguments), "{path:?}");
        }
        assert_eq!(client.call(&set_data(path, None)), Err(ErrorCode::BadArguments), "{path:?}");
        assert_eq!(client.call(&get_data(path, false)), Err(ErrorCode::NoNode), "{path:?}");
    }
    for path in ["/a//b", "/missing/."] {
        assert_eq!(client.call(&create(path)), Err(ErrorCode::NoNode), "the parent comes first");
    }
    for path in ["/a/a.b", "/a/...", "/a/..x", "/a/\u{e4}", "/a/ "] {
        client.made(path);
    }
}

#[test]
fn containers_and_times_to_live_show_no_owner() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.call(&create_as("/c", CreateForm::Container, 4)).unwrap();
    client.call(&create_as("/t", CreateForm::Ttl { ttl_ms: 60_000 }, 5)).unwrap();
    client.call(&create_as("/e", CreateForm::WithStat, 1)).unwrap();
    assert_eq!(client.stat("/c").ephemeral_owner.0, 0);
    assert_eq!(client.stat("/t").ephemeral_owner.0, 0);
    assert_eq!(client.stat("/e").ephemeral_owner.0, client.session.session);
}

#[test]
fn a_prefix_of_ephemerals_is_plain_text() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    for path in ["/w", "/we", "/x"] {
        client.call(&create_as(path, CreateForm::Plain, 1)).unwrap();
    }
    let mut begin_with = |prefix: Option<&str>| match client
        .call(&Request::GetEphemerals { prefix: prefix.map(Into::into) })
    {
        Ok(Reply::Ephemerals(paths)) => paths.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(begin_with(Some("/w")), 2);
    for all in [None, Some(""), Some("/")] {
        assert_eq!(begin_with(all), 3);
    }
}

#[test]
fn auth_in_an_access_list_stands_for_every_digest_and_not_for_the_address() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let request = create_with("/a", vec![ace(31, "auth", "")]);
    assert_eq!(client.call(&request), Err(ErrorCode::InvalidAcl), "nothing is proven yet");
    client.call(&auth("digest", "bob:pw")).unwrap();
    client.call(&auth("digest", "u:p")).unwrap();
    client.call(&request).unwrap();
    assert_eq!(
        access_list(&mut client, "/a"),
        ["31 digest:bob:ikIaKsbtGweaHnb/jKn7OHqbunM=", "31 digest:u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="]
    );
}

#[test]
fn who_may_not_administer_sees_digests_masked() {
    let member = Member::start();
    let mut owner = Client::open(member.address);
    let acl =
        vec![ace(31, "digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="), ace(1, "world", "anyone")];
    owner.call(&create_with("/a", acl)).unwrap();
    assert_eq!(access_list(&mut owner, "/a"), ["31 digest:bob:x", "1 world:anyone"]);
    owner.call(&auth("digest", "bob:pw")).unwrap();
    assert_eq!(access_list(&mut owner, "/a")[0], "31 digest:bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
}

#[test]
fn deleting_needs_permission_even_for_what_is_not_there() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.call(&create_with("/p", vec![ace(1, "world", "anyone")])).unwrap();
    assert_eq!(client.call(&delete("/p/missing")), Err(ErrorCode::NoAuth));
    assert_eq!(client.call(&delete("/missing/x")), Err(ErrorCode::NoNode));
}

#[test]
fn exists_needs_permission_to_read() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.call(&create_with("/p", vec![ace(30, "world", "anyone")])).unwrap();
    for request in [exists("/p", true), get_data("/p", true), get_children("/p", true)] {
        assert_eq!(client.call(&request), Err(ErrorCode::NoAuth));
    }
    client.call(&set_data("/p", None)).unwrap();
}

#[test]
fn setting_the_access_list_counts_its_own_version_only() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    let before = client.stat("/a");
    let request = |version| Request::SetAcl {
        path: "/a".into(),
        acl: Some(vec![ace(31, "world", "anyone")]),
        version,
    };
    client.call(&request(0)).unwrap();
    assert_eq!(client.call(&request(0)), Err(ErrorCode::BadVersion));
    let after = client.stat("/a");
    assert_eq!((after.aversion, after.version, after.mzxid), (1, before.version, before.mzxid));
    assert_eq!((after.mtime, after.pzxid), (before.mtime, before.pzxid));
}

#[test]
fn a_failed_multi_has_no_error_of_its_own_and_one_for_every_operation() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/p");
    let sequential = || create_as("/p/s", CreateForm::Plain, 2);
    let answer = client.call(&Request::Multi(vec![
        sequential(),
        Request::CheckVersion { path: "/p".into(), version: 9 },
        delete("/p"),
    ]));
    let errors = [ErrorCode::Ok, ErrorCode::BadVersion, ErrorCode::RuntimeInconsistency];
    assert_eq!(answer, Ok(Reply::Multi(errors.map(MultiResult::Error).into())));
    let answer = client.call(&sequential());
    assert_eq!(answer, Ok(Reply::Created("/p/s0000000000".into())), "no number was used up");
}

#[test]
fn in_a_multi_containers_and_times_to_live_are_told_with_their_stat() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let answer = client.call(&Request::Multi(vec![
        create_as("/c", CreateForm::Container, 4),
        create_as("/t", CreateForm::Ttl { ttl_ms: 60_000 }, 5),
        delete("/c"),
    ]));
    let Ok(Reply::Multi(results)) = answer else { panic!("{answer:?}") };
    assert!(matches!(
        &results[..],
        [
            MultiResult::CreatedWithStat { .. },
            MultiResult::CreatedWithStat { .. },
            MultiResult::Deleted
        ]
    ));
}

#[test]
fn create2_in_a_multi_is_answered_with_the_stat_at_that_operation() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let answer = client.call(&Request::Multi(vec![
        create("/plain"),
        create_as("/a", CreateForm::WithStat, 0),
        create_as("/a/s-", CreateForm::WithStat, 3),
        set_data("/a", Some(b"x")),
    ]));
    let Ok(Reply::Multi(results)) = answer else { panic!("{answer:?}") };
    let [
        MultiResult::Created(plain),
        MultiResult::CreatedWithStat { path: first, stat: of_first },
        MultiResult::CreatedWithStat { path: second, stat: of_second },
        MultiResult::Set(_),
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!(
        [plain, first, second].map(|path| path.as_str()),
        ["/plain", "/a", "/a/s-0000000000"]
    );
    // As of that operation: its child came afterwards, and so did its data.
    assert_eq!((of_first.version, of_first.num_children), (0, 0));
    assert_eq!(of_second.ephemeral_owner.0, client.session.session);
    assert_eq!(client.stat("/a/s-0000000000"), *of_second);
}

#[test]
fn reads_in_a_multi_and_writes_in_a_multi_read_cannot_be_understood() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    let both = || vec![set_data("/a", None), get_data("/a", false)];
    for request in [Request::Multi(both()), Request::MultiRead(both())] {
        assert_eq!(client.call(&request), Err(ErrorCode::MarshallingError));
    }
    assert_eq!(client.stat("/a").version, 0);
}

#[test]
fn a_multi_read_answers_each_by_itself_and_leaves_no_watch() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    let read = |path: &str| Read { path: path.into(), watch: true };
    let answer = client.call(&Request::MultiRead(vec![
        Request::GetData(read("/a")),
        Request::GetChildren(read("/missing")),
        Request::GetChildren(read("/a")),
    ]));
    let Ok(Reply::Multi(results)) = answer else { panic!("{answer:?}") };
    assert!(matches!(results[0], MultiResult::Data { .. }));
    assert_eq!(results[1], MultiResult::Error(ErrorCode::NoNode));
    assert_eq!(results[2], MultiResult::Children(Vec::new()));
    client.call(&set_data("/a", None)).unwrap();
}
