//! Containers that are swept, and when they are not.

use coord_wire::zookeeper::Reply;
use coord_wire::zookeeper::request::CreateForm;

use crate::client::{Client, create_as, delete, get_children};
use crate::connection::Member;
use crate::ensemble::eventually;

const OFTEN: (&str, &str) = ("session.sweep_interval_ms", "50");

fn containers(client: &mut Client) -> Vec<String> {
    match client.call(&get_children("/", false)) {
        Ok(Reply::Children(names)) => {
            let names = names.iter().map(|name| name.as_str().to_owned());
            names.filter(|name| name.starts_with('c')).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn make_container(client: &mut Client, path: &str) {
    client.call(&create_as(path, CreateForm::Container, 4)).unwrap();
}

#[test]
fn a_container_that_was_never_used_goes_only_where_that_is_wanted() {
    let keeping = Member::start_with(&[OFTEN]);
    let sweeping = Member::start_with(&[OFTEN, ("session.container_never_used_ms", "1")]);
    let mut kept = Client::open(keeping.address);
    make_container(&mut kept, "/c");
    let mut swept = Client::open(sweeping.address);
    make_container(&mut swept, "/c");
    eventually("the container goes", || containers(&mut swept).is_empty().then_some(()));
    // One that was used goes on either; by then the other was looked at, too.
    make_container(&mut kept, "/c-used");
    kept.made("/c-used/child");
    kept.call(&delete("/c-used/child")).unwrap();
    eventually("the used one goes", || (containers(&mut kept).len() == 1).then_some(()));
    assert_eq!(containers(&mut kept), ["c"]);
}

#[test]
fn no_more_are_swept_in_a_minute_than_is_wanted() {
    let member = Member::start_with(&[OFTEN, ("session.sweep_per_minute_max", "1")]);
    let mut client = Client::open(member.address);
    for path in ["/c1", "/c2", "/c3"] {
        make_container(&mut client, path);
        client.made(&format!("{path}/child"));
    }
    // All at once, so that one sweep finds all of them.
    for path in ["/c1/child", "/c2/child", "/c3/child"] {
        client.send(&delete(path));
    }
    (0..3).for_each(|_| drop(client.told()));
    eventually("one goes", || (containers(&mut client).len() < 3).then_some(()));
    client.events();
    assert_eq!(containers(&mut client).len(), 2);
}
