//! The language, sentence by sentence.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::shape::{CHECK, INSTANCE, NODE, SERVICE_NODE};
use super::{Ended, Filter, Shape, Work};

fn service() -> Value {
    json!({
        "ID": "", "Node": "n1", "Address": "10.0.0.1", "NodeMeta": null,
        "ServiceID": "w1", "ServiceName": "web", "ServiceTags": ["a", "b"],
        "ServiceMeta": {"v": "1", "empty": "", "with-dash": "x"},
        "ServicePort": 80, "ServiceEnableTagOverride": false,
        "ServiceTaggedAddresses": {"lan": {"Address": "10.0.0.9", "Port": 81}},
        "ServiceWeights": {"Passing": 1, "Warning": 2},
        "ServiceProxy": {"MeshGateway": {}, "Expose": {}}, "ServiceConnect": {},
    })
}

fn instance() -> Value {
    json!({
        "Node": {"Node": "n1", "Meta": {"rack": "7"}},
        "Service": {"ID": "w1", "Service": "web", "Tags": ["a"], "Port": 80},
        "Checks": [
            {"CheckID": "serfHealth", "Status": "passing", "ServiceTags": []},
            {"CheckID": "service:w1", "Status": "critical", "ServiceTags": ["a"]},
        ],
    })
}

fn admits(text: &str, shape: &Shape, row: &Value) -> bool {
    let filter = Filter::compile(text, shape);
    filter.unwrap_or_else(|error| panic!("{text}: {error}")).admits(row, &plenty())
}

fn plenty() -> Work {
    Work::new(1 << 20, 1 << 20)
}

#[track_caller]
fn assert_all(shape: &Shape, row: &Value, table: &[(&str, bool)]) {
    for (text, expected) in table {
        assert_eq!(admits(text, shape, row), *expected, "{text}");
    }
}

fn refused(text: &str, shape: &Shape) -> String {
    let error = Filter::compile(text, shape).map(|_| text.to_owned()).unwrap_err().to_string();
    let reason = error.strip_prefix("Failed to create boolean expression evaluator: ");
    reason.expect("every refusal begins alike").to_owned()
}

