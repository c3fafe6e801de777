//! Keys, values and locks.

use serde_json::json;

use crate::http_client::{Member, member};
use crate::score::Point;

fn entry(member: &Member, key: &str) -> serde_json::Value {
    let list = member.json(&format!("/v1/kv/{key}"));
    assert_eq!(list.as_array().unwrap().len(), 1);
    list[0].clone()
}

#[test]
fn an_entry_has_its_fields_in_order() {
    let _point = Point::of("K-01");
    let member = member();
    member.put("/v1/kv/a/k?flags=7", "hi").says(200, "true");
    let reply = member.get("/v1/kv/a/k").ok();
    let index = reply.index();
    reply.says(
        200,
        &format!(
            r#"[{{"LockIndex":0,"Key":"a/k","Flags":7,"Value":"aGk=","CreateIndex":{index},"ModifyIndex":{index}}}]"#
        ),
    );
    let session = member.session("{}");
    member.put(&format!("/v1/kv/a/k?acquire={session}"), "hi").says(200, "true");
    assert_eq!(entry(&member, "a/k")["Session"], *session);
}

#[test]
fn values_are_any_bytes_and_an_empty_one_is_null() {
    let _point = Point::of("K-02");
    let member = member();
    member.put("/v1/kv/empty", "").ok();
    assert_eq!(entry(&member, "empty")["Value"], json!(null));
    let bytes: Vec<u8> = (0..=255).collect();
    member.put("/v1/kv/bytes", &bytes).ok();
    assert_eq!(member.get("/v1/kv/bytes?raw").ok().body, bytes);
}

#[test]
fn flags_are_unsigned_64_bit_numbers() {
    let _point = Point::of("K-03");
    let member = member();
    member.put("/v1/kv/x?flags=18446744073709551615", "").ok();
    assert_eq!(entry(&member, "x")["Flags"], u64::MAX);
    member
        .put("/v1/kv/x?flags=abc", "")
        .says(500, "strconv.ParseUint: parsing \"abc\": invalid syntax");
    member.put("/v1/kv/x", "").ok();
    assert_eq!(entry(&member, "x")["Flags"], 0);
}

#[test]
fn cas_creates_with_zero_and_changes_with_the_right_index() {
    let _point = Point::of("K-04");
    let member = member();
    member.put("/v1/kv/x?cas=5", "0").says(200, "false");
    member.put("/v1/kv/x?cas=0", "1").says(200, "true");
    member.put("/v1/kv/x?cas=0", "2").says(200, "false");
    let index = member.get("/v1/kv/x").index();
    member.put(&format!("/v1/kv/x?cas={}", index + 1), "2").says(200, "false");
    member.put(&format!("/v1/kv/x?cas={index}"), "2").says(200, "true");
    assert_eq!(member.get("/v1/kv/x?raw").ok().text(), "2");
}

#[test]
fn a_delete_with_cas_succeeds_on_what_is_not_there() {
    let _point = Point::of("K-05");
    let member = member();
    member.delete("/v1/kv/x").says(200, "true");
    member.delete("/v1/kv/x?cas=3").says(200, "true");
    member.put("/v1/kv/x", "1").ok();
    member.delete("/v1/kv/x?cas=0").says(200, "false");
    let index = member.get("/v1/kv/x").index();
    member.delete(&format!("/v1/kv/x?cas={}", index + 1)).says(200, "false");
    member.delete(&format!("/v1/kv/x?cas={index}")).says(200, "true");
    assert_eq!(member.get("/v1/kv/x").status, 404);
}

#[test]
fn a_lock_counts_its_acquisitions() {
    let _point = Point::of("K-06");
    let member = member();
    let (mine, other) = (member.session("{}"), member.session("{}"));
    let lock_index = || entry(&member, "x")["LockIndex"].clone();
    member.put(&format!("/v1/kv/x?acquire={mine}"), "1").says(200, "true");
    assert_eq!(lock_index(), 1);
    member.put(&format!("/v1/kv/x?acquire={mine}"), "2").says(200, "true");
    assert_eq!(lock_index(), 1);
    assert_eq!(member.get("/v1/kv/x?raw").ok().text(), "2");
    member.put(&format!("/v1/kv/x?acquire={other}"), "3").says(200, "false");
    member.put(&format!("/v1/kv/x?release={other}"), "3").says(200, "false");
    member.put(&format!("/v1/kv/x?release={mine}"), "4").says(200, "true");
    assert_eq!(lock_index(), 1);
    assert_eq!(entry(&member, "x").get("Session"), None);
    member.put(&format!("/v1/kv/x?release={mine}"), "5").says(200, "false");
    member.put(&format!("/v1/kv/x?acquire={other}"), "6").says(200, "true");
    assert_eq!(lock_index(), 2);
}