#[test]
fn texts_are_compared_searched_and_matched() {
    assert_all(
        &SERVICE_NODE,
        &service(),
        &[
            ("ServiceName == web", true),
            (r#"ServiceName == "web""#, true),
            ("ServiceName == `web`", true),
            ("ServiceName != web", false),
            ("ServiceID ==w1", true),
            ("ServiceID==w1", true),
            ("ServiceName == Web", false),
            ("ServiceName contains eb", true),
            ("eb in ServiceName", true),
            ("x not in ServiceName", true),
            ("ServiceName not contains eb", false),
            ("ServiceName matches `^w.b$`", true),
            ("ServiceName matches e", true),
            (r#"ServiceName matches "^e""#, false),
            (r#"ServiceName not matches "\\d""#, true),
            (r#"Address == "10.0.0.1""#, true),
        ],
    );
}

#[test]
fn lists_contain_and_are_empty() {
    assert_all(
        &SERVICE_NODE,
        &service(),
        &[
            ("a in ServiceTags", true),
            ("c in ServiceTags", false),
            ("c not in ServiceTags", true),
            ("ServiceTags contains b", true),
            ("ServiceTags not contains b", false),
            ("ServiceTags is empty", false),
            ("ServiceTags is not empty", true),
            ("ServiceTags is nil", false),
        ],
    );
}

#[test]
fn numbers_and_truths_are_read_as_the_field_is() {
    assert_all(
        &SERVICE_NODE,
        &service(),
        &[
            ("ServicePort == 80", true),
            (r#"ServicePort == "80""#, true),
            ("ServicePort != 80", false),
            ("ServicePort == -80", false),
            ("ServiceWeights.Warning == 2", true),
            ("ServiceEnableTagOverride == false", true),
            ("ServiceEnableTagOverride != t", true),
            ("ServiceTaggedAddresses.lan.Port == 81", true),
        ],
    );
}

#[test]
fn a_key_that_is_not_there_equals_nothing_and_is_empty() {
    assert_all(
        &SERVICE_NODE,
        &service(),
        &[
            ("ServiceMeta.x == y", false),
            ("ServiceMeta.x != y", true),
            ("y in ServiceMeta.x", false),
            ("ServiceMeta.x contains y", false),
            ("y not in ServiceMeta.x", true),
            ("ServiceMeta.x is empty", true),
            ("ServiceMeta.x is not empty", false),
            ("ServiceMeta.x matches `.*`", false),
            ("ServiceMeta.x not matches `.*`", true),
            ("ServiceMeta.x is nil", true),
            ("ServiceMeta.x is not nil", false),
            ("ServiceTaggedAddresses.wan.Address == y", false),
            ("NodeMeta.rack != 7", true),
            ("NodeMeta is empty", true),
        ],
    );
}

#[test]
fn maps_are_asked_by_key_in_every_spelling() {
    assert_all(
        &SERVICE_NODE,
        &service(),
        &[
            ("ServiceMeta.v == 1", true),
            (r#"ServiceMeta["v"] == 1"#, true),
            (r#"ServiceMeta["with-dash"] == x"#, true),
            ("v in ServiceMeta", true),
            ("1 in ServiceMeta", false),
            ("ServiceMeta contains v", true),
            ("ServiceMeta.empty is empty", true),
            ("ServiceMeta is not empty", true),
            (r#""/ServiceMeta/with-dash" == x"#, true),
            (r#"a in "/ServiceTags""#, true),
        ],
    );
}

#[test]
fn a_field_that_is_not_printed_has_its_zero_value() {
    assert_all(
        &SERVICE_NODE,
        &service(),
        &[
            (r#"ServiceKind == """#, true),
            ("ServiceKind is empty", true),
            ("ServiceConnect.Native == false", true),
            (r#"ServiceProxy.MeshGateway.Mode == """#, true),
            ("ServiceProxy.LocalServicePort == 0", true),
            ("ServiceProxy.Upstreams is empty", true),
        ],
    );
}

#[test]
fn or_binds_weaker_than_and_and_and_weaker_than_not() {
    let (yes, no) = ("ServicePort == 80", "ServicePort == 1");
    let table = [
        (format!("{yes} or {no} and {no}"), true),
        (format!("({yes} or {no}) and {no}"), false),
        (format!("not {no} and {yes}"), true),
        (format!("not ({yes} or {no})"), false),
        (format!("not not {yes}"), true),
        (format!("not({no})"), true),
        (format!("({yes})and({yes})"), true),
        (format!("\n\t({yes})\n or {no} "), true),
    ];
    for (text, expected) in table {
        assert_eq!(admits(&text, &SERVICE_NODE, &service()), expected, "{text}");
    }
}

#[test]
fn a_list_of_objects_passes_if_any_element_does() {
    assert_all(
        &INSTANCE,
        &instance(),
        &[
            ("Checks.Status == critical", true),
            ("Checks.Status == warning", false),
            ("Checks.Status != critical", true),
            ("not Checks.Status == critical", false),
            ("a in Checks.ServiceTags", true),
            ("a not in Checks.ServiceTags", true),
            ("Checks is empty", false),
            ("Node.Meta.rack == 7", true),
            ("Service.Tags contains a and Service.Port == 80", true),
            (r#"Checks.CheckID == serfHealth"#, true),
        ],
    );
}

#[test]
fn collections_are_gone_through_by_name() {
    assert_all(
        &INSTANCE,
        &instance(),
        &[
            ("any Checks as c { c.Status == critical and c.CheckID == `service:w1` }", true),
            ("any Checks as c { c.Status == critical and c.CheckID == serfHealth }", false),
            ("all Checks as c { c.Status == passing }", false),
            ("all Checks as c { c.Status is not empty }", true),
            ("any Service.Tags as t { t == a }", true),
            ("any Service.Tags as i, t { i == 0 and t == a }", true),
            ("any Node.Meta as k { k == rack }", true),
            ("any Node.Meta as k, v { k == rack and v == 7 }", true),
            (
                "any Checks as c { any c.ServiceTags as t { t == a and c.Status == critical } }",
                true,
            ),
            ("all Service.TaggedAddresses as k { k == lan }", true),
        ],
    );
}

#[test]
fn an_empty_expression_admits_everything() {
    assert!(Filter::compile("", &NODE).unwrap().is_empty());
    assert!(admits("  ", &NODE, &json!({})));
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let missing = "no match found, expected: ";
    for (text, place) in [
        ("x", "1:2 (1): "),
        ("Bad", "1:4 (3): "),
        ("Node ==", "1:8 (7): "),
        ("(Node == a", "1:11 (10): "),
        ("Node == a b", "1:11 (10): "),
        ("Node is a", "1:9 (8): "),
        ("é", "1:1 (0): "),
        ("Node == a\nand", "2:4 (13): "),
    ] {
        let error = refused(text, &NODE);
        assert!(error.starts_with(&format!("{place}{missing}")), "{text}: {error}");
    }
    assert_eq!(
        refused("ServicePort in 80", &SERVICE_NODE),
        "1:16 (15): rule \"match\": Invalid selector"
    );
    assert_eq!(
        refused("Node == \"a", &NODE),
        "1:9 (8): rule \"string\": Unterminated string literal"
    );
    assert_eq!(refused("Node == 5s", &NODE), "1:9 (8): rule \"number\": Invalid number literal");
}

#[test]
fn what_does_not_fit_the_row_is_refused() {
    for (text, expected) in [
        ("Bad == x", "Selector \"Bad\" is not valid"),
        ("ServiceName.x == y", "Selector \"ServiceName.x\" is not valid"),
        ("ServiceWeights.Bad == 1", "Selector \"ServiceWeights.Bad\" is not valid"),
        ("ServiceTags == a", "Invalid match operator \"Equal\" for selector \"ServiceTags\""),
        (
            "ServicePort is empty",
            "Invalid match operator \"Is Empty\" for selector \"ServicePort\"",
        ),
        (
            "ServicePort not matches a",
            "Invalid match operator \"Not Matches\" for selector \"ServicePort\"",
        ),
        (
            "ServicePort == x",
            "Failed to coerce value \"x\" for selector \"ServicePort\": strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            "ServiceEnableTagOverride == x",
            "Failed to coerce value \"x\" for selector \"ServiceEnableTagOverride\": strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
    ] {
        assert_eq!(refused(text, &SERVICE_NODE), expected);
    }
    let regex = refused(r#"Name matches "[""#, &CHECK);
    assert!(regex.starts_with("Failed to compile regular expression \"[\": "), "{regex}");
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = |levels: usize| format!("{}Node == a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Filter::compile(&deep(60), &NODE).is_ok());
    assert!(refused(&deep(100_000 / 16), &NODE).contains("nested too deeply"));
    let wide = vec!["Node == a"; 200].join(" or ");
    assert!(wide.len() > 2048);
    assert!(Filter::compile(&wide, &NODE).is_ok());
    assert!(refused(&"not ".repeat(5000), &NODE).contains("longer than"));
    let nested = "any Checks as a { any Checks as b { any Checks as c { any Checks as d { d.Name == x } } } }";
    assert_eq!(refused(nested, &INSTANCE), "collections are nested too deeply");
    assert!(refused("Name matches `(a{1000}){1000}`", &CHECK).contains("Failed to compile"));
}

/// The rows that pass, or why the evaluation ended early.
fn passing(text: &str, rows: &[Value], steps: u64) -> Result<usize, Ended> {
    let (filter, work) = (Filter::compile(text, &INSTANCE).unwrap(), Work::new(steps, u64::MAX));
    let passing = rows.iter().filter(|row| filter.admits(row, &work)).count();
    work.ended().map_or(Ok(passing), Err)
}

fn tagged(tags: usize) -> Value {
    let tags: Vec<String> = (0..tags).map(|tag| format!("tag-{tag}")).collect();
    json!({"Node": {}, "Service": {"Service": "web", "Tags": tags}, "Checks": []})
}

#[test]
fn nested_collections_over_many_tags_end_when_their_steps_are_spent() {
    let nested = |innermost: &str| {
        format!(
            "any Service.Tags as a {{ any Service.Tags as b {{ any Service.Tags as c {{ {innermost} }} }} }}"
        )
    };
    let rows = [tagged(3000)];
    for innermost in ["c == x", "not c != x", "c matches `x$`", "x in c"] {
        assert_eq!(
            passing(&nested(innermost), &rows, 10_000_000),
            Err(Ended::Steps),
            "{innermost}"
        );
    }
    let all = nested("c != x").replace("any", "all");
    assert_eq!(passing(&all, &rows, 10_000_000), Err(Ended::Steps));
    // What is found early costs little, however deep it is.
    assert_eq!(passing(&nested("c == `tag-0`"), &rows, 100), Ok(1));
}

#[test]
fn honest_filters_over_many_rows_stay_far_from_the_limit() {
    let rows = vec![tagged(10); 10_000];
    let text = "Service.Service == web and `tag-9` in Service.Tags and not Checks.Status == critical \
                and (Node.Meta.rack == 7 or Node.Meta.rack is empty) and Service.Service matches `^w`";
    assert_eq!(passing(text, &rows, 2_000_000), Ok(10_000));
    let text = "any Service.Tags as t { t matches `^tag-[5-9]$` }";
    assert_eq!(passing(text, &rows, 5_000_000), Ok(10_000));
}

#[test]
fn a_search_in_a_long_text_costs_by_its_length() {
    let row = |bytes: usize| json!({"Service": {"Service": "a".repeat(bytes)}, "Node": {}});
    let steps = |text: &str, bytes| {
        (1_u64..).map(|n| n * 1000).find(|steps| passing(text, &[row(bytes)], *steps).is_ok())
    };
    assert!(steps("b in Service.Service", 1 << 20) <= Some(40_000));
    assert!(steps("Service.Service matches `b$`", 1 << 20) > Some(1_000_000));
    let large = r"Service.Service matches `\w{20}b$`";
    assert_eq!(passing(large, &[row(1 << 20)], 10_000_000), Err(Ended::Steps));
}

#[test]
fn many_large_regular_expressions_are_refused_together() {
    let large = r"Name matches `\w{20}`";
    assert!(Filter::compile(large, &CHECK).is_ok());
    let many = vec![large; 300].join(" or ");
    assert!(refused(&many, &CHECK).contains("Failed to compile"), "{}", refused(&many, &CHECK));
    let few = vec!["Name matches `^web-[0-9]+$`"; 100].join(" or ");
    assert!(Filter::compile(&few, &CHECK).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_refused(text in ".{0,60}") {
        if let Ok(filter) = Filter::compile(&text, &INSTANCE) {
            filter.admits(&instance(), &plenty());
        }
    }

    #[test]
    fn any_words_of_the_language_are_a_filter_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "Checks", "Checks.Status", "Node", "Node.Meta", "Node.Meta.x", "Service.Tags", "c",
            "Service.Port", "==", "!=", "in", "not", "contains", "is", "empty", "nil", "matches",
            "any", "all", "as", "{", "}", "(", ")", "and", "or", "\"", "`", "[", "]", ".", ",",
            "a", "80", "-", "\"/Node/Meta\"",
        ]), 0..20),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        if let Ok(filter) = Filter::compile(&words.join(glue), &INSTANCE) {
            filter.admits(&instance(), &plenty());
            filter.admits(&Value::Null, &plenty());
        }
    }
}