#[test]
fn a_plain_put_goes_past_a_lock() {
    let _point = Point::of("K-07");
    let member = member();
    let session = member.session("{}");
    member.put(&format!("/v1/kv/x?acquire={session}"), "1").says(200, "true");
    member.put("/v1/kv/x", "2").says(200, "true");
    let entry = entry(&member, "x");
    assert_eq!((&entry["Session"], &entry["LockIndex"]), (&json!(session), &json!(0)));
}

#[test]
fn a_lock_for_an_unknown_session_begins_with_the_reason() {
    let _point = Point::of("K-08");
    let member = member();
    let unknown = "/v1/kv/x?acquire=00000000-1111-2222-3333-444444444444";
    let reply = member.put(unknown, "1");
    assert_eq!(reply.status, 500);
    assert!(reply.text().starts_with("invalid session"), "{}", reply.text());
    member
        .put("/v1/kv/x?acquire=zz", "1")
        .says(500, "failed session lookup: index error: UUID must be 36 characters");
    member.put("/v1/kv/x?acquire=", "1").says(500, "missing session");
}

#[test]
fn a_separator_cuts_after_the_prefix() {
    let _point = Point::of("K-09");
    let member = member();
    for key in ["p", "p/", "p/a", "p/a/b", "pa"] {
        member.put(&format!("/v1/kv/{key}"), "1").ok();
    }
    member.get("/v1/kv/p?keys&separator=/").says(200, r#"["p","p/","pa"]"#);
    member.get("/v1/kv/p/?keys&separator=/").says(200, r#"["p/","p/a","p/a/"]"#);
    member.get("/v1/kv/p?keys&seperator=/").says(200, r#"["p","p/","pa"]"#);
}

#[test]
fn a_prefix_is_bytes_and_keys_are_in_their_order() {
    let _point = Point::of("K-10");
    let member = member();
    for key in ["ab", "a", "b", "a/b", "B", "a%20"] {
        member.put(&format!("/v1/kv/{key}"), "1").ok();
    }
    member.get("/v1/kv/a?keys").says(200, r#"["a","a ","a/b","ab"]"#);
    member.get("/v1/kv/?keys").says(200, r#"["B","a","a ","a/b","ab","b"]"#);
    assert_eq!(member.json("/v1/kv/a?recurse").as_array().unwrap().len(), 4);
    assert_eq!(member.get("/v1/kv/zz?recurse").status, 404);
}

#[test]
fn a_value_over_half_a_mebibyte_is_too_large() {
    let _point = Point::of("K-11");
    let member = member();
    member.put("/v1/kv/x", vec![b'x'; 524_288]).says(200, "true");
    let reply = member.put("/v1/kv/x", vec![b'x'; 524_289]);
    assert_eq!(reply.status, 413);
    let expected = "Request body(524289 bytes) too large, max size: 524288 bytes. \
         See https://www.consul.io/docs/agent/config/config-files#kv_max_value_size.";
    assert_eq!(reply.text(), expected);
}

#[test]
fn conflicting_flags_are_told_again_in_order() {
    let _point = Point::of("K-12");
    let member = member();
    member.put("/v1/kv/x?cas=1&acquire=x", "1").says(400, "Conflicting flags: acquire=x&cas=1");
    member.delete("/v1/kv/x?recurse&cas=1").says(400, "Conflicting flags: cas=1&recurse=");
}

#[test]
fn a_raw_value_is_text_that_no_browser_runs() {
    let _point = Point::of("K-13");
    let member = member();
    member.put("/v1/kv/x", "<b>").ok();
    let reply = member.get("/v1/kv/x?raw").ok();
    assert_eq!(reply.text(), "<b>");
    assert_eq!(reply.header("Content-Type"), Some("text/plain"));
    assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(reply.header("Content-Security-Policy"), Some("sandbox"));
}
